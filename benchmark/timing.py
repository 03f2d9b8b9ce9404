"""Honest time: one timed call at a time on a machine, and a look at what else the machine did meanwhile."""

import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

REPEAT_FOR_S = 0.5
"""Warm calls are repeated until they took so long together ..."""
MAX_REPEATS = 20
"""... or there are so many of them."""
RUN_ONCE_ABOVE_S = 5.0
"""A model whose first call takes longer is not repeated."""
CONTENDED_SHARE = 0.2
"""Share of the machine used by others above which a time is marked as contended."""
CROWDED_SHARE = 0.9
"""With more than this share of the machine busy, others who use ..."""
CONTENDED_SHARE_WHEN_CROWDED = 0.05
"""... more than this take it from the model."""
LOCK_POLL_S = 0.02
"""How often a process looks whether the machine is free. Who holds it much has to let go for longer than that, now and then."""
CLOCK_TICK_S = 0.01
"""Resolution of the system's accounting of processor time."""


class CancelledError(Exception):
    """Somebody stopped waiting for the machine."""


@contextmanager
def machine_lock(cancelled: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold the machine: every timed call of one system user does, in whatever process and for whichever store it runs.

    Raises
    ------
    CancelledError
        `cancelled` said True before it was this one's turn.
    """
    lock = _lock()
    try:
        lock.acquire(poll_interval=LOCK_POLL_S, cancel_check=cancelled)
    except Timeout:
        raise CancelledError from None
    try:
        yield
    finally:
        lock.release()


def somebody_times() -> bool:
    """Whether the machine is held now, by this process or another."""
    lock = _lock()
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False


def _lock() -> FileLock:
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    return FileLock(Path(tempfile.gettempdir()) / f"upscale-bench-{user}.lock")


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of `values` lie, by linear interpolation between neighbours.

    Source: Hyndman and Fan (1996), definition 7, the default of NumPy.
    """
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low, high = math.floor(position), math.ceil(position)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def wants_another_call(calls_s: Sequence[float], first_s: float, exactly: int | None) -> bool:
    """Whether a model gets one more warm call.

    Parameters
    ----------
    calls_s:
        Its warm calls so far.
    first_s:
        Its first call.
    exactly:
        The number that a person asked for; None applies the rule of this module.
    """
    if exactly is not None:
        return len(calls_s) < exactly
    return first_s <= RUN_ONCE_ABOVE_S and len(calls_s) < MAX_REPEATS and sum(calls_s) < REPEAT_FOR_S


class ContentionMeter:
    """Adds up, over several timed calls, how much of the machine other programs used."""

    def __init__(self) -> None:
        self._wall_s = 0.0
        self._own_s = 0.0
        self._others_s = 0.0

    def measure(self, pid: int) -> "ContentionSpan":
        """A context in which the process `pid` works; everything else that runs meanwhile is somebody else."""
        return ContentionSpan(self, pid)

    def add(self, wall_s: float, own_s: float, others_s: float) -> None:
        """Add one span: its length, and the processor time of the model and of everybody else."""
        self._wall_s += wall_s
        self._own_s += own_s
        # Whole ticks make single spans come out a little below or above; only their sum is meaningful.
        self._others_s += others_s

    @property
    def contended(self) -> bool | None:
        """Whether others took so much of the machine that it shows; None when the spans are too short to tell."""
        if self._wall_s < 10 * CLOCK_TICK_S:
            return None
        capacity_s = self._wall_s * (psutil.cpu_count() or 1)
        others = max(0.0, self._others_s) / capacity_s
        crowded = self._own_s / capacity_s + others > CROWDED_SHARE
        return others > CONTENDED_SHARE or (crowded and others > CONTENDED_SHARE_WHEN_CROWDED)


class ContentionSpan:
    """One stretch of time, see `ContentionMeter.measure`."""

    def __init__(self, meter: ContentionMeter, pid: int) -> None:
        self._meter = meter
        self._pid = pid

    def __enter__(self) -> None:
        self._wall, self._busy, self._own = time.monotonic(), _busy_s(), _process_s(self._pid)

    def __exit__(self, *_: object) -> None:
        wall_s, busy_s, after = time.monotonic() - self._wall, _busy_s() - self._busy, _process_s(self._pid)
        if self._own is not None and after is not None:
            self._meter.add(wall_s, after - self._own, busy_s - (after - self._own))


def _busy_s() -> float:
    times = psutil.cpu_times()
    # Guest time is part of user time already; a host's stolen time was used by somebody else.
    return (
        times.user
        + times.system
        + getattr(times, "nice", 0.0)
        + getattr(times, "irq", 0.0)
        + getattr(times, "softirq", 0.0)
        + getattr(times, "steal", 0.0)
    )


def _process_s(pid: int) -> float | None:
    """Processor time of a process so far; None when it is gone."""
    if pid == os.getpid():
        return time.process_time()
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return None
    return times.user + times.system
