"""Data sets being read for visitors: counted, hashed and, from the hub, fetched, behind the page."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from benchmark.background import Task, TaskCancelledError
from benchmark.datasets.dataset import Dataset
from benchmark.datasets.sources import Source

AT_ONCE = 2
KEPT = 16
"""So many sets that were read stay at hand."""
FRESH_S = 300.0
"""Somebody who comes back to a set later has it read again: pictures may have been added."""
RETRY_S = 2.0
"""A folder that could not be read is looked at again so soon: somebody may just have made it."""
POLL_S = 0.02


@dataclass(eq=False, kw_only=True)
class Reading(Task):
    """One set on its way."""

    source: Source
    dataset: Dataset | None = None
    """None until it is done."""
    started_s: float = field(default_factory=time.monotonic)

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, at most so long."""
        until = time.monotonic() + seconds
        while self.active and time.monotonic() < until:
            time.sleep(POLL_S)


class Readings:
    """The sets that visitors of this process look at. Safe to use from several threads."""

    def __init__(self) -> None:
        self._by_source: OrderedDict[Source, Reading] = OrderedDict()
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(AT_ONCE)

    def find(self, source: Source) -> Reading | None:
        """The latest reading of a source, unless it is too old to be believed."""
        with self._lock:
            reading = self._by_source.get(source)
        if reading is None or reading.active:
            return reading
        fresh_s = RETRY_S if reading.error and source.folder else FRESH_S
        return reading if time.monotonic() - reading.started_s <= fresh_s else None

    def start(self, source: Source) -> Reading:
        """Read a source anew, unless that is being done."""
        with self._lock:
            reading = self._by_source.get(source)
            if reading is not None and reading.active:
                return reading
            reading = self._by_source[source] = Reading(source=source)
            self._by_source.move_to_end(source)
            while len(self._by_source) > KEPT:
                self._by_source.popitem(last=False)

        def read() -> None:
            reading.dataset = source.open()

        reading.start(read, slots=self._slots, name=f"read the data set {source}", stopped_by=TaskCancelledError)
        return reading
