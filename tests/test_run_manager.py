"""The runs of a server: one after another, seen by everybody, stopped, gone on with, and deleted with all that belongs to them."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.jobs import SERVER_STOPPED
from benchmark.runs.folder import folder_of, working_on
from benchmark.runs.manager import RunManager
from benchmark.runs.overview import RunView
from benchmark.storage.records import Execution
from benchmark.storage.store import Store
from benchmark.workers.local_engine import LocalEngine
from core.errors import AppError, BusyError
from tests.engine_helpers import wait_until
from tests.run_helpers import PLUGINS, command, make_set, plan_of, problems, run_command, substance

SLEEPY = {"fake-good": {"sleep": 0.2}}


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_PLUGINS", PLUGINS)


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    started = LocalEngine()
    yield started
    started.close()


@pytest.fixture
def manager(engine: LocalEngine) -> Iterator[RunManager]:
    made = RunManager(engine)
    yield made
    made.close()


def view(manager: RunManager, name: str) -> RunView:
    found = manager.find(name)
    assert found is not None
    return found


def wait_for(manager: RunManager, name: str, state: str) -> RunView:
    wait_until(lambda: view(manager, name).state == state, 60)
    return view(manager, name)


def test_runs_are_computed_in_turn_and_one_that_waits_can_be_taken_back(manager: RunManager, tmp_path: Path) -> None:
    first, second, third = (
        manager.start(plan_of(make_set(tmp_path / name, 3), upscaler_ids=("bicubic", "fake-good"), options=SLEEPY)) for name in "abc"
    )
    running = wait_for(manager, first, "running")
    assert running.active
    assert [each.run.name for each in manager.all()][:3] == [first, second, third]
    assert {view(manager, second).state, view(manager, third).state} == {"waiting"}
    manager.stop(second)
    assert view(manager, second).state == "planned"
    with pytest.raises(BusyError, match="being worked on"):
        manager.go_on(first)
    done = wait_for(manager, third, "done")
    assert (done.counts.done, done.counts.failed, done.counts.total) == (6, 0, 6)
    assert view(manager, first).state == "done"
    assert view(manager, second).counts.done == 0
    assert [each.run.name for each in manager.all()] == [third, second, first]


def test_a_stopped_run_goes_on_as_it_was_begun_and_ends_as_if_nothing_had_been(manager: RunManager, store: Store, tmp_path: Path) -> None:
    plan = plan_of(make_set(tmp_path / "set", 6), upscaler_ids=("bicubic", "fake-good"), options=SLEEPY)
    name = manager.start(plan, Execution(workers=2, keep_images=True))
    wait_until(lambda: view(manager, name).counts.done >= 7, 60)
    manager.stop(name)
    stopped = wait_for(manager, name, "stopped")
    assert 7 <= stopped.counts.done < 12
    assert stopped.reason is None
    before = substance(store, store.run(name))
    # Another server, which was never told how the run is computed.
    other_engine = LocalEngine()
    other = RunManager(other_engine)
    try:
        other.go_on(name)
        wait_for(other, name, "done")
    finally:
        other.close()
        other_engine.close()
    cells = list(store.finished(store.run(name)))
    assert {cell.row.workers for cell in cells} == {2}
    assert all(cell.output_sha256 for cell in cells)
    after = substance(store, store.run(name))
    assert len(after) == 12
    assert {key: after[key] for key in before} == before
    assert problems(store) == []


def test_a_run_is_interrupted_when_its_server_ends_or_is_killed_and_none_is_begun_then(
    manager: RunManager, engine: LocalEngine, store: Store, tmp_path: Path
) -> None:
    name, waiting = (
        manager.start(plan_of(make_set(tmp_path / name, 6), upscaler_ids=("bicubic", "fake-good"), options=SLEEPY)) for name in "ab"
    )
    wait_until(lambda: view(manager, name).counts.done >= 7, 60)
    manager.close()
    engine.close()
    assert (store.run(name).state, store.run(name).reason) == ("stopped", SERVER_STOPPED)
    later = RunManager(engine)
    assert wait_for(later, name, "interrupted").counts.done >= 7
    assert view(later, waiting).state == "planned"
    assert engine._host is None
    # A killed host leaves no word at all.
    store.set_state(store.run(name), "running")
    assert view(RunManager(engine), name).state == "interrupted"
    with working_on(name):
        assert view(RunManager(engine), name).state == "elsewhere"
    later.close()


def test_a_run_that_is_just_being_prepared_when_the_server_ends_is_not_begun(
    manager: RunManager, engine: LocalEngine, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(make_set(tmp_path / "set", 1))
    store.create("test", plan)
    monkeypatch.setattr("benchmark.runs.manager._plan_again", lambda *_: manager.close() or plan)
    manager.go_on("test")
    wait_until(lambda: manager._worker is None)
    manager.go_on("test")
    assert manager._worker is None
    assert engine._host is None
    assert store.run("test").state == "planned"


def test_a_run_of_the_command_line_is_seen_and_left_alone(manager: RunManager, tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", 8)
    arguments = ("--scales", "2", "--upscalers", "bicubic,fake-good", "--option", "fake-good.sleep=0.3", "--run", "theirs")
    running = subprocess.Popen(command("run", "--dataset", folder, *arguments), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: manager.find("theirs") and view(manager, "theirs").state == "elsewhere" and view(manager, "theirs").per_s, 60)
        manager.stop("theirs")
        for attempt in (manager.go_on, manager.delete):
            with pytest.raises(BusyError, match="being worked on"):
                attempt("theirs")
    finally:
        assert running.wait(60) == 0
    assert wait_for(manager, "theirs", "done").counts.done == 16


def test_a_run_on_a_cluster_is_followed_like_one_here_and_its_refusal_is_shown(
    manager: RunManager, engine: LocalEngine, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    go = threading.Event()

    def run_dataset(name: str, **how: object) -> Iterator[dict[str, object]]:
        asked.append(how)
        yield {"run": name, "state": "running", "total": 3, "done": 1, "failed": 0, "expected_s": 8.0}
        go.wait(60)
        yield {"run": name, "state": "paused", "reason": "The Ray cluster at 10.0.0.7:6379 lets anybody in."}

    monkeypatch.setattr(engine, "run_dataset", run_dataset)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    name = manager.start(plan_of(make_set(tmp_path / "set", 3)), Execution(5, engine="ray"))
    running = wait_for(manager, name, "running")
    assert (running.counts.done, running.counts.total, running.left_s) == (1, 3, 8.0)
    go.set()
    wait_until(lambda: not view(manager, name).active, 60)
    assert view(manager, name).reason == "The Ray cluster at 10.0.0.7:6379 lets anybody in."
    manager.go_on(name)
    wait_until(lambda: len(asked) == 2 and not view(manager, name).active, 60)
    # Never one that lets anybody in: only who types a command may say so.
    cluster = {"address": "10.0.0.7:6379", "allow_open": False}
    assert asked == [{"workers": 5, "keep_images": False, "cluster": cluster}] * 2


def test_failed_cells_have_reasons_and_are_tried_again_when_asked(manager: RunManager, own_home: Path, tmp_path: Path) -> None:
    name = manager.start(plan_of(make_set(tmp_path / "set", 3), upscaler_ids=("bicubic", "fake-once")))
    done = wait_for(manager, name, "done")
    assert (done.counts.done, done.counts.failed) == (3, 3)
    listed = manager.failures(done, 2)
    assert [(each.picture, each.upscaler, each.status) for each in listed] == [
        ("0.png", "fake-once", "crashed"),
        ("1.png", "fake-once", "crashed"),
    ]
    assert all(each.reason for each in listed)
    assert [(each.upscaler, each.done, each.failed, each.total) for each in manager.shares(done)] == [
        ("bicubic", 3, 0, 3),
        ("fake-once", 0, 3, 3),
    ]
    (own_home / "calm").touch()
    manager.go_on(name)
    wait_until(lambda: not view(manager, name).active, 60)
    assert view(manager, name).counts.failed == 3
    manager.go_on(name, retry_failed=True)
    wait_until(lambda: view(manager, name).counts.done == 6, 60)


def test_a_run_of_the_command_line_goes_on_here_as_it_was_begun_there(
    manager: RunManager, store: Store, own_home: Path, tmp_path: Path
) -> None:
    folder = make_set(tmp_path / "set", 3, width=80, height=80)
    asked = ("--scales", "2", "--upscalers", "bicubic,fake-good,fake-once", "--metrics", "gmsd", "--tile", "32", "--run", "theirs")
    done = run_command("run", "--dataset", folder, *asked, "--workers", "2", "--keep-images")
    assert (done.returncode, store.run("theirs").execution) == (1, Execution(2, keep_images=True, engine="local"))
    (own_home / "calm").touch()
    manager.go_on("theirs", retry_failed=True)
    wait_until(lambda: view(manager, "theirs").counts.done == 9 or view(manager, "theirs").reason, 60)
    assert view(manager, "theirs").reason is None
    again = [cell for cell in store.finished(store.run("theirs")) if cell.row.upscaler == "fake-once"]
    assert [(cell.row.workers, cell.output_sha256 is not None) for cell in again] == [(2, True)] * 3
    assert all("gmsd" in (cell.row.scores or {})["rgb"].more for cell in again)


def test_a_run_whose_pictures_changed_says_so_and_keeps_what_it_has(manager: RunManager, store: Store, tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", 3)
    plan = plan_of(folder)
    store.create("test", plan)
    (folder / "0.png").unlink()
    manager.go_on("test")
    wait_until(lambda: view(manager, "test").reason, 60)
    assert "the pictures of set have changed since (3 then, 2 now)" in (view(manager, "test").reason or "")
    assert view(manager, "test").state == "planned"


def test_a_deleted_run_leaves_nothing(manager: RunManager, store: Store, tmp_path: Path) -> None:
    kept, deleted = (manager.start(plan_of(make_set(tmp_path / name, 2)), Execution(keep_images=True)) for name in "ab")
    wait_for(manager, deleted, "done")
    wait_for(manager, kept, "done")
    assert len(list(folder_of(deleted).iterdir())) == 2
    before = substance(store, store.run(kept))
    manager.delete(deleted)
    assert [each.run.name for each in manager.all()] == [kept]
    assert not folder_of(deleted).exists()
    assert substance(store, store.run(kept)) == before
    with store.engine.connect() as connection:
        counts = {
            table: connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar()
            for table in ("run", "dataset", "picture", "cell", "score")
        }
    assert counts == {"run": 1, "dataset": 1, "picture": 2, "cell": 2, "score": 6}
    assert problems(store) == []
    with pytest.raises(AppError, match="There is no run"):
        manager.delete(deleted)


def test_the_same_again_goes_on_instead_of_beginning_anew(manager: RunManager, store: Store, tmp_path: Path) -> None:
    plan = plan_of(make_set(tmp_path / "set", 2))
    name = manager.start(plan)
    wait_for(manager, name, "done")
    before = [cell.id for cell in store.finished(store.run(name))]
    assert manager.start(plan) == name
    wait_until(lambda: not view(manager, name).active, 60)
    assert [cell.id for cell in store.finished(store.run(name))] == before
    assert len(manager.all()) == 1


def test_the_sets_that_were_run_are_known_once_each_the_latest_first(manager: RunManager, store: Store, tmp_path: Path) -> None:
    first, second = (make_set(tmp_path / name, 1) for name in ("a", "b"))
    for number, folder in enumerate((first, second, first)):
        store.create(f"run {number}", plan_of(folder))
    assert [(each.name, each.root) for each in manager.sets_run_before()] == [("a", first), ("b", second)]
