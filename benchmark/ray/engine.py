"""Dataset runs on a Ray cluster: the models live in actors on its nodes, the course of the run and the store stay with the driver.

To `benchmark.runs.dataset_run` this is a pool of models like the local one. What differs is that an actor sees none of the driver's
files: pictures travel to it with each message, and kept results travel back. See docs/cluster.md.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from benchmark.ray.actor import BenchActor, Node, check_node
from benchmark.ray.cluster import connect, processors
from benchmark.ray.forms import read_form
from benchmark.runs.cells import CellResult, PictureTask
from benchmark.schema import RowStatus
from benchmark.workers.model_pool import HasProcess
from benchmark.workers.pool import LIGHT_RUNTIME
from benchmark.workers.process import STOPPED, CallFailedError
from benchmark.workers.worker import Loaded, ModelKey
from core.errors import UnavailableError
from core.files import write_atomically
from core.settings import settings

log = logging.getLogger(__name__)

ROOM_TIMEOUT_S = 60.0
"""How long a model waits for a node that has room, and a run for any node at all."""


class ActorProcess:
    """An actor, seen from the driver: what `benchmark.workers.process.WorkerProcess` is on this machine."""

    def __init__(self, threads: int, note_lost: Callable[[str], None]) -> None:
        import ray

        self._note_lost = note_lost

        # A lost actor is not started again by Ray: the run decides what is computed once more, and where.
        self._actor: Any = ray.remote(num_cpus=threads, max_restarts=0, max_task_retries=0)(BenchActor).remote()
        self._ended_because: CallFailedError | None = None
        self.node: Node | None = None

    @property
    def alive(self) -> bool:
        """Whether it can take a call."""
        return self._ended_because is None

    def end(self, status: RowStatus = "cancelled", reason: str = STOPPED) -> None:
        """Kill the actor, from any thread; a call in progress fails with this status."""
        import ray

        self._ended_because = self._ended_because or CallFailedError(status, reason)
        with contextlib.suppress(Exception):
            ray.kill(self._actor, no_restart=True)

    def start(self) -> Node:
        """Wait until it runs somewhere, and check that place. Raises `CallFailedError` and `core.errors.UnavailableError`."""
        if self.node is None:
            import ray

            with self._failures():
                # A wait that is over is reported as a failure like the others.
                node = cast("Node", ray.get(self._actor.node.remote(), timeout=ROOM_TIMEOUT_S))
            check_node(node)
            self.node = node
        return self.node

    def load(self, key: ModelKey) -> Loaded:
        """Load a model there; a converted network that is only here goes with it. Raises `CallFailedError`."""
        import ray

        with self._failures():
            form = read_form(key) if ray.get(self._actor.lacks_form.remote(key)) else None
            loaded = cast("Loaded | tuple[RowStatus, str]", ray.get(self._actor.load.remote(key, form)))
        if isinstance(loaded, tuple):
            raise CallFailedError(*loaded)
        return loaded

    def compute(self, key: ModelKey, tasks: Sequence[PictureTask]) -> Iterator[tuple[CellResult, bytes | None]]:
        """Compute cells there, each handed out as it comes. Raises `CallFailedError`."""
        import ray

        # A file that is gone is missing there too, and so the cell says.
        wanted = {
            sha256: path
            for task in tasks
            for path, sha256 in ((task.original, task.original_sha256), (task.small, task.small_sha256))
            if path and sha256
        }
        files = {sha256: path.read_bytes() for sha256, path in wanted.items() if path.is_file()}
        limit_s = settings().stall_timeout_s
        with self._failures():
            answers = self._actor.compute.options(num_returns="streaming").remote(key, tasks, files)
            while True:
                there, _ = ray.wait([answers], timeout=limit_s)
                if not there:
                    self.end("timeout", f"No answer for {limit_s:g} s: ended. Choose smaller pictures.")
                try:
                    answer = cast("tuple[CellResult, bytes | None]", ray.get(next(answers)))
                except StopIteration:
                    return
                yield answer

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """What Ray reports, as what it means for the cell that was computed."""
        from ray.exceptions import ActorDiedError, GetTimeoutError, OutOfMemoryError, RayError

        try:
            yield
        except RayError as error:
            if self._ended_because is None:
                log.warning("An actor on %s is lost: %s", self.node.host if self.node else "no node yet", error)
                if isinstance(error, GetTimeoutError):
                    self.end("cancelled", f"No node had room for it within {ROOM_TIMEOUT_S:g} s.")
                elif isinstance(error, OutOfMemoryError):
                    self.end("oom", "Out of memory: the node ended the model. Choose smaller pictures.")
                elif isinstance(error, ActorDiedError) and WORKER_DIED in str(error):
                    self.end("crashed", "The model crashed on its node. Run again, or choose another runtime.")
                else:
                    # The node, or the way to it: no cell is to blame, and all that are left are computed elsewhere.
                    self.end("cancelled", "Its node is lost.")
                    if self.node:
                        self._note_lost(self.node.id)
            assert self._ended_because is not None
            raise self._ended_because from None


WORKER_DIED = "because its worker process has died"
"""How Ray says that the node is there and only the process is not."""


class ActorModel:
    """A model in its actor: what `benchmark.workers.process.Model` is on this machine."""

    def __init__(self, process: ActorProcess, key: ModelKey) -> None:
        self.process = process
        self.key = key
        self.loaded: Loaded | None = None

    def load(self) -> Loaded:
        """Load it, once. Raises `CallFailedError`, and `core.errors.UnavailableError` for a node that is not like this one."""
        self.process.start()
        if self.loaded is None:
            self.loaded = self.process.load(self.key)
        return self.loaded

    def compute(self, tasks: Sequence[PictureTask], finished: Callable[[CellResult], None]) -> None:
        """Compute cells; `finished` gets each as soon as it is here, its picture kept. Raises `CallFailedError`."""
        folders = {cell.id: task.keep_in for task in tasks for cell in task.cells}
        node = self.process.node
        for result, png in self.process.compute(self.key, tasks):
            folder = folders[result.id]
            if png is not None and folder is not None and result.row.output_path:
                try:
                    write_atomically(folder / result.row.output_path, png)
                except OSError as error:
                    finished(CellResult(result.id, result.row, not_kept=error.strerror or type(error).__name__))
                    continue
            finished(replace(result, machine=dict(node.facts)) if node else result)


class RayPool:
    """The models of a run on a cluster.

    Parameters
    ----------
    address:
        Of a running cluster, as `host:port`; None for one on this machine that lasts as long as the run.
    workers:
        Actors that compute at the same time.
    allow_open:
        Whether a cluster that lets anybody in is used all the same.
    """

    def __init__(self, address: str | None, workers: int, *, allow_open: bool = False) -> None:
        self._address = address
        self._workers = workers
        self._allow_open = allow_open
        self._models: dict[tuple[ModelKey, int], ActorModel] = {}
        self._light: dict[int, ActorProcess] = {}
        self._lost: set[str] = set()
        self._lock = threading.Lock()
        self._threads = 1

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Connect for as long as a run needs it. Raises `core.errors.UnavailableError` and `core.errors.UsageError`."""
        connect(self._address, self._workers, allow_open=self._allow_open)
        import ray

        try:
            self._threads = max(1, int(processors() // self._workers))
            yield
        finally:
            for model in list(self._models.values()):
                model.process.end()
            ray.shutdown()

    def threads(self, wanted: int, workers: int) -> int:
        """Threads of each worker: an equal share of the cluster, but never more than one worker would have here."""
        return min(self._threads, wanted)

    def places(self, workers: int) -> int:
        """How many workers the nodes that are left have room for. Raises `core.errors.UnavailableError` when there is none for long."""
        until = time.monotonic() + ROOM_TIMEOUT_S
        while (room := int(processors(self._lost) // self._threads)) < 1:
            if time.monotonic() > until:
                raise UnavailableError("No node of the Ray cluster is left: start one, then go on with the run.")
            time.sleep(1)
        return min(workers, room)

    def get(self, key: ModelKey, place: int = 0) -> ActorModel:
        """This model; in a new actor unless it is warm. The interpolators of a place share one."""
        with self._lock:
            model = self._models.get((key, place))
            if model is None or not model.process.alive:
                process = self._light.get(place) if key.runtime == LIGHT_RUNTIME else None
                if process is None or not process.alive:
                    process = ActorProcess(key.threads, self._lost.add)
                if key.runtime == LIGHT_RUNTIME:
                    self._light[place] = process
                model = self._models[key, place] = ActorModel(process, key)
            return model

    def forget(self, model: HasProcess) -> None:
        """End the actor of a model; its memory and its room go back at once."""
        model.process.end()
        with self._lock:
            self._models = {key: each for key, each in self._models.items() if each.process.alive}
