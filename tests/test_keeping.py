"""How long comparisons stay: the old and the many go, pinned ones never do unasked."""

import datetime
import os
from pathlib import Path

import pytest
from filelock import FileLock

from benchmark import jobs, keeping
from benchmark.plan import Plan
from core.errors import UsageError
from core.settings import settings
from tests.pictures import noise, png

MB = 1_000_000


def stored(*, days: float, size_bytes: int = 0, pinned: bool = False) -> Path:
    """A comparison that began and ended so many days ago."""
    directory = jobs.create(Plan(scale=2, upscaler_ids=["bicubic"]), png(noise(8, 8)), name="a.png", user="a")
    job = jobs.load(directory)
    job.created_at = job.finished_at = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)).isoformat()
    job.state, job.pinned = "done", pinned
    jobs.save(directory, job)
    (directory / "filler.png").write_bytes(bytes(size_bytes))
    return directory


def left(*directories: Path) -> list[bool]:
    keeping.expire()
    return [directory.exists() for directory in directories]


def test_old_comparisons_expire_and_pinned_ones_stay() -> None:
    old, fresh, pinned = stored(days=31), stored(days=29), stored(days=400)
    keeping.pin(pinned, pinned=True)
    assert left(old, fresh, pinned) == [False, True, True]
    keeping.pin(pinned, pinned=False)
    assert left(pinned) == [False]


def test_the_day_on_which_one_expires_is_told() -> None:
    job = jobs.load(stored(days=0))
    job.created_at = "2026-01-31T23:30:00+00:00"
    assert keeping.kept_until(job) == "2026-03-02T23:30:00+00:00"
    job.pinned = True
    assert keeping.kept_until(job) is None


def test_the_oldest_go_when_the_store_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_MAX_STORE_MIB", "1")
    assert left(*(stored(days=days, size_bytes=MB * 6 // 10) for days in (1, 2, 3))) == [True, False, False]


def test_pinned_comparisons_take_space_from_the_others_and_are_never_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_MAX_STORE_MIB", "2")
    pinned = [stored(days=days, size_bytes=MB * 7 // 10, pinned=True) for days in (5, 400)]
    others = [stored(days=days, size_bytes=MB * 4 // 10) for days in (1, 2)]
    assert left(*pinned, *others) == [True, True, True, False]
    assert keeping.pinned_mib() * 2**20 == pytest.approx(2 * MB * 7 // 10, rel=0.01)


def test_where_pinned_ones_fill_the_store_a_comparison_still_has_its_first_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_MAX_STORE_MIB", "1")
    pinned = [stored(days=9, size_bytes=MB, pinned=True) for _ in range(2)]
    assert left(*pinned, stored(days=0.9 / 24), stored(days=1.1 / 24)) == [True, True, True, False]


def test_directories_that_no_comparison_owns_are_removed_after_a_day() -> None:
    orphan = settings().comparisons / ("B" * 16)
    orphan.mkdir(parents=True)
    assert left(orphan) == [True]
    os.utime(orphan, (0, 0))
    assert left(orphan) == [False]


def test_one_that_somebody_is_changing_is_looked_at_again_the_next_time() -> None:
    old = stored(days=31)
    with FileLock(old / jobs.LOCK):
        assert left(old) == [True]
    assert left(old) == [False]


def test_one_that_runs_or_is_gone_can_not_be_pinned() -> None:
    directory = jobs.create(Plan(scale=2, upscaler_ids=["bicubic"]), png(noise(8, 8)), name="a.png", user="a")
    with pytest.raises(UsageError, match="still runs"):
        keeping.pin(directory, pinned=True)
    assert not jobs.load(directory).pinned
    jobs.delete(directory.name)
    with pytest.raises(UsageError, match="no longer here"):
        keeping.pin(directory, pinned=True)
    assert not directory.exists()
