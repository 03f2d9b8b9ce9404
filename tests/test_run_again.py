"""One failed row is run again inside its comparison; the others keep what they have."""

import io
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import upscalers
from benchmark import jobs
from benchmark.plan import Plan
from benchmark.schema import Comparison, Row
from benchmark.workers.local_engine import LocalEngine
from core.errors import UsageError
from runtimes.tiling import Tiling, plan_tiles
from tests.engine_helpers import directory, run, wait_until
from tests.fakes import repeat_pixels
from tests.pictures import noise, png


@pytest.fixture
def engine(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalEngine]:
    monkeypatch.setenv("UPSCALE_BENCH_PLUGINS", "tests.fakes")
    made = LocalEngine()
    yield made
    made.close()


def rows(job: Comparison) -> dict[str, Row]:
    return {row.upscaler: row for row in job.rows}


def finished(engine: LocalEngine, job_id: str) -> Comparison:
    wait_until(lambda: not engine.load(job_id).active, 60)
    return engine.load(job_id)


def pixels(engine: LocalEngine, job: Comparison, upscaler: str) -> np.ndarray:
    with Image.open(directory(engine, job) / str(rows(job)[upscaler].output_path)) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize(
    ("size", "tile", "note"),
    [
        ((240, 260), 64, "Out of memory in one piece, so it was cut into tiles."),
        ((1200, 1100), 64, "Out of memory with tiles of 256 px, so smaller ones were taken."),
    ],
)
def test_a_model_that_runs_out_of_memory_is_run_in_halved_tiles(size: tuple[int, int], tile: int, note: str, engine: LocalEngine) -> None:
    asked = None if size == (240, 260) else 256
    job = run(engine, Plan(scale=2, upscaler_ids=["fake-wide"], tile_px=asked, repeats=1), png(noise(*size)))
    row = rows(job)["fake-wide"]
    assert (row.status, row.tile, row.tile_limit, row.tile_note, row.repeats) == ("ok", tile, tile, note, 1)
    with Image.open(directory(engine, job) / str(job.downscaled_path)) as downscaled:
        np.testing.assert_array_equal(pixels(engine, job, "fake-wide"), repeat_pixels(np.asarray(downscaled), 2))


def test_smaller_tiles_give_the_picture_that_was_too_much_and_the_others_keep_theirs(engine: LocalEngine) -> None:
    picture = noise(1280, 1400)
    before = run(engine, Plan(scale=2, upscaler_ids=["bicubic", "fake-wide"], repeats=1), png(picture))
    failed = rows(before)["fake-wide"]
    assert (failed.status, failed.tile, failed.tile_limit, failed.output_path) == ("oom", 128, 128, None)

    engine.run_again(before.id, "fake-wide", tile_px=64)
    job = finished(engine, before.id)
    assert job.state == "done"
    row = rows(job)["fake-wide"]
    assert (row.status, row.tile, row.tile_limit, row.repeats) == ("ok", 64, 64, 1)
    small = pixels(engine, job, "bicubic").shape[0] // 2
    assert small == 700
    with Image.open(directory(engine, job) / str(job.downscaled_path)) as downscaled:
        np.testing.assert_array_equal(pixels(engine, job, "fake-wide"), repeat_pixels(np.asarray(downscaled), 2))
    assert rows(job)["bicubic"] == rows(before)["bicubic"]
    assert [each.upscaler for each in job.rows] == ["bicubic", "fake-wide"]
    assert job.finished_at is not None
    assert before.finished_at is not None
    assert job.finished_at > before.finished_at


def test_transparency_is_read_back_from_the_stored_pictures(engine: LocalEngine, own_home: Path) -> None:
    alpha = Image.linear_gradient("L").resize((64, 48))
    picture = Image.fromarray(noise(64, 48))
    picture.putalpha(alpha)
    source = io.BytesIO()
    picture.save(source, "PNG")
    ids = ["fake-good", "fake-once"]
    job = run(engine, Plan(scale=2, upscaler_ids=ids, repeats=0), source.getvalue())
    assert rows(job)["fake-once"].status == "crashed"
    (own_home / "calm").touch()
    engine.run_again(job.id, "fake-once")
    job = finished(engine, job.id)
    # Both repeat pixels: what the second one was given, and scored against, is what the first one was.
    good, again = (rows(job)[upscaler] for upscaler in ids)
    assert again.status == "ok"
    assert again.output_path == good.output_path
    assert again.scores == good.scores
    assert (again.lr_consistency, again.colour_shift) == (good.lr_consistency, good.colour_shift)


def test_a_row_that_fails_again_says_so_again(engine: LocalEngine) -> None:
    job = run(engine, Plan(scale=2, upscaler_ids=["bicubic", "fake-crash"], repeats=0), png(noise(40, 30)))
    engine.run_again(job.id, "fake-crash")
    job = finished(engine, job.id)
    assert job.state == "done"
    assert {name: row.status for name, row in rows(job).items()} == {"bicubic": "ok", "fake-crash": "crashed"}


