"""Models outside the calling process: what they do wrong ends as a row, and everything else goes on."""

import io
import os
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from benchmark.plan import Plan
from benchmark.schema import Comparison, Row
from benchmark.timing import machine_lock
from benchmark.workers.local_engine import LocalEngine
from core.errors import BusyError
from tests.engine_helpers import directory, run, wait_until
from tests.fakes import repeat_pixels
from tests.pictures import noise, png, scene

SLEEPY = {"fake-good": {"sleep": 20}}


@pytest.fixture
def engine(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalEngine]:
    """An engine with the fakes, small limits, and its own store."""
    monkeypatch.setenv("UPSCALE_BENCH_PLUGINS", "tests.fakes")
    monkeypatch.setenv("UPSCALE_BENCH_STALL_TIMEOUT_S", "6")
    monkeypatch.setenv("UPSCALE_BENCH_MODEL_MEMORY_MIB", "400")
    made = LocalEngine()
    yield made
    made.close()


def rows(job: Comparison) -> dict[str, Row]:
    return {row.upscaler: row for row in job.rows}


def children_of(host_pid: int | None) -> list[psutil.Process]:
    return psutil.Process(host_pid).children(recursive=True)


def test_a_model_that_fails_is_a_row_with_a_reason_and_the_next_ones_go_on(engine: LocalEngine) -> None:
    ids = (
        "fake-crash",
        "fake-exit",
        "fake-hang",
        "fake-greedy",
        "fake-hungry",
        "fake-nan",
        "fake-defect",
        "fake-chatty",
        "fake-good",
        "bicubic",
    )
    job = run(engine, Plan(scale=2, upscaler_ids=ids, repeats=0), png(scene(40, 30)))
    assert job.state == "done"
    assert {name: row.status for name, row in rows(job).items()} == {
        "fake-crash": "crashed",
        "fake-exit": "crashed",
        "fake-hang": "timeout",
        "fake-greedy": "oom",
        "fake-hungry": "oom",
        "fake-nan": "failed",
        "fake-defect": "failed",
        "fake-chatty": "ok",
        "fake-good": "ok",
        "bicubic": "ok",
    }
    for row in job.rows:
        if row.status != "ok":
            assert row.reason
            assert "\n" not in row.reason
            assert "/secret" not in row.reason
            assert row.scores is None
            assert row.output_path is None
    assert "NaN" in str(rows(job)["fake-nan"].reason)


def test_the_stored_result_is_what_the_upscaler_gave(engine: LocalEngine) -> None:
    original = noise(32, 24)
    job = run(engine, Plan(scale=2, upscaler_ids=["fake-good"], repeats=0), png(original))
    row = job.rows[0]
    stored = np.asarray(Image.open(directory(engine, job) / str(row.output_path)))
    small = np.asarray(Image.fromarray(original).resize((16, 12), Image.Resampling.BICUBIC))
    assert np.array_equal(stored, repeat_pixels(small, 2))
    assert row.scores is not None
    mse = np.mean((stored.astype(float) - original) ** 2)
    assert row.scores["rgb"].mse == pytest.approx(mse, abs=1e-9)


def test_a_cancelled_comparison_stops_within_two_seconds_and_the_next_one_works(engine: LocalEngine) -> None:
    job_id = engine.submit(Plan(scale=2, upscaler_ids=["bicubic", "fake-good"], options=SLEEPY), png(scene(40, 30)), name="a.png", user="a")
    wait_until(lambda: rows(engine.load(job_id))["fake-good"].stage == "running")
    host = engine.load(job_id).host_pid
    before = {child.pid for child in children_of(host)}
    started = time.monotonic()
    engine.cancel(job_id)
    wait_until(lambda: not engine.load(job_id).active, 5)
    # A killed process stays in the list until its parent has noticed, which may be a moment after the state is stored.
    wait_until(lambda: before - {child.pid for child in children_of(host)}, 5)
    assert time.monotonic() - started < 2, "the process of the cancelled call still runs"
    job = engine.load(job_id)
    assert job.state == "cancelled"
    assert rows(job)["bicubic"].status == "ok"
    assert rows(job)["fake-good"].status == "cancelled"
    assert run(engine, Plan(scale=2, upscaler_ids=["fake-good"], repeats=0), png(scene(40, 30))).rows[0].status == "ok"


