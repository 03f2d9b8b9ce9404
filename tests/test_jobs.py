"""Stored comparisons: readable by anyone at any time, never half."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from benchmark import export, jobs, keeping
from benchmark.plan import Plan
from benchmark.schema import Comparison
from benchmark.workers.local_engine import LocalEngine
from core.errors import AppError, UsageError
from core.settings import settings
from tests.engine_helpers import run
from tests.pictures import noise, png, scene


def stored(user: str = "a") -> tuple[Path, Comparison]:
    directory = jobs.create(Plan(scale=2, upscaler_ids=["bicubic"]), png(noise(8, 8)), name="a.png", user=user)
    return directory, jobs.load(directory)


def test_a_comparison_is_read_back_as_it_was_written() -> None:
    directory, job = stored()
    assert jobs.load(directory) == job
    assert jobs.find(job.id) == directory
    assert json.loads((directory / "job.json").read_text())["schema"] == 1


@pytest.mark.parametrize("job_id", ["", "short", "../../../etc/passwd", "A" * 16, "A" * 17, "AAAAAAAAAAAAAAA/"])
def test_an_id_that_is_none_of_ours_finds_nothing(job_id: str) -> None:
    stored()
    assert jobs.find(job_id) is None
    with pytest.raises(UsageError, match="no longer here"):
        LocalEngine().load(job_id)


@pytest.mark.parametrize(
    "name", ["job.json", "../job.json", "source", "0" * 32, "0" * 32 + ".png", "0" * 32 + ".jpg", "..%2f" + "0" * 27 + ".png"]
)
def test_only_stored_pictures_have_an_address(name: str) -> None:
    directory, job = stored()
    picture = jobs.store_picture(directory, png(noise(4, 4)))
    assert jobs.picture_path(job.id, picture) == directory / picture
    assert jobs.picture_path(job.id, name) is None


def test_the_same_picture_is_stored_once_under_its_hash() -> None:
    directory, _ = stored()
    first, second = (jobs.store_picture(directory, png(noise(4, 4))) for _ in range(2))
    assert first == second
    assert len(list(directory.glob("*.png"))) == 1


def test_damaged_documents_and_stray_files_are_passed_over(own_home: Path) -> None:
    directory, job = stored()
    other, _ = stored()
    (other / "job.json").write_text("{")
    (settings().comparisons / "strayfile_000000").write_text("no directory")
    with pytest.raises(AppError, match="damaged"):
        jobs.load(other)
    assert [each.id for each in jobs.all_jobs(None)] == [job.id]
    jobs.close_interrupted()
    keeping.expire()
    assert directory.exists()


def test_a_comparison_whose_host_is_gone_is_closed_and_a_living_one_is_not() -> None:
    directory, job = stored()
    jobs.close_interrupted()
    assert jobs.load(directory).state == "queued"
    job.host_mark = "1"
    jobs.save(directory, job)
    jobs.close_interrupted()
    closed = jobs.load(directory)
    assert closed.state == "cancelled"
    assert closed.rows[0].reason == "The server was stopped. Run again."
    assert not (directory / jobs.SOURCE).exists()


def test_the_archive_holds_every_picture_and_number(own_home: Path) -> None:
    engine = LocalEngine()
    try:
        job = run(engine, Plan(scale=2, upscaler_ids=["bicubic", "lanczos"], repeats=1), png(scene(64, 48)), name="my photo.png")
    finally:
        engine.close()
    directory = settings().comparisons / job.id
    with zipfile.ZipFile(io.BytesIO(export.archive(directory, job))) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {
            "original_my photo.png",
            "downscaled_my photo.png",
            "bicubic_x2_my photo.png",
            "lanczos_x2_my photo.png",
            "strip_x2_my photo.png",
            "comparison.csv",
            "comparison.json",
        }
        document = json.loads(archive.read("comparison.json"))
        assert document["rows"][0]["scores"]["y"]["psnr_db"] == job.rows[0].scores["y"].psnr_db  # pyright: ignore[reportOptionalSubscript]
        assert archive.read(document["rows"][1]["output_path"]) == (directory / str(job.rows[1].output_path)).read_bytes()
        lines = archive.read("comparison.csv").decode().splitlines()
        assert len(lines) == 3
        assert {"upscaler", "rgb_psnr_db", "y_ssim", "warm_p50_s"} <= set(lines[0].split(","))
        with Image.open(io.BytesIO(archive.read("strip_x2_my photo.png"))) as strip:
            assert strip.width > 4 * 64
