"""A run that was stopped, in whatever way, goes on with the same command and ends as if nothing had been."""

import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from benchmark.storage.store import Store
from tests.engine_helpers import wait_until
from tests.run_helpers import PLUGINS, command, make_set, problems, run_command, substance

QUICK = ("--scales", "2", "--upscalers", "bicubic,fake-good", "--keep-images")
SLOW = (*QUICK, "--option", "fake-good.sleep=0.15")


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_PLUGINS", PLUGINS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_set(tmp_path / "set", 6)


def assert_as_undisturbed(store: Store, folder: Path, options: tuple[str, ...] = SLOW) -> None:
    """The interrupted run `test` is complete and equals one in peace: rows in every digit, and pictures."""
    done = run_command("run", "--dataset", folder, *options, "--run", "in-peace")
    assert done.returncode == 0, done.stderr
    disturbed, in_peace = store.run("test"), store.run("in-peace")
    assert store.counts(disturbed).waiting == 0
    assert substance(store, disturbed) == substance(store, in_peace)
    assert pictures(disturbed.folder) == pictures(in_peace.folder)
    assert problems(store) == []


def pictures(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    arguments = command("run", "--dataset", folder, *(options or SLOW), "--run", "test")
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def saved(store: Store) -> int:
    run = store.find_run("test")
    return store.counts(run).done if run else 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_in_order_and_the_same_command_goes_on(
    folder: Path, store: Store, number: signal.Signals, code: int
) -> None:
    running = start(folder)
    wait_until(lambda: saved(store) >= 7, 60)
    running.send_signal(number)
    stopped_at = time.monotonic()
    _, errors = running.communicate(timeout=60)
    assert running.returncode == code
    assert time.monotonic() - stopped_at < 10
    assert "The same command goes on." in errors
    assert "Traceback" not in errors
    assert store.run("test").state == "stopped"
    assert 7 <= saved(store) < 12
    if number == signal.SIGINT:
        done = run_command("run", "--dataset", folder, *SLOW, "--run", "test", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["cells_done"] == 12
        assert_as_undisturbed(store, folder)


@pytest.mark.parametrize("fault", ["before-commit:2", "after-commit:2"])
def test_a_kill_around_a_commit_loses_nothing_that_was_saved_and_leaves_no_half(folder: Path, store: Store, fault: str) -> None:
    broken = run_command("run", "--dataset", folder, *SLOW, "--run", "test", RUN_FAULT=fault)
    assert broken.returncode == 1
    assert broken.stderr.splitlines()[-2:] == ["The engine stopped; what it had saved stays.", "The same command goes on."]
    before = substance(store, store.run("test"))
    assert len(before) > 0
    kinds = {problem.kind for problem in problems(store)}
    assert kinds == ({"orphan"} if fault.startswith("before") else set())
    # What a power failure may leave as well.
    (store.run("test").folder / ".half.png.x").write_bytes(b"half")
    (store.run("test").folder / f"{'0' * 64}.png").write_bytes(b"of no row")
    done = run_command("run", "--dataset", folder, *SLOW, "--run", "test")
    assert done.returncode == 0, done.stderr
    assert problems(store) == []
    after = substance(store, store.run("test"))
    assert len(after) == 12
    assert {key: after[key] for key in before} == before


def test_a_store_without_space_pauses_the_run_and_says_so(folder: Path, store: Store) -> None:
    paused = run_command("run", "--dataset", folder, *QUICK, "--run", "test", RUN_FAULT="full:2")
    assert paused.returncode == 1
    assert "store: no space is left." in paused.stderr
    assert "Traceback" not in paused.stderr
    assert store.run("test").state == "paused"
    assert 0 < saved(store) < 12
    assert run_command("run", "--dataset", folder, *QUICK, "--run", "test").returncode == 0
    assert saved(store) == 12
    assert problems(store) == []


def test_a_full_disk_pauses_the_run_and_no_row_names_half_a_picture(tmp_path: Path, store: Store) -> None:
    folder = make_set(tmp_path / "set", 2)
    # The largest comes last; its result alone is larger than what the disk takes.
    make_set(tmp_path / "large", 1, width=600, height=400)
    (tmp_path / "large" / "0.png").rename(folder / "9.png")
    options = ("--scales", "2", "--upscalers", "bicubic", "--keep-images", "--run", "test")

    def little_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, resource.RLIM_INFINITY))

    paused = subprocess.run(
        command("run", "--dataset", folder, *options), capture_output=True, text=True, timeout=120, check=False, preexec_fn=little_space
    )
    assert paused.returncode == 1
    assert "Pictures can't be kept in" in paused.stderr
    assert "Traceback" not in paused.stderr
    assert (store.run("test").state, saved(store), store.counts(store.run("test")).waiting) == ("paused", 2, 1)
    assert problems(store) == []
    assert run_command("run", "--dataset", folder, *options).returncode == 0
    assert saved(store) == 3
    assert problems(store) == []


def storm(folder: Path, kills: int, seed: int) -> None:
    """Kill the command, the host or a worker at random moments, each time starting again, and let the last one end in peace."""
    moments = random.Random(seed)
    for _ in range(kills):
        running = start(folder)
        time.sleep(moments.uniform(0.5, 6.0))
        family = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)] if running.poll() is None else []
        if family:
            victim = moments.choice([family[0], family[min(1, len(family) - 1)], moments.choice(family)])
            if victim.is_running():
                os.kill(victim.pid, signal.SIGKILL)
        running.communicate(timeout=120)
    done = run_command("run", "--dataset", folder, *SLOW, "--run", "test")
    assert done.returncode == 0, done.stderr


def test_three_kills_at_random_moments_change_nothing(folder: Path, store: Store) -> None:
    storm(folder, 3, seed=1)
    assert_as_undisturbed(store, folder)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_thirty_kills_at_random_moments_change_nothing(tmp_path: Path, store: Store) -> None:
    folder = make_set(tmp_path / "many", 120)
    storm(folder, 30, seed=2)
    assert_as_undisturbed(store, folder)
