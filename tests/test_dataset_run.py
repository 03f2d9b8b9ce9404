"""Whole data sets through the engine: what fails is a cell with a reason, everything else goes on, and nothing is computed twice."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from benchmark.runs.cells import CellResult
from benchmark.runs.folder import working_on
from benchmark.storage.store import Store
from benchmark.workers.local_engine import LocalEngine
from core.errors import BusyError, UnknownIdError, UsageError
from tests.engine_helpers import wait_until
from tests.pictures import noise, png
from tests.run_helpers import PLUGINS, cells_of, compute, make_set, plan_of, problems, statuses, substance

SLEEPY = {"fake-good": {"sleep": 30}}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Store]:
    """A store whose runs may use the fakes."""
    monkeypatch.setenv("UPSCALE_BENCH_PLUGINS", PLUGINS)
    monkeypatch.setenv("FAKE_MARKER", str(tmp_path / "marker"))
    with Store.open() as opened:
        yield opened


def test_a_bad_file_is_a_failed_cell_and_the_others_are_done(store: Store, tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", 2)
    (folder / "empty.png").write_bytes(b"")
    (folder / "half.png").write_bytes(png(noise(40, 30))[:500])
    (folder / "text.png").write_text("no picture")
    (folder / "tiny.png").write_bytes(png(noise(1, 1)))
    Image.new("RGB", (20, 20)).save(folder / "two.tif", save_all=True, append_images=[Image.new("RGB", (20, 20), "red")])
    Image.new("RGB", (30, 30), "red").save(folder / "fine.jpg")
    event = compute(store, plan_of(folder, upscaler_ids=("bicubic", "nearest")), keep_images=True)
    assert event["state"] == "done"
    reasons = {picture: cell.row.reason for (picture, upscaler), cell in cells_of(store).items() if upscaler == "nearest"}
    assert {picture: reason and reason.split(":")[0].split(".")[0] for picture, reason in reasons.items()} == {
        "0.png": None,
        "1.png": None,
        "empty.png": "File is empty",
        "fine.jpg": None,
        "half.png": "Image is damaged or incomplete",
        "text.png": "Not a supported image (PNG, JPEG, WebP, TIFF, BMP)",
        "tiny.png": "The picture is 1x1 pixels; a comparison at x2 needs at least 2x2",
        "two.tif": "The file holds several frames; a set takes single pictures",
    }
    for (picture, _), cell in cells_of(store).items():
        assert (cell.row.scores is None) == (reasons[picture] is not None)
        assert (cell.pixels_sha256 is None) == (reasons[picture] is not None)
    assert problems(store) == []


def test_a_picture_that_changed_after_planning_is_a_failed_cell(store: Store, tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", 2)
    plan = plan_of(folder)
    store.create("test", plan)
    (folder / "1.png").write_bytes(png(noise(40, 30, seed=77)))
    compute(store, plan)
    assert statuses(store) == {"bicubic": ["ok", "failed"]}
    assert "not as it was when the run was planned" in (cells_of(store)["1.png", "bicubic"].row.reason or "")


def test_what_a_model_does_wrong_stays_with_its_cells(store: Store, tmp_path: Path) -> None:
    """A crash is tried once more; a model that crashes on two pictures in a row is given up; a hang ends at its deadline."""
    folder = make_set(tmp_path / "set", 3)
    ids = ("bicubic", "fake-crash", "fake-crash-once", "fake-nan", "fake-good")
    started = time.monotonic()
    assert compute(store, plan_of(folder, upscaler_ids=ids))["state"] == "done"
    assert statuses(store) == {
        "bicubic": ["ok", "ok", "ok"],
        "fake-crash": ["crashed", "crashed", "skipped"],
        "fake-crash-once": ["ok", "ok", "ok"],
        "fake-nan": ["failed", "failed", "failed"],
        "fake-good": ["ok", "ok", "ok"],
    }
    reasons = {place: cell.row.reason or "" for place, cell in cells_of(store).items()}
    assert "crashed or hung on 2 pictures in a row" in reasons["2.png", "fake-crash"]
    # Page and command line say each in their own words what to do.
    assert not any("--" in reason for reason in reasons.values())
    assert time.monotonic() - started < 60
    assert problems(store) == []


def test_a_model_that_hangs_is_ended_at_its_deadline(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Loading counts too, and a busy machine takes its time for that.
    monkeypatch.setenv("UPSCALE_BENCH_STALL_TIMEOUT_S", "8")
    folder = make_set(tmp_path / "set", 1)
    plan = plan_of(folder, upscaler_ids=("fake-hang", "nearest"))
    compute(store, plan)
    assert statuses(store) == {"fake-hang": ["timeout"], "nearest": ["ok"]}


def test_a_killed_worker_costs_one_picture_a_second_try_and_nothing_else(store: Store, tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", 3)
    plan = plan_of(folder, upscaler_ids=("fake-good",), options={"fake-good": {"sleep": 1.0}})
    store.create("test", plan)
    engine = LocalEngine()
    try:
        events = engine.run_dataset("test")
        for event in events:
            if event.get("done") == 1:
                workers = [each for each in psutil.Process(engine._host.pid).children(recursive=True) if _works(each)]  # type: ignore[union-attr]
                for worker in workers:
                    worker.kill()
                break
        assert list(events)[-1]["state"] == "done"
    finally:
        engine.close()
    assert statuses(store) == {"fake-good": ["ok", "ok", "ok"]}


def _works(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.Error:
        # One that was ended a moment ago.
        return False


def test_a_cancelled_run_stops_within_two_seconds_and_goes_on_later(store: Store, tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", 2)
    plan = plan_of(folder, upscaler_ids=("bicubic", "fake-good"), options=SLEEPY)
    store.create("test", plan)
    engine = LocalEngine()
    try:
        events = engine.run_dataset("test")
        assert next(event for event in events if event["done"] == 2)
        host = psutil.Process(engine._host.pid)  # type: ignore[union-attr]
        workers: list[psutil.Process] = []
        wait_until(lambda: workers.extend(each for each in host.children(recursive=True) if _works(each)) or workers)
        started = time.monotonic()
        engine.cancel("test")
        assert list(events)[-1]["state"] == "stopped"
        wait_until(lambda: not any(_works(each) for each in workers), 5)
        assert time.monotonic() - started < 2
    finally:
        engine.close()
    assert store.run("test").state == "stopped"
    assert statuses(store) == {"bicubic": ["ok", "ok"]}
    assert store.counts(store.run("test")).waiting == 2
    assert problems(store) == []


def test_the_same_run_again_computes_nothing_again(store: Store, tmp_path: Path) -> None:
    plan = plan_of(make_set(tmp_path / "set", 2))
    compute(store, plan)
    before = list(store.finished(store.run("test")))
    assert compute(store, plan)["state"] == "done"
    assert list(store.finished(store.run("test"))) == before


def test_what_a_run_knows_of_its_models_outlives_an_interruption(store: Store, tmp_path: Path) -> None:
    """A model that was given up is not tried again, and one whose weights are others now is not mixed with its earlier results."""
    folder = make_set(tmp_path / "set", 3)
    plan = plan_of(folder, upscaler_ids=("fake-crash", "fake-good"))
    waiting = store.waiting(store.create("test", plan))
    earlier = []
    for cell in waiting:
        row = cell.row.model_copy(update={"stage": "done"})
        if row.upscaler == "fake-crash" and cell.picture < "2":
            row.status, row.reason = "crashed", "The model crashed."
            earlier.append(CellResult(cell.id, row))
        elif row.upscaler == "fake-good" and cell.picture == "0.png":
            row.status, row.weights_sha256 = "ok", "a" * 64
            earlier.append(CellResult(cell.id, row, pixels_sha256="b" * 64))
    store.save(earlier, {"processor": "Abacus 5"})
    assert compute(store, plan)["state"] == "done"
    assert statuses(store) == {"fake-crash": ["crashed", "crashed", "skipped"], "fake-good": ["ok", "unavailable", "unavailable"]}
    assert "Its weights are not those of this run's earlier results" in (cells_of(store)["1.png", "fake-good"].row.reason or "")


def test_more_workers_give_the_same_scores_and_say_so_in_their_rows(store: Store, tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", 4)
    plan = plan_of(folder, upscaler_ids=("bicubic", "fake-good"))
    compute(store, plan, "alone")
    compute(store, plan, "together", workers=2)
    assert substance(store, store.run("alone")) == substance(store, store.run("together"))
    assert {cell.row.workers for cell in store.finished(store.run("alone"))} == {1}
    assert {cell.row.workers for cell in store.finished(store.run("together"))} == {2}


def test_given_small_pictures_are_used_where_there_are_any(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "pairs"
    (root / "HR").mkdir(parents=True)
    (root / "LR_x2").mkdir()
    original, small = noise(20, 16), noise(10, 8, seed=5)
    (root / "HR" / "a.png").write_bytes(png(original))
    (root / "LR_x2" / "a.png").write_bytes(png(small))
    (root / "HR" / "b.png").write_bytes(png(original))
    (root / "LR_x2" / "b.png").write_bytes(png(noise(9, 8)))
    (root / "HR" / "c.png").write_bytes(png(original))
    event = compute(store, plan_of(root, upscaler_ids=("nearest",)), keep_images=True)
    assert event["state"] == "done"
    found = cells_of(store)
    kept = Image.open(store.run("test").folder / f"{found['a', 'nearest'].output_sha256}.png")
    assert (kept.getpixel((2, 2)), kept.size) == (tuple(small[1, 1]), (20, 16))
    assert found["a", "nearest"].row.lr_source == "file"
    assert "the small one must be 10×8" in (found["b", "nearest"].row.reason or "")
    assert "no small picture for x2" in (found["c", "nearest"].row.reason or "")
    compute(store, plan_of(root, upscaler_ids=("nearest",), lr="area"), "shrunk")
    assert {cell.row.lr_source for cell in store.finished(store.run("shrunk"))} == {"area"}
    assert statuses(store, "shrunk") == {"nearest": ["ok", "ok", "ok"]}


def test_a_plan_that_nothing_can_do_is_refused_before_anything_is_stored(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", 1)
    with pytest.raises(UsageError, match="no small pictures for x2"):
        plan_of(folder, lr="given")
    with pytest.raises(UnknownIdError, match="Did you mean 'bicubic'"):
        plan_of(folder, upscaler_ids=("bicubik",))
    with pytest.raises(UsageError, match="Two data sets have one name"):
        plan_of(folder, folder)
    with pytest.raises(UsageError, match="takes a scale of"):
        plan_of(folder, scales=(5,))


def test_a_run_that_another_process_works_on_is_not_touched() -> None:
    with working_on("test"), pytest.raises(BusyError, match="Another process works on the run 'test'"), working_on("test", wait_s=0.1):
        raise AssertionError
    with working_on("test"):
        pass
