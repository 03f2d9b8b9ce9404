"""`compare --lr` and `--add`, and what `upscale` says about its result."""

import hashlib
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pictures import noise, png, scene


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=120, check=False)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(png(scene(61, 43)))
    return path


def test_everything_that_is_brought_along_is_in_the_document_and_among_the_pictures(picture: Path, tmp_path: Path) -> None:
    small, mine, other = noise(30, 21), noise(60, 42, 1), noise(60, 42, 2)
    for name, pixels in (("small.png", small), ("mine.png", mine), ("a=b.png", other)):
        (tmp_path / name).write_bytes(png(pixels))
    done = run(
        *("compare", picture, "--scale", "2", "--upscalers", "bicubic", "--repeats", "0", "--json"),
        *("--lr", tmp_path / "small.png", "--add", f"Topaz 5={tmp_path / 'mine.png'}", "--add", f"Other={tmp_path / 'a=b.png'}"),
        *("--out", tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    rows = {row["upscaler"]: row for row in document["rows"]}
    assert list(rows) == ["bicubic", "given-topaz-5", "given-other"]
    assert document["lr_sha256"] == hashlib.sha256(png(small)).hexdigest()
    assert document["downscale"] is None
    assert {row["lr_source"] for row in rows.values()} == {"file"}
    assert rows["given-topaz-5"]["name"] == "Topaz 5"
    assert rows["given-topaz-5"]["given"]["sha256"] == hashlib.sha256(png(mine)).hexdigest()
    assert rows["given-topaz-5"]["warm_p50_s"] is None
    mse = np.mean((mine.astype(float) - scene(61, 43)[:42, :60]) ** 2)
    assert rows["given-topaz-5"]["scores"]["rgb"]["psnr_db"] == pytest.approx(10 * math.log10(255**2 / mse), abs=1e-9)
    for row, pixels in ((rows["given-topaz-5"], mine), (rows["given-other"], other)):
        np.testing.assert_array_equal(np.asarray(Image.open(row["output_path"])), pixels)
    assert np.array_equal(
        np.asarray(Image.open(rows["bicubic"]["output_path"])),
        np.asarray(Image.fromarray(small).resize((60, 42), Image.Resampling.BICUBIC)),
    )


def test_the_table_has_a_dash_for_the_times_of_what_was_added(picture: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(png(noise(60, 42)))
    done = run("compare", picture, "--scale", "2", "--upscalers", "bicubic", "--repeats", "0", "--add", f"Mine={tmp_path / 'mine.png'}")
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.strip().startswith("given-mine"))
    assert re.fullmatch(r"given-mine +\d+\.\d\d +\d\.\d{4} +\d+\.\d\d +\d+\.\d\d +\d\.\d{4}( +-){6} +given", line.strip())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lr", "ODD"], "The small picture is 31×21 and the original 61×43: at x2 the small one must be 30×21"),
        (["--lr", "QUARTER"], "They fit at x4."),
        (["--lr", "missing.png"], "There is no file 'missing.png'"),
        (["--lr", "TEXT"], "Not a supported image"),
        (["--lr", "HALF", "--downscale", "area"], "leave the downscale method 'area' out"),
        (["--add", "HALF"], "Expected --add NAME=FILE"),
        (["--add", "=HALF"], "Expected --add NAME=FILE"),
        (["--add", "Mine="], "Expected --add NAME=FILE"),
        (["--add", "Mine=HALF"], "half is 30×21 and the results here are 60×42: export it at exactly that size"),
        (["--add", "Mine=missing.png"], "There is no file 'missing.png'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], words: str, picture: Path, tmp_path: Path) -> None:
    sizes = {"ODD": (31, 21), "HALF": (30, 21), "QUARTER": (15, 10)}
    for name, size in sizes.items():
        (tmp_path / f"{name.lower()}.png").write_bytes(png(noise(*size)))
    (tmp_path / "text.png").write_text("hello")
    for name in (*sizes, "TEXT"):
        arguments = [re.sub(rf"\b{name}$", str(tmp_path / f"{name.lower()}.png"), argument) for argument in arguments]
    done = run("compare", picture, "--scale", "2", "--upscalers", "bicubic", *arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_upscale_says_how_well_its_result_agrees_with_the_picture(picture: Path, tmp_path: Path) -> None:
    done = run("upscale", picture, "--upscaler", "lanczos", "--scale", "1.7", "-o", tmp_path / "r.png")
    assert done.returncode == 0, done.stderr
    result = Image.open(tmp_path / "r.png")
    assert result.size == (104, 73)
    shrunk = np.asarray(result.resize((61, 43), Image.Resampling.BICUBIC)).astype(float)
    psnr_db = 10 * math.log10(65025 / np.mean((shrunk - scene(61, 43)) ** 2))
    assert f"  agrees with the picture: {psnr_db:.2f} dB, shrunk back by bicubic\n" in done.stdout
    assert re.search(r"^  colour shift: \d\.\d\d \(mean CIEDE2000\)$", done.stdout, re.MULTILINE)


def test_upscale_says_when_its_result_shrinks_to_the_very_picture(tmp_path: Path) -> None:
    (tmp_path / "grey.png").write_bytes(png(np.full((8, 9, 3), 77, np.uint8)))
    done = run("upscale", tmp_path / "grey.png", "--upscaler", "bicubic", "--scale", "2", "-o", tmp_path / "r.png")
    assert "  agrees with the picture: identical, shrunk back by bicubic\n  colour shift: 0.00 (mean CIEDE2000)\n" in done.stdout
