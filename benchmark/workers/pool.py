"""The models in memory: kept warm within a budget, unloaded when nobody uses them."""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from benchmark.workers.model_pool import HasProcess
from benchmark.workers.process import POLL_S, Model, WorkerProcess, process_context
from benchmark.workers.worker import ModelKey
from core.settings import settings
from runtimes import RUNTIMES

LIGHT_RUNTIME = "pillow"
"""Its upscalers share a process, which is started ahead: they load nothing, and are shown at once."""


class WorkerPool:
    """The models in memory."""

    def __init__(self) -> None:
        self._models: dict[tuple[ModelKey, int], Model] = {}
        self._lock = threading.Lock()
        self._light_processes: dict[int, WorkerProcess] = {}
        self._idle = threading.Event()
        self._idle.set()

    def preload(self) -> None:
        """Start what the first comparison will need: the interpolators' process, then the slow imports of the networks' ones."""
        self._idle.clear()
        try:
            with self._lock:
                self._light(0)
            if sys.platform == "linux":
                # The first child starts when the imports are done.
                process = process_context(next(runtime.id for runtime in RUNTIMES if runtime.preload)).Process(target=_nothing, daemon=True)
                process.start()
                process.join()
        finally:
            self._idle.set()

    def wait_until_idle(self, cancelled: Callable[[], bool]) -> None:
        """Wait until nothing is imported in the background any more, so that it disturbs no measurement."""
        while not self._idle.wait(POLL_S) and not cancelled():
            pass

    def get(self, key: ModelKey, place: int = 0) -> Model:
        """This model; in a new process unless it is warm.

        Parameters
        ----------
        place:
            Models at different places have processes of their own: all comparisons share place 0, and dataset runs have the others.
        """
        with self._lock:
            model = self._models.get((key, place))
            if model is None or not model.process.alive:
                if key.runtime == LIGHT_RUNTIME:
                    process = self._light(place)
                else:
                    self._make_room()
                    process = WorkerProcess(key.runtime)
                model = self._models[key, place] = Model(process, key)
            return model

    def places(self, workers: int) -> int:
        """How many workers of a dataset run have room: here all that are asked for."""
        return workers

    def threads(self, wanted: int, workers: int) -> int:
        """Threads of each of so many workers: they share what one would have."""
        return max(1, wanted // workers)

    def opened(self) -> AbstractContextManager[object]:
        """Held for as long as a dataset run uses the pool, which here needs no preparation."""
        return nullcontext()

    def forget(self, model: HasProcess) -> None:
        """End the process of a model that failed; its memory goes back at once."""
        model.process.end()
        with self._lock:
            self._drop_dead()

    def _light(self, place: int) -> WorkerProcess:
        process = self._light_processes.get(place)
        if process is None or not process.alive:
            process = self._light_processes[place] = WorkerProcess(LIGHT_RUNTIME)
        return process

    def _make_room(self) -> None:
        """Unload the least recently used models until the budget holds; one that works is let alone."""
        self._drop_dead()
        budget_mib = settings().warm_memory_mib
        processes = sorted({model.process for model in self._models.values()}, key=lambda process: process.used_at)
        used_mib = sum(process.memory_mib() for process in processes)
        for process in processes:
            if used_mib <= budget_mib:
                break
            if process.busy:
                continue
            used_mib -= process.memory_mib()
            process.end()
        self._drop_dead()

    def _drop_dead(self) -> None:
        self._models = {key: model for key, model in self._models.items() if model.process.alive}

    def close_idle(self, older_than_s: float) -> None:
        """End processes that were not used for so long."""
        now = time.monotonic()
        with self._lock:
            for model in self._models.values():
                if now - model.process.used_at > older_than_s:
                    model.process.end()
            self._drop_dead()

    def close(self) -> None:
        """End all processes."""
        self.close_idle(-1)
        for process in self._light_processes.values():
            process.end()


def _nothing() -> None:
    """The work of the process that only waits for the imports."""
