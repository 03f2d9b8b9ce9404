"""`run` on the command line: one document on standard output, reasons on standard error, exit codes that scripts can rely on."""

import json
from pathlib import Path

import pytest

from tests.run_helpers import make_set, run_command


def test_run_prints_one_document_with_every_promised_field(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "my set", 2)
    (folder / "notes.txt").write_text("no picture")
    done = run_command("run", "--dataset", folder, "--scales", "2,4", "--upscalers", "bicubic,nearest", "--repeats", "2", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document.keys() >= {"schema", "run", "cells_total", "cells_done", "cells_failed", "means"}
    assert (document["schema"], document["cells_total"], document["cells_done"], document["cells_failed"]) == (1, 8, 8, 0)
    assert document["run"].startswith("my-set-")
    assert [(mean["upscaler"], mean["scale"], mean["n"]) for mean in document["means"]] == [
        ("bicubic", 2, 2),
        ("nearest", 2, 2),
        ("bicubic", 4, 2),
        ("nearest", 4, 2),
    ]
    mean = document["means"][0]
    assert mean.keys() >= {"dataset", "upscaler", "scale", "runtime", "precision", "n", "warm_p50_s", "scores"}
    assert mean["warm_p50_s"] > 0
    assert mean["scores"].keys() == {"rgb", "y", "y-float"}
    assert "2 pictures, sha256" in done.stderr
    assert "1 other files left out" in done.stderr


def test_failed_pictures_exit_with_1_and_their_reason(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", 1)
    (folder / "empty.png").write_bytes(b"")
    done = run_command("run", "--dataset", folder, "--scales", "2", "--upscalers", "bicubic", "--run", "mine")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "bicubic@x2: failed: File is empty. (set/empty.png)",
        "The same command with --retry-failed tries what failed again.",
    ]
    assert "mine: 1 of 2 done, 1 failed" in done.stdout
    again = run_command("run", "--dataset", folder, "--scales", "4", "--upscalers", "bicubic", "--run", "mine")
    assert again.returncode == 2
    assert again.stderr.startswith("The run 'mine' was planned otherwise: its scales are [2], not [4].")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--dataset", "none"), "There is no folder 'none'."),
        (("--dataset", ".", "--scales", "2,5"), "Expected scales of 2, 3, 4, 8, separated by commas; got '2,5'."),
        (("--dataset", ".", "--workers", "0"), "Workers lie between 1 and 64; got 0."),
        (("--dataset", ".", "--run", "../up"), "A run's name has letters"),
        (("--dataset", ".", "--lr", "cubic"), "Did you mean 'bicubic'?"),
        (("--dataset", ".", "--upscalers", "bicubik"), "Did you mean 'bicubic'?"),
        ((), "Missing option"),
    ],
)
def test_what_can_not_be_used_exits_with_2_in_one_line(tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    folder = make_set(tmp_path / "set", 1)
    done = run_command("run", *(str(folder) if each == "." else each for each in arguments))
    assert done.returncode == 2
    assert text in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