def test_a_waiting_comparison_can_be_cancelled(engine: LocalEngine) -> None:
    first = engine.submit(Plan(scale=2, upscaler_ids=["fake-good"], options=SLEEPY), png(scene(40, 30)), name="a.png", user="a")
    second = engine.submit(Plan(scale=2, upscaler_ids=["bicubic"]), png(scene(40, 30)), name="b.png", user="a")
    engine.cancel(second)
    engine.cancel(first)
    wait_until(lambda: not engine.load(second).active, 5)
    assert engine.load(second).state == "cancelled"
    assert engine.load(second).rows[0].status == "cancelled"


def test_users_are_served_in_turn(engine: LocalEngine) -> None:
    slow = Plan(
        scale=2,
        upscaler_ids=["fake-good", "fake-tiled", "nearest"],
        options={"fake-good": {"sleep": 1}, "fake-tiled": {"sleep": 0.05}},
        repeats=3,
    )
    first = engine.submit(slow, png(scene(64, 64)), name="a.png", user="first")
    second = engine.submit(Plan(scale=2, upscaler_ids=["bicubic"], repeats=1), png(scene(40, 30)), name="b.png", user="second")
    wait_until(lambda: not engine.load(second).active)
    assert engine.load(first).active, "the second user waited for all of the first one's calls"
    engine.cancel(first)


def test_one_user_may_not_fill_the_queue(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_MAX_JOBS", "4")
    plan, source = Plan(scale=2, upscaler_ids=["fake-good"], options=SLEEPY), png(scene(40, 30))
    jobs = [engine.submit(plan, source, name="a.png", user="greedy") for _ in range(3)]
    with pytest.raises(BusyError, match="3 of your comparisons"):
        engine.submit(plan, source, name="a.png", user="greedy")
    jobs.append(engine.submit(plan, source, name="b.png", user="other"))
    with pytest.raises(BusyError, match="4 comparisons are waiting"):
        engine.submit(plan, source, name="c.png", user="third")
    for job_id in jobs:
        engine.cancel(job_id)


def test_a_killed_host_leaves_a_readable_comparison_and_is_replaced(engine: LocalEngine) -> None:
    job_id = engine.submit(Plan(scale=2, upscaler_ids=["bicubic", "fake-good"], options=SLEEPY), png(scene(40, 30)), name="a.png", user="a")
    wait_until(lambda: rows(engine.load(job_id))["fake-good"].stage == "running")
    host = engine.load(job_id).host_pid
    assert host is not None
    workers = children_of(host)
    os.kill(host, signal.SIGKILL)
    wait_until(lambda: not engine.load(job_id).active, 5)
    job = engine.load(job_id)
    assert job.state == "cancelled"
    assert job.reason == "The server was stopped. Run again."
    assert rows(job)["bicubic"].status == "ok"
    assert (directory(engine, job) / str(rows(job)["bicubic"].output_path)).is_file()
    wait_until(lambda: not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers), 5)
    assert run(engine, Plan(scale=2, upscaler_ids=["bicubic"], repeats=0), png(scene(40, 30))).state == "done"


def test_closing_the_engine_leaves_no_process(engine: LocalEngine) -> None:
    job_id = engine.submit(Plan(scale=2, upscaler_ids=["fake-good"], options=SLEEPY), png(scene(40, 30)), name="a.png", user="a")
    wait_until(lambda: engine.load(job_id).rows[0].stage == "running")
    host = psutil.Process(engine.load(job_id).host_pid)
    everyone = [host, *host.children(recursive=True)]
    engine.close()
    wait_until(lambda: not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in everyone), 5)
    assert engine.load(job_id).state == "cancelled"


def test_warm_models_are_kept_and_say_so(engine: LocalEngine) -> None:
    plan, source = Plan(scale=2, upscaler_ids=["fake-good"], repeats=0), png(scene(40, 30))
    assert run(engine, plan, source).rows[0].was_warm is False
    assert run(engine, plan, source).rows[0].was_warm is True


