"""Networks that ran on PyTorch for want of a faster form are converted afterwards, while nobody waits for anything."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import upscalers
from benchmark.schema import Comparison
from benchmark.timing import somebody_times
from core.errors import AppError
from upscalers.parameters import OptionValue
from upscalers.preparing import PreparationCancelledError, is_to_be_prepared, prepare

log = logging.getLogger(__name__)

SETTLE_S = 3.0
"""How long nothing must have been asked for before a conversion begins: a person at work comes back sooner."""


@dataclass(frozen=True)
class _Wanted:
    upscaler: str
    scale: float
    options: tuple[tuple[str, OptionValue], ...]


class Conversions:
    """Converts one network after the other in a thread of its own.

    Parameters
    ----------
    is_idle:
        The work rests while it says False, and while the machine is held.
    tell:
        Gets `{"converting": UPSCALER or None, "to_convert": [UPSCALER, ...]}` at every change: the one in work, and those that wait.
    """

    def __init__(self, is_idle: Callable[[], bool], tell: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self._is_idle = is_idle
        self._tell = tell
        self._current: _Wanted | None = None
        self._waiting: deque[_Wanted] = deque()
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="conversions")
        self._thread.start()

    def want(self, job: Comparison) -> None:
        """Queue the networks of a finished comparison that could be faster next time."""
        for row in job.rows:
            wanted = _Wanted(row.upscaler, row.scale, tuple(sorted(row.options.items())))
            if row.status == "ok" and row.runtime == "torch" and row.given is None and wanted not in (self._current, *self._waiting):
                self._waiting.append(wanted)
                self._report()
                self._changed.set()

    def close(self) -> None:
        """End the work; what is stored stays whole."""
        self._closing.set()
        self._changed.set()
        self._thread.join(timeout=5)

    def _work(self) -> None:
        while not self._closing.is_set():
            self._changed.wait()
            self._changed.clear()
            while self._waiting and not self._closing.is_set():
                if self._closing.wait(SETTLE_S) or self._must_rest():
                    continue
                self._current = self._waiting.popleft()
                self._report()
                self._convert(self._current)
                self._current = None
                self._report()

    def _convert(self, wanted: _Wanted) -> None:
        name = f"{wanted.upscaler} x{wanted.scale:g}"
        try:
            spec, options = upscalers.find(wanted.upscaler), dict(wanted.options)
            if spec is None or not is_to_be_prepared(spec, wanted.scale, options):
                return
            prepare(spec, wanted.scale, options, must_rest=self._must_rest, cancelled=self._closing.is_set)
            log.info("%s is converted for OpenVINO", name)
        except PreparationCancelledError:
            log.info("The conversion of %s was cancelled", name)
        except AppError as error:
            log.warning("%s", error)
        except Exception:
            # The next one may work, and nothing depends on this one.
            log.exception("The conversion of %s failed", name)

    def _report(self) -> None:
        current = self._current.upscaler if self._current else None
        self._tell({"converting": current, "to_convert": [wanted.upscaler for wanted in list(self._waiting)]})

    def _must_rest(self) -> bool:
        return not self._is_idle() or somebody_times()
