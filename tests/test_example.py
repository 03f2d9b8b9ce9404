"""The comparison that greets a visitor: real results of real models, there at once, and nobody's to change."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

import upscalers
from benchmark import example, jobs, keeping, maps
from benchmark.presentation.results import page_line, start_view
from benchmark.samples import sample_path
from benchmark.schema import Row
from benchmark.workers.local_engine import LocalEngine
from core.settings import settings
from runtimes.base import Placement
from tests.engine_helpers import wait_until
from ui.state import engine

ROOT = Path(__file__).resolve().parent.parent
MAX_BYTES = 2_600_000
PAGE = str(ROOT / "pages" / "compare.py")
JOB = jobs.load(jobs.EXAMPLE_FOLDER)
ROWS = {row.upscaler: row for row in JOB.rows}


def pixels(name: str | None) -> np.ndarray:
    assert name is not None
    with Image.open(jobs.EXAMPLE_FOLDER / name) as picture:
        return np.asarray(picture.convert("RGB"))


def test_it_is_small_and_complete() -> None:
    assert set(example.MODELS) <= set(ROWS)
    assert sum(file.stat().st_size for file in jobs.EXAMPLE_FOLDER.iterdir()) < MAX_BYTES
    pictures = {JOB.original_path, JOB.downscaled_path, *(row.output_path for row in JOB.rows)}
    drawn = {*(maps.error_path(jobs.EXAMPLE_FOLDER, JOB, row) for row in JOB.rows), maps.disagreement_path(jobs.EXAMPLE_FOLDER, JOB)}
    assert {file.name for file in jobs.EXAMPLE_FOLDER.iterdir()} == {"job.json", *pictures, *drawn}
    assert all(row.status == "ok" and not row.contended for row in JOB.rows)
    assert (JOB.id, JOB.state, JOB.user) == (jobs.EXAMPLE, "done", jobs.EVERYBODY)


@pytest.mark.parametrize("row", JOB.rows, ids=lambda row: row.upscaler)
def test_its_error_maps_are_those_of_its_results(row: Row) -> None:
    stored = pixels(maps.error_path(jobs.EXAMPLE_FOLDER, JOB, row))
    np.testing.assert_array_equal(stored, maps.error_map(pixels(row.output_path), pixels(JOB.original_path)))


def test_it_shows_the_first_sample_shrunk_by_pillow() -> None:
    original = Image.open(sample_path("Astronaut")).convert("RGB")
    np.testing.assert_array_equal(pixels(JOB.original_path), np.asarray(original))
    small = original.resize((original.width // 4, original.height // 4), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(pixels(JOB.downscaled_path), np.asarray(small))


@pytest.mark.parametrize("row", JOB.rows, ids=lambda row: row.upscaler)
def test_each_result_is_what_its_model_gives(row: Row) -> None:
    if reason := upscalers.get(row.upscaler).unavailable_reason(row.scale):
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    upscaler = upscalers.create(row.upscaler, row.scale, row.options)
    # Where it was made networks were converted for the fastest runtime; all runtimes give the same picture.
    with upscaler.load(upscaler.spec.runtime("auto", row.scale), Placement()):
        again = upscaler(np.ascontiguousarray(pixels(JOB.downscaled_path)))
    allowed = 0 if row.runtime == "pillow" else 1
    assert np.abs(again.astype(int) - pixels(row.output_path)).max() <= allowed


@pytest.mark.parametrize("row", JOB.rows, ids=lambda row: row.upscaler)
def test_each_score_is_that_of_its_picture(row: Row) -> None:
    from skimage.metrics import peak_signal_noise_ratio

    assert row.scores is not None
    psnr_db = peak_signal_noise_ratio(pixels(JOB.original_path), pixels(row.output_path), data_range=255)
    assert row.scores["rgb"].psnr_db == pytest.approx(psnr_db, abs=1e-9)


def test_the_viewer_begins_at_the_face_with_bicubic_and_real_esrgan() -> None:
    assert start_view(JOB) == {"left": "bicubic", "right": "realesr-general-x4v3", "zoom": 2.0, "center": (225.0, 120.0)}
    assert page_line(JOB, 0).startswith("Example, computed on ")
    assert page_line(JOB, 0).endswith(". Press Compare to measure here.")


def test_nobody_can_delete_it_and_it_is_in_nobodys_store() -> None:
    before = {file.name: file.read_bytes() for file in jobs.EXAMPLE_FOLDER.iterdir()}
    LocalEngine().delete(jobs.EXAMPLE)
    keeping.expire()
    jobs.close_interrupted()
    assert {file.name: file.read_bytes() for file in jobs.EXAMPLE_FOLDER.iterdir()} == before
    assert list(jobs.all_jobs(None)) == []
    assert jobs.picture_path(jobs.EXAMPLE, str(JOB.original_path)) == jobs.EXAMPLE_FOLDER / str(JOB.original_path)
    assert jobs.picture_path(jobs.EXAMPLE, "job.json") is None


@pytest.fixture
def fresh_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An engine that has not been asked for anything yet."""
    # Streamlit makes the page the main module, and processes that later tests spawn would run it again.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    engine.cache_clear()
    yield
    engine().close()
    engine.cache_clear()


@pytest.mark.usefixtures("fresh_engine")
def test_a_visitor_sees_it_before_any_model_has_run() -> None:
    page = AppTest.from_file(PAGE).run(timeout=30)
    assert not page.exception
    assert any("Example, computed on" in html.proto.body for html in page.get("html"))
    table = next(html.proto.body for html in page.get("html") if "ub-table" in html.proto.body)
    for row in JOB.rows:
        assert row.scores is not None
        assert f"{row.scores['rgb'].psnr_db:.2f}" in table
    # No process was started, no comparison asked for, and nothing can be deleted.
    assert engine()._host is None
    assert not settings().comparisons.exists()
    assert "Delete this comparison" not in [button.label for button in page.button]


@pytest.mark.usefixtures("fresh_engine")
def test_without_it_the_interpolators_run_on_the_first_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(jobs, "EXAMPLE_FOLDER", tmp_path / "nothing here")
    page = AppTest.from_file(PAGE).run(timeout=30)
    assert not page.exception
    assert any("A sample, restored by the interpolators." in html.proto.body for html in page.get("html"))
    wait_until(lambda: [job for job in jobs.all_jobs(None) if not job.active])
    (job,) = jobs.all_jobs(None)
    assert [row.upscaler for row in job.rows] == ["nearest", "bilinear", "bicubic", "lanczos"]


@pytest.mark.usefixtures("weights_at_hand")
def test_the_command_makes_it_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "MODELS", ("bicubic", "opencv-lapsrn"))
    monkeypatch.setattr(example, "MORE_MODELS", ("opencv-edsr",))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.png").write_bytes(b"of the time before")
    example.make(tmp_path / "out")
    made = jobs.load(tmp_path / "out")
    assert {row.upscaler: row.output_path for row in made.rows} == {name: ROWS[name].output_path for name in ("bicubic", "opencv-lapsrn")}
    assert not (tmp_path / "out" / "old.png").exists()
    assert made.host_pid is None