def test_a_row_is_run_again_while_the_others_still_run(engine: LocalEngine, own_home: Path) -> None:
    plan = Plan(scale=2, upscaler_ids=["fake-once", "fake-tiled"], options={"fake-tiled": {"sleep": 0.2}}, repeats=0)
    job_id = engine.submit(plan, png(noise(80, 80)), name="a.png", user="a")
    wait_until(lambda: rows(engine.load(job_id))["fake-tiled"].stage == "running")
    assert rows(engine.load(job_id))["fake-once"].status == "crashed"
    (own_home / "calm").touch()
    engine.run_again(job_id, "fake-once")
    wait_until(lambda: rows(engine.load(job_id))["fake-once"].stage == "waiting", 1)
    assert engine.load(job_id).active
    job = finished(engine, job_id)
    assert {name: row.status for name, row in rows(job).items()} == {"fake-once": "ok", "fake-tiled": "ok"}


def test_a_row_that_is_run_again_can_be_stopped(engine: LocalEngine, own_home: Path) -> None:
    plan = Plan(scale=2, upscaler_ids=["bicubic", "fake-good"], options={"fake-good": {"sleep": 30}}, repeats=0)
    job_id = engine.submit(plan, png(noise(40, 30)), name="a.png", user="a")
    for _ in range(2):
        wait_until(lambda: rows(engine.load(job_id))["fake-good"].stage == "running")
        engine.cancel(job_id)
        started = time.monotonic()
        job = finished(engine, job_id)
        assert time.monotonic() - started < 2
        assert (job.state, rows(job)["fake-good"].status, rows(job)["bicubic"].status) == ("cancelled", "cancelled", "ok")
        engine.run_again(job_id, "fake-good")
    engine.cancel(job_id)


def test_what_has_a_picture_or_is_not_there_is_not_run_again(engine: LocalEngine) -> None:
    job = run(engine, Plan(scale=2, upscaler_ids=["bicubic"], repeats=0), png(noise(40, 30)))
    for job_id, row_id, reason in (
        (job.id, "bicubic", "can't be run again"),
        (job.id, "lanczos", "can't be"),
        ("A" * 16, "x", "no longer"),
    ):
        with pytest.raises(UsageError, match=reason):
            engine.run_again(job_id, row_id)
    assert engine.load(job.id) == job


def test_results_of_two_machines_are_not_mixed(engine: LocalEngine) -> None:
    job = run(engine, Plan(scale=2, upscaler_ids=["fake-crash"], repeats=0), png(noise(40, 30)))
    job.machine["processor"] = "Abacus 5"
    jobs.save(directory(engine, job), job)
    with pytest.raises(UsageError, match="another machine"):
        engine.run_again(job.id, "fake-crash")


# -- tiles --------------------------------------------------------------------------------------------------------


def test_tiles_are_halved_until_the_picture_is_cut_smaller() -> None:
    assert Tiling(256, 16).halved(1000, 1000) == Tiling(128, 16)
    # Run whole, as 100x100 fits into 256 and into 128 as well.
    assert Tiling(256, 16).halved(100, 100) == Tiling(64, 16)
    assert Tiling(100, 16).halved(1000, 1000) == Tiling(64, 16)
    assert Tiling(64, 16).halved(1000, 1000) is None
    assert Tiling(256, 16).halved(60, 60) is None
    assert Tiling(256, 16, strict=True).halved(1000, 1000) is None


def test_the_smallest_tiles_that_are_faded_have_room_for_it() -> None:
    smallest = Tiling(Tiling(128, 16, faded=True).smallest_px, 16, faded=True)
    for length in range(97, 900):
        cores = {tile.core_x1 - tile.core_x0 for tile in plan_tiles(200, length, smallest)}
        assert min(cores) >= 2 * 16, length


def test_a_person_may_choose_the_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = noise(70, 60)
    monkeypatch.setenv("UPSCALE_BENCH_PLUGINS", "tests.fakes")
    enlarged = upscalers.upscale(Image.fromarray(picture), "fake-wide", 2, tile_px=64, sleep=0.0)
    np.testing.assert_array_equal(np.asarray(enlarged), repeat_pixels(picture, 2))
    with pytest.raises(UsageError, match="fake-wide takes tiles of 64 pixels or more at x2; got 40"):
        upscalers.create("fake-wide", 2, tile_px=40)
    spec = upscalers.get("fake-wide")
    assert spec.with_tile(2, 64).tiling[2] == Tiling(64, 8)
    assert spec.with_tile(2, 64).tiling[4] == spec.tiling[4]
    assert spec.with_tile(2, None) is spec
    assert upscalers.get("bicubic").with_tile(2, 1) is upscalers.get("bicubic")
    assert upscalers.get("sd-x4-upscaler").with_tile(4, 101).tiling[4].tile_px == 96


def test_a_plan_notes_the_chosen_tiles_where_they_mean_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_PLUGINS", "tests.fakes")
    made = {row.upscaler: row for row in Plan(scale=2, upscaler_ids=["bicubic", "fake-wide"], tile_px=64).rows()}
    assert (made["bicubic"].tile_limit, made["fake-wide"].tile_limit) == (None, 64)
    with pytest.raises(UsageError, match="got 0"):
        Plan(scale=2, upscaler_ids=["bicubic"], tile_px=0)