def test_without_a_memory_budget_models_are_unloaded(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WARM_MEMORY_MIB", "1")
    source = png(scene(40, 30))
    run(engine, Plan(scale=2, upscaler_ids=["fake-good"], repeats=0), source)
    run(engine, Plan(scale=2, upscaler_ids=["fake-tiled"], repeats=0), source)
    assert run(engine, Plan(scale=2, upscaler_ids=["fake-good"], repeats=0), source).rows[0].was_warm is False


def test_repeats_are_exactly_as_asked_and_none_means_half_a_second_or_twenty(engine: LocalEngine) -> None:
    source = png(scene(40, 30))
    asked = run(engine, Plan(scale=2, upscaler_ids=["fake-good", "bicubic"], repeats=3), source)
    assert [row.repeats for row in asked.rows] == [3, 3]
    free = rows(run(engine, Plan(scale=2, upscaler_ids=["fake-good", "bicubic"], options={"fake-good": {"sleep": 0.2}}), source))
    assert free["bicubic"].repeats == 20
    assert free["fake-good"].repeats == 3
    assert free["fake-good"].warm_p50_s == pytest.approx(0.2, abs=0.05)


def test_tiles_are_reported_and_give_the_same_pixels(engine: LocalEngine) -> None:
    plan = Plan(scale=2, upscaler_ids=["fake-tiled"], mode="as-is", options={"fake-tiled": {"sleep": 0.15}}, repeats=0)
    source = noise(60, 30)
    job_id = engine.submit(plan, png(source), name="a.png", user="a")
    seen = set()
    while engine.load(job_id).active:
        row = engine.load(job_id).rows[0]
        if row.stage == "running":
            seen.add((row.tiles_done, row.tiles_total))
        time.sleep(0.02)
    job = engine.load(job_id)
    assert len(seen) > 3
    # Two rows of six: 17x14 px read by the largest, of 16x16 that it may.
    assert {total for _, total in seen} <= {0, 12}
    assert job.rows[0].tile == 16
    assert job.rows[0].scores is None
    stored = np.asarray(Image.open(directory(engine, job) / str(job.rows[0].output_path)))
    assert np.array_equal(stored, repeat_pixels(source, 2))


def test_transparency_is_enlarged_apart_and_scored_on_white(engine: LocalEngine) -> None:
    rgba = np.dstack([noise(32, 24), np.full((24, 32), 128, np.uint8)])
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG")
    job = run(engine, Plan(scale=2, upscaler_ids=["fake-good"], repeats=0), buffer.getvalue())
    stored = np.asarray(Image.open(directory(engine, job) / str(job.rows[0].output_path)))
    assert stored.shape == (24, 32, 4)
    assert (stored[..., 3] == 128).all()
    white = np.rint(rgba[..., :3] * (128 / 255) + 255 * (127 / 255))
    result = np.rint(stored[..., :3] * (128 / 255) + 255 * (127 / 255))
    assert job.rows[0].scores is not None
    assert job.rows[0].scores["rgb"].mse == pytest.approx(np.mean((white - result) ** 2), abs=1e-6)
    assert job.image is not None
    assert any("white" in note for note in job.image.notes)


def test_a_picture_that_can_not_be_used_fails_the_comparison_in_one_line(engine: LocalEngine) -> None:
    job = run(engine, Plan(scale=4, upscaler_ids=["bicubic"]), png(noise(3, 9)))
    assert job.state == "failed"
    assert job.reason
    assert "\n" not in job.reason
    assert job.rows[0].status == "cancelled"


def test_warm_times_are_of_the_row_s_own_picture_while_another_user_uses_the_same_model(engine: LocalEngine) -> None:
    large = engine.submit(Plan(scale=2, upscaler_ids=["lanczos"], repeats=40), png(noise(1200, 1200)), name="a.png", user="large")
    small = engine.submit(Plan(scale=2, upscaler_ids=["lanczos"], repeats=40), png(noise(16, 16)), name="b.png", user="small")
    wait_until(lambda: not engine.load(large).active and not engine.load(small).active, 60)
    slow, quick = engine.load(large).rows[0], engine.load(small).rows[0]
    assert (slow.repeats, quick.repeats) == (40, 40)
    assert slow.warm_p50_s is not None
    assert quick.warm_p50_s is not None
    assert slow.warm_p50_s > 10 * quick.warm_p50_s


def test_models_that_do_not_fit_together_are_loaded_again_when_timed(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WARM_MEMORY_MIB", "1")
    job = run(engine, Plan(scale=2, upscaler_ids=["fake-good", "fake-tiled"], repeats=2), png(scene(40, 30)))
    assert [(row.status, row.repeats) for row in job.rows] == [("ok", 2), ("ok", 2)]


def test_cancelling_one_comparison_leaves_the_rows_of_another_user_alone(engine: LocalEngine) -> None:
    other = engine.submit(
        Plan(scale=2, upscaler_ids=["bicubic", "fake-good"], repeats=30), png(scene(200, 200)), name="a.png", user="other"
    )
    mine = engine.submit(Plan(scale=2, upscaler_ids=["bicubic", "fake-good"], repeats=900), png(scene(200, 200)), name="b.png", user="me")
    wait_until(lambda: engine.load(mine).rows[0].stage == "timing")
    engine.cancel(mine)
    wait_until(lambda: not engine.load(other).active, 60)
    assert [(row.status, row.repeats) for row in engine.load(other).rows] == [("ok", 30), ("ok", 30)]


def test_a_comparison_deleted_while_it_runs_does_not_stop_the_next_one(engine: LocalEngine) -> None:
    job_id = engine.submit(Plan(scale=2, upscaler_ids=["fake-good"], options=SLEEPY), png(scene(40, 30)), name="a.png", user="a")
    wait_until(lambda: engine.load(job_id).rows[0].stage == "running")
    shutil.rmtree(engine.root / job_id)
    engine.cancel(job_id)
    assert run(engine, Plan(scale=2, upscaler_ids=["bicubic"], repeats=0), png(scene(40, 30))).state == "done"


def test_a_cancel_does_not_wait_for_another_program_that_holds_the_machine(engine: LocalEngine) -> None:
    with machine_lock():
        job_id = engine.submit(Plan(scale=2, upscaler_ids=["bicubic"]), png(scene(40, 30)), name="a.png", user="a")
        wait_until(lambda: engine.load(job_id).state == "running")
        time.sleep(0.3)
        assert engine.load(job_id).rows[0].status is None
        engine.cancel(job_id)
        assert wait_until(lambda: not engine.load(job_id).active, 5) < 2
    assert run(engine, Plan(scale=2, upscaler_ids=["bicubic"], repeats=0), png(scene(40, 30))).state == "done"


def test_a_comparison_waiting_behind_a_long_call_is_cancelled_at_once(engine: LocalEngine) -> None:
    first = engine.submit(Plan(scale=2, upscaler_ids=["fake-good"], options=SLEEPY), png(scene(40, 30)), name="a.png", user="a")
    wait_until(lambda: engine.load(first).rows[0].stage == "running")
    second = engine.submit(Plan(scale=2, upscaler_ids=["bicubic"]), png(scene(40, 30)), name="b.png", user="b")
    engine.cancel(second)
    assert wait_until(lambda: not engine.load(second).active, 5) < 2
    assert engine.load(first).active
    engine.cancel(first)


def test_cancelling_after_the_host_died_is_harmless(engine: LocalEngine) -> None:
    job_id = engine.submit(Plan(scale=2, upscaler_ids=["fake-good"], options=SLEEPY), png(scene(40, 30)), name="a.png", user="a")
    wait_until(lambda: engine.load(job_id).rows[0].stage == "running")
    os.kill(int(engine.load(job_id).host_pid or 0), signal.SIGKILL)
    time.sleep(0.2)
    engine.cancel(job_id)
    assert engine.load(job_id).state == "cancelled"


def test_an_upload_is_not_kept_beside_a_finished_or_stopped_comparison(engine: LocalEngine) -> None:
    done = run(engine, Plan(scale=2, upscaler_ids=["bicubic"], repeats=0), png(scene(40, 30)))
    failed = run(engine, Plan(scale=4, upscaler_ids=["bicubic"], repeats=0), png(scene(2, 2)))
    for job in (done, failed):
        assert {path.suffix for path in (engine.root / job.id).iterdir()} <= {".json", ".png"}


def test_many_threads_together_get_no_more_than_the_limit(engine: LocalEngine) -> None:
    plan, source = Plan(scale=2, upscaler_ids=["fake-good"], options=SLEEPY), png(scene(40, 30))

    def submit(_: int) -> str | None:
        try:
            return engine.submit(plan, source, name="a.png", user="a")
        except BusyError:
            return None

    with ThreadPoolExecutor(8) as threads:
        accepted = [job_id for job_id in threads.map(submit, range(8)) if job_id]
    assert len(accepted) == 3
    for job_id in accepted:
        engine.cancel(job_id)
