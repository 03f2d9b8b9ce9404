"""What `compare --out` leaves in a directory: nothing of another picture is ever overwritten."""

import json
import os
from pathlib import Path

import pytest

from benchmark import export, jobs
from benchmark.presentation import report
from tests.comparisons import row_of, scores_of, store
from tests.pictures import noise, png


def write(root: Path, out: Path, picture: int, *, scale: float = 4) -> set[str]:
    """Compare picture number `picture`, which is called bird like all others, into `out`; returns the files that are new or changed."""
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.*")}
    rows = {"bicubic": row_of("bicubic", scale=scale, scores=scores_of(30))}
    directory = store(root / f"{picture} {scale}", noise(48, 32), noise(12, 8), {"bicubic": noise(48, 32, picture)}, rows, scale=scale)
    job = jobs.load(directory)
    assert job.image is not None
    job.image.sha256 = f"{picture:08x}" * 8
    export.write(directory, job, out)
    report.write(directory, job, export.report_path(job, out))
    return {str(path.relative_to(out)) for path in out.rglob("*.*") if before.get(path) != path.stat().st_mtime_ns}


def names(ending: str) -> set[str]:
    """The files of one comparison."""
    place = ending.partition("_")[0]
    return {
        f"{place}/{name}" for name in (f"bicubic_{ending}.png", f"strip_{ending}.png", f"comparison_{ending}.json", f"report_{ending}.html")
    }


def test_each_picture_and_scale_has_files_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert write(tmp_path, out, 1) == names("x4_bird")
    assert write(tmp_path, out, 1, scale=2) == names("x2_bird")
    assert write(tmp_path, out, 2) == names("x4_bird-00000002")
    assert (out / "x4" / "bicubic_x4_bird.png").read_bytes() == png(noise(48, 32, 1))
    assert (out / "x4" / "bicubic_x4_bird-00000002.png").read_bytes() == png(noise(48, 32, 2))


@pytest.mark.parametrize("picture", [1, 2])
def test_the_same_picture_again_takes_its_own_place(tmp_path: Path, picture: int) -> None:
    out = tmp_path / "out"
    write(tmp_path, out, 1)
    first = write(tmp_path / "first", out, picture)
    for path in out.rglob("*.*"):
        os.utime(path, (0, 0))
    assert write(tmp_path / "again", out, picture) == (first or names("x4_bird"))


def test_the_document_names_the_pictures_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(tmp_path, out, 1)
    write(tmp_path, out, 2)
    for ending, picture in (("x4_bird", 1), ("x4_bird-00000002", 2)):
        row = json.loads((out / "x4" / f"comparison_{ending}.json").read_text())["rows"][0]
        assert (out / "x4" / row["output_path"]).read_bytes() == png(noise(48, 32, picture))


def test_a_damaged_document_of_an_earlier_run_does_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / "out" / "x4").mkdir(parents=True)
    (tmp_path / "out" / "x4" / "comparison_x4_bird.json").write_text("[")
    assert write(tmp_path, tmp_path / "out", 1) == names("x4_bird")
