"""How fast a dataset run goes, and how long it will still take."""

import time
from collections.abc import Callable


class Pace:
    """Compares what was expected of a run with what it takes, from the moment of construction.

    Parameters
    ----------
    finished:
        Cells that were finished by then, with or without a result.
    expected_s:
        Expected seconds of those that waited, as far as they were known.
    clock:
        Gives the time in seconds.
    """

    def __init__(self, finished: int, expected_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._finished = finished
        self._expected_s = expected_s
        self._clock = clock
        self._started_s = clock()

    def per_s(self, finished: int) -> float | None:
        """Cells per second until now; None before the first."""
        elapsed_s = self._clock() - self._started_s
        return (finished - self._finished) / elapsed_s if finished > self._finished and elapsed_s > 0 else None

    def left_s(self, finished: int, waiting: int, expected_s: float) -> float | None:
        """Seconds until the end: what is expected of the waiting cells, corrected by what the others took.

        Where nothing is expected, the cells count alike; None as long as that says nothing.
        """
        spent_s = self._expected_s - expected_s
        if expected_s > 0:
            return expected_s * ((self._clock() - self._started_s) / spent_s if spent_s > 0 else 1.0)
        rate = self.per_s(finished)
        return waiting / rate if rate else None
