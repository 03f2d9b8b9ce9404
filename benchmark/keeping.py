"""How long stored comparisons stay: pinned ones for good, the others until they are too old or all together are too large."""

import contextlib
import datetime
import shutil
import time
from pathlib import Path

from filelock import FileLock, Timeout

from benchmark import jobs
from benchmark.schema import Comparison
from core.errors import AppError
from core.settings import MIB, settings

DAY_S = 86_400
GRACE_S = 3600.0
"""For lack of space no comparison goes that ended less than so many seconds ago: somebody may be looking at it."""
ORPHAN_AGE_S = 86_400
"""A directory without a readable comparison is removed when it is older."""


def pin(directory: Path, *, pinned: bool) -> None:
    """Keep a finished comparison for good, or no longer.

    Raises
    ------
    UsageError
        It is gone, or still runs.
    """
    jobs.load_finished(directory)
    with FileLock(directory / jobs.LOCK):
        job = jobs.load_finished(directory)
        job.pinned = pinned
        jobs.save(directory, job)


def kept_until(job: Comparison) -> str | None:
    """When a comparison becomes too old, as ISO 8601 in UTC; None for a pinned one."""
    if job.pinned:
        return None
    return (datetime.datetime.fromisoformat(job.created_at) + datetime.timedelta(days=settings().keep_days)).isoformat()


def expire() -> None:
    """Delete unpinned comparisons that are too old, the oldest when all together are too large, and what no comparison owns.

    Pinned comparisons and those that still run count, and stay.
    """
    limits = settings()
    stored = sorted(jobs.all_jobs(None), key=lambda each: each.created_at, reverse=True)
    sizes = {job.id: _size_bytes(limits.comparisons / job.id) for job in stored}
    total = sum(sizes[job.id] for job in stored if job.pinned or job.active)
    for job in stored:
        if job.pinned or job.active:
            continue
        total += sizes[job.id]
        too_old = jobs.seconds_since(job.created_at) > limits.keep_days * DAY_S
        in_the_way = total > limits.max_store_mib * MIB and jobs.seconds_since(job.finished_at or job.created_at) > GRACE_S
        if too_old or in_the_way:
            _remove(limits.comparisons / job.id)
    for directory in jobs.directories(limits.comparisons):
        with contextlib.suppress(FileNotFoundError):
            if not (directory / "job.json").exists() and time.time() - directory.stat().st_mtime > ORPHAN_AGE_S:
                shutil.rmtree(directory, ignore_errors=True)


def pinned_mib() -> float:
    """What all pinned comparisons take, in MiB. More than `settings().max_store_mib` leaves no room for others."""
    root = settings().comparisons
    return sum(_size_bytes(root / job.id) for job in jobs.all_jobs(None) if job.pinned) / MIB


def _remove(directory: Path) -> None:
    """Remove a comparison, unless somebody has just pinned it or is adding to it; then it is looked at again the next time."""
    with contextlib.suppress(AppError, OSError, Timeout), FileLock(directory / jobs.LOCK, timeout=0):
        if not jobs.load(directory).pinned:
            shutil.rmtree(directory, ignore_errors=True)


def _size_bytes(directory: Path) -> int:
    total = 0
    for file in directory.glob("*"):
        # Files may be renamed or deleted while they are counted.
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total
