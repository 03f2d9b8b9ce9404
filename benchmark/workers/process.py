"""A process that holds models, seen from the host: messages, limits, and what its death means."""

import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Any

import psutil

import upscalers
from benchmark.runs.cells import CellResult, PictureTask
from benchmark.schema import RowStatus
from benchmark.workers import worker
from benchmark.workers.worker import Called, Loaded, ModelKey
from core.image import RGB8
from core.settings import MIB, settings
from runtimes import RUNTIMES

POLL_S = 0.05
LOADING_SHARE = 1.3
"""Memory that loading may take for the weights themselves, in sizes of their files: some are there twice for a moment."""
STOPPED = "Stopped. Run again."
Progress = Callable[[int, int], None]


class CallFailedError(Exception):
    """A model gave no picture. `status` and `reason` are those of its row."""

    def __init__(self, status: RowStatus, reason: str) -> None:
        super().__init__(reason)
        self.status: RowStatus = status
        self.reason = reason


class WorkerProcess:
    """A process that holds models."""

    def __init__(self, runtime: str) -> None:
        context = process_context(runtime)
        self._connection, other = context.Pipe()
        self._process = context.Process(target=worker.main, args=(other,), daemon=True, name=f"models on {runtime}")
        self._oom_kills = _oom_kills()
        self._process.start()
        other.close()
        self._ended_because: CallFailedError | None = None
        self.used_at = time.monotonic()
        self.busy = False

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid or 0

    def memory_mib(self) -> float:
        """Resident memory now; 0 when it is gone."""
        try:
            return psutil.Process(self.pid).memory_info().rss / MIB
        except psutil.NoSuchProcess:
            return 0.0

    def end(self, status: RowStatus = "cancelled", reason: str = STOPPED) -> None:
        """Kill the process, from any thread; a call in progress fails with this status."""
        self._ended_because = self._ended_because or CallFailedError(status, reason)
        self._process.kill()

    @property
    def alive(self) -> bool:
        """Whether it can take a call."""
        return self._process.is_alive() and self._ended_because is None

    def ask(
        self,
        *message: Any,  # noqa: ANN401
        progress: Progress | None = None,
        part: Callable[[Any], None] | None = None,
        memory_limit_mib: float,
    ) -> Any:  # noqa: ANN401 - the answer's type follows the verb
        """Send a message and wait for its answer, watching time and memory meanwhile. Raises `CallFailedError`.

        `part` gets what it sends of the answer before the end.
        """
        self.used_at = time.monotonic()
        self.busy = True
        answered = False
        try:
            try:
                self._connection.send(message)
            except OSError:
                raise self._death() from None
            answer = self._answer(progress, part, memory_limit_mib)
            answered = True
            return answer
        except CallFailedError:
            answered = True
            raise
        finally:
            if not answered:
                # Something of ours went wrong on the way: its answer must never be read by the next one who asks.
                self.end()
            self.busy = False
            self.used_at = time.monotonic()

    def _answer(self, progress: Progress | None, part: Callable[[Any], None] | None, memory_limit_mib: float) -> Any:  # noqa: ANN401
        limits = settings()
        heard_at = looked_at = time.monotonic()
        while True:
            message = self._receive()
            now = time.monotonic()
            if message is not None:
                heard_at = now
                kind, *rest = message
                if kind == "ok":
                    return rest[0]
                if kind == "error":
                    raise CallFailedError(*rest)
                if kind == "part":
                    if part:
                        part(*rest)
                elif progress:
                    progress(*rest)
            if now - heard_at > limits.stall_timeout_s:
                self.end("timeout", f"No answer for {limits.stall_timeout_s:g} s: ended. Choose a smaller picture or region.")
            if now - looked_at >= POLL_S:
                looked_at = now
                if self.memory_mib() > memory_limit_mib:
                    limit = f"{limits.model_memory_mib / 1024:g} GB"
                    self.end(
                        "oom",
                        f"Out of memory: it used more than {limit} beside the model. Choose smaller tiles, a smaller picture or a region.",
                    )

    def _receive(self) -> tuple[Any, ...] | None:
        """The next message; None after a moment without one. A broken connection is a dead process."""
        try:
            return self._connection.recv() if self._connection.poll(POLL_S) else None
        except (EOFError, OSError):
            raise self._death() from None

    def _death(self) -> CallFailedError:
        self._process.join(5)
        if self._ended_because is not None:
            return self._ended_because
        code = self._process.exitcode
        if code == -9 and _oom_kills() > self._oom_kills:
            return CallFailedError("oom", "Out of memory: the system ended the model. Choose smaller tiles, a smaller picture or a region.")
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return CallFailedError("crashed", f"The model crashed ({how}). Run again, or choose another runtime.")


class Model:
    """A model in its process."""

    def __init__(self, process: WorkerProcess, key: ModelKey) -> None:
        self.process = process
        self.key = key
        self.loaded: Loaded | None = None
        self._limit_mib = 0.0

    def load(self) -> Loaded:
        """Load it, once. Raises `CallFailedError`."""
        if self.loaded is not None:
            return self.loaded
        weights_mib = upscalers.get(self.key.upscaler).weight_bytes(self.key.scale) / MIB
        limit_mib = self.process.memory_mib() + LOADING_SHARE * weights_mib + settings().model_memory_mib
        loaded: Loaded = self.process.ask("load", self.key, memory_limit_mib=limit_mib)
        self.loaded = loaded
        self._limit_mib = self.process.memory_mib() + settings().model_memory_mib
        return loaded

    def call(self, token: str, picture: RGB8, seed: int | None, progress: Progress | None = None) -> Called:
        """Enlarge the picture that is known by `token`. Raises `CallFailedError`."""
        return self.process.ask("call", self.key, token, picture, seed, progress=progress, memory_limit_mib=self._limit_mib)

    def compute(self, tasks: Sequence[PictureTask], finished: Callable[[CellResult], None]) -> None:
        """Compute cells of a dataset run in this model's process; all models that they name are loaded there. Raises `CallFailedError`.

        `finished` gets each cell as soon as it is there, in order.
        """
        self.process.ask("cells", self.key, tasks, part=finished, memory_limit_mib=self._limit_mib)

    def repeat(self, token: str, picture: RGB8, seed: int | None) -> float:
        """Seconds of one more call on that picture, which is sent again, untimed, if another one was worked on meanwhile."""
        seconds: float | None = self.process.ask("repeat", self.key, token, seed, memory_limit_mib=self._limit_mib)
        if seconds is None:
            self.process.ask("hold", self.key, token, picture, seed, memory_limit_mib=self._limit_mib)
            seconds = self.process.ask("repeat", self.key, token, seed, memory_limit_mib=self._limit_mib)
        assert seconds is not None
        return seconds


def process_context(runtime: str) -> SpawnContext | ForkServerContext:
    """Processes whose libraries take seconds to import are forked from one that has them; Linux only."""
    if RUNTIMES.get(runtime).preload and sys.platform == "linux":
        context = multiprocessing.get_context("forkserver")
        # It takes effect once, when the process from which the others are forked is started.
        libraries = [module for each in RUNTIMES if each.unavailable_reason() is None for module in each.preload]
        context.set_forkserver_preload([*libraries, worker.__name__])
        return context
    return multiprocessing.get_context("spawn")


def _oom_kills() -> int:
    """How often Linux has ended a process for lack of memory since it started; 0 elsewhere."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
