"""Model files that visitors add: checked in the background, one at a time, because a check may take much of the machine."""

import logging
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from core.errors import AppError, CheckCancelledError
from upscalers import custom
from upscalers.spec import Aim

log = logging.getLogger(__name__)

State = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass(eq=False)
class Addition:
    """One model file on its way into the registry."""

    file_name: str
    """What the person's file is called."""
    state: State = "waiting"
    upscaler_id: str | None = None
    """What it became; None until it is done."""
    error: str | None = None
    """Why it failed, in one line."""
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def active(self) -> bool:
        """Whether it waits or is being checked."""
        return self.state in ("waiting", "running")

    def cancel(self) -> None:
        """Ask it to stop; it does within a second."""
        self._stop.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked it to stop."""
        return self._stop.is_set()


class Additions:
    """All model files that are being added by this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._turn = threading.Semaphore(1)
        self._running: set[Addition] = set()

    def start(self, content: bytes, file_name: str, *, name: str | None, aim: Aim) -> Addition:
        """Begin to check a file; returns at once. The arguments are those of `upscalers.custom.add`, the file as its bytes."""
        addition = Addition(file_name)
        self._running.add(addition)
        threading.Thread(target=self._run, args=(addition, content, name, aim), name=f"add {file_name}", daemon=True).start()
        return addition

    def close(self) -> None:
        """Stop all."""
        for addition in tuple(self._running):
            addition.cancel()

    def _run(self, addition: Addition, content: bytes, name: str | None, aim: Aim) -> None:
        try:
            while not self._turn.acquire(timeout=0.1):
                if addition.cancelled:
                    raise CheckCancelledError("Cancelled.")
            try:
                addition.state = "running"
                addition.upscaler_id = _add(addition, content, name, aim)
            finally:
                self._turn.release()
            addition.state = "done"
        except CheckCancelledError:
            addition.state = "cancelled"
        except AppError as error:
            addition.error = str(error)
            addition.state = "failed"
        except Exception as error:
            log.exception("The model file %s could not be added", addition.file_name)
            addition.error = f"Internal error ({type(error).__name__}); the log has the details."
            addition.state = "failed"
        finally:
            self._running.discard(addition)


def _add(addition: Addition, content: bytes, name: str | None, aim: Aim) -> str:
    with tempfile.TemporaryDirectory(prefix="upscale-bench-") as folder:
        path = Path(folder) / "upload"
        path.write_bytes(content)
        return custom.add(path, name=name, file_name=addition.file_name, aim=aim, cancelled=lambda: addition.cancelled).id
