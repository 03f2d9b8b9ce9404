"""Work that a visitor starts and that goes on behind the page: it waits for its turn, can be cancelled, and ends with an outcome."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from core.errors import AppError

log = logging.getLogger(__name__)

POLL_S = 0.1
State = Literal["waiting", "running", "done", "failed", "cancelled"]


class TaskCancelledError(AppError):
    """Somebody cancelled it before its turn came."""


@dataclass(eq=False, kw_only=True)
class Task:
    """A piece of work in a thread of its own."""

    state: State = "waiting"
    error: str | None = None
    """Why it failed, in one line."""
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("waiting", "running")

    def cancel(self) -> None:
        """Ask it to stop; it does within a second."""
        self._stop.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked it to stop."""
        return self._stop.is_set()

    def start(self, work: Callable[[], None], *, slots: threading.Semaphore, name: str, stopped_by: type[AppError]) -> None:
        """Begin; returns at once.

        Parameters
        ----------
        work:
            Asks `cancelled` from time to time and then raises `stopped_by`. An `AppError` becomes `error`; the traceback of
            anything else goes to the log.
        slots:
            One is taken while `work` runs.
        name:
            What is done, for the log.
        """
        threading.Thread(target=self._run, args=(work, slots, name, stopped_by), name=name, daemon=True).start()

    def _run(self, work: Callable[[], None], slots: threading.Semaphore, name: str, stopped_by: type[AppError]) -> None:
        try:
            while not slots.acquire(timeout=POLL_S):
                if self.cancelled:
                    raise TaskCancelledError("Cancelled.")
            try:
                self.state = "running"
                work()
            finally:
                slots.release()
            self.state = "done"
        except (TaskCancelledError, stopped_by):
            self.state = "cancelled"
        except AppError as error:
            self.error, self.state = str(error), "failed"
        except Exception as error:
            log.exception("Could not %s", name)
            self.error, self.state = f"Internal error ({type(error).__name__}); the log has the details.", "failed"
