"""A comparison that is being worked on, and its file: several threads write both, and after the last state nobody does."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmark import jobs

log = logging.getLogger(__name__)

PROGRESS_EVERY_S = 0.2


class OpenJob:
    """Keeps the file of a comparison as its rows change, until it is closed. Every method may be called from any thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.job = jobs.load(directory)
        self._lock = threading.Lock()
        self._closed = False
        self._saved_at = 0.0

    def save(self, *, durable: bool = True) -> None:
        """Write the present state; once closed, nothing."""
        with self._lock:
            if not self._closed:
                self._saved_at = time.monotonic()
                jobs.save(self.directory, self.job, durable=durable)

    def save_progress(self) -> None:
        """Write the present state, if that was not done a moment ago. It may be lost when the machine fails."""
        if time.monotonic() - self._saved_at > PROGRESS_EVERY_S:
            self.save(durable=False)

    def run_again(self, row_id: str, tile_px: int | None) -> bool:
        """Have a row that gave no picture run once more; False when the comparison is closed or has no such row."""
        with self._lock:
            if self._closed or not jobs.run_again(self.job, row_id, tile_px):
                return False
            jobs.save(self.directory, self.job)
        return True

    def close(self, mark: Callable[[], None], *, unless_waiting: bool = False) -> bool:
        """Write the last state, once.

        Parameters
        ----------
        mark:
            Brings the comparison into its last state. Not called when it is closed already.
        unless_waiting:
            Leave it open where a row waits, which somebody may have asked for a moment ago.

        Returns
        -------
        False where it was left open.
        """
        with self._lock:
            if self._closed:
                return True
            if unless_waiting and any(row.status is None for row in self.job.rows):
                return False
            self._closed = True
            mark()
            try:
                # In this order: who sees that it is finished finds no upload any more.
                jobs.forget_source(self.directory)
                jobs.save(self.directory, self.job)
            except OSError:
                # A full disk, or somebody deleted the directory: there is nowhere to write it down.
                log.exception("Comparison %s could not be closed", self.job.id)
        return True
