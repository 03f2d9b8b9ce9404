"""Model files that visitors add: checked in the background, one at a time, because a check may take much of the machine."""

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from benchmark.background import Task
from core.errors import CheckCancelledError
from upscalers import custom
from upscalers.spec import Aim


@dataclass(eq=False, kw_only=True)
class Addition(Task):
    """One model file on its way into the registry."""

    file_name: str
    """What the person's file is called."""
    upscaler_id: str | None = None
    """What it became; None until it is done."""


class Additions:
    """All model files that are being added by this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._turn = threading.Semaphore(1)
        self._lock = threading.Lock()
        self._started: list[Addition] = []

    def start(self, content: bytes, file_name: str, *, name: str | None, aim: Aim) -> Addition:
        """Begin to check a file; returns at once. The arguments are those of `upscalers.custom.add`, the file as its bytes."""
        addition = Addition(file_name=file_name)

        def add() -> None:
            with tempfile.TemporaryDirectory(prefix="upscale-bench-") as folder:
                path = Path(folder) / "upload"
                path.write_bytes(content)
                spec = custom.add(path, name=name, file_name=file_name, aim=aim, cancelled=lambda: addition.cancelled)
            addition.upscaler_id = spec.id

        with self._lock:
            self._started = [each for each in self._started if each.active] + [addition]
        addition.start(add, slots=self._turn, name=f"add the model file {file_name}", stopped_by=CheckCancelledError)
        return addition

    def close(self) -> None:
        """Stop all."""
        with self._lock:
            for addition in self._started:
                addition.cancel()
