"""The supervisor: a process of its own, started as `python -m benchmark.workers.host`, that owns all models.

It reads commands from standard input, one JSON object a line: `{"do": "submit", "directory": ...}`,
`{"do": "again", "directory": ..., "row": ..., "tile_px": ...}`, `{"do": "run", "name": ..., "workers": ..., "keep_images": ...,
"cluster": ...}`, `{"do": "cancel", "id": ...}`.
With `--warm-up` it prepares for the first comparison at once. When standard input closes, the program that started it is gone,
and so is it. What it does is seen in the comparisons' directories and in the store of dataset runs; how those go on, and which network
is being converted, is also told on standard output, one JSON object a line: see `benchmark.runs.dataset_run` and
`benchmark.workers.conversions`.

The web server must not start models itself: a child process that Python spawns from it would run the page script again.
"""

import contextlib
import json
import logging
import os
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Protocol

from benchmark import estimates, jobs
from benchmark.runner import ComparisonRun
from benchmark.timing import LOCK_POLL_S, machine_lock
from benchmark.workers.conversions import Conversions
from benchmark.workers.model_pool import ModelPool
from benchmark.workers.pool import WorkerPool
from benchmark.workers.process import STOPPED

log = logging.getLogger(__name__)

IDLE_UNLOAD_S = 600.0
"""Models that nobody used for so long give their memory back."""
REST_EVERY_S = 2.0
"""How often other programs get a chance at the machine's lock."""
FINISHED = object()


class Work(Protocol):
    """A comparison, or a dataset run."""

    id: str
    user: str

    def steps(self) -> Generator[None]:
        """Do the work; between two `next` calls nothing runs, and it may be closed there."""
        ...

    def cancel(self, reason: str = STOPPED) -> None:
        """Stop, from any thread."""
        ...


class Scheduler:
    """Serves the users in turn, one step each; one user's comparisons in the order in which they came."""

    def __init__(self, pool: WorkerPool, tell: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self._pool = pool
        self._tell = tell
        self._queues: OrderedDict[str, deque[tuple[Work, Generator[None]]]] = OrderedDict()
        self._changed = threading.Condition()
        self._closing = False
        self._conversions = Conversions(lambda: not self._queues, tell)

    def submit(self, directory: Path) -> None:
        """Queue a comparison, unless it was stopped on its way here."""
        run = ComparisonRun(directory, self._pool)
        if run.job.state != "queued":
            return
        run.job.host_pid, run.job.host_mark = os.getpid(), jobs.process_mark(os.getpid())
        jobs.save(directory, run.job)
        self._append(run)

    def start_run(self, name: str, workers: int, *, keep_images: bool, cluster: Mapping[str, Any] | None = None) -> None:
        """Queue a dataset run that the store has; with `cluster`, the arguments of `benchmark.ray.engine.RayPool`, on Ray."""
        # SQLAlchemy and Ray are of no use to comparisons.
        from benchmark.runs.dataset_run import DatasetRun

        pool: ModelPool = self._pool
        if cluster is not None:
            from benchmark.ray.engine import RayPool

            pool = RayPool(cluster["address"], workers, allow_open=cluster["allow_open"])
        self._append(DatasetRun(name, pool, self._tell, workers=workers, keep_images=keep_images))

    def _append(self, work: Work) -> None:
        with self._changed:
            self._queues.setdefault(work.user, deque()).append((work, work.steps()))
            self._changed.notify()

    def again(self, directory: Path, row_id: str, tile_px: int | None) -> None:
        """Run a row of a comparison that still runs once more."""
        for run in self._runs():
            if isinstance(run, ComparisonRun) and run.id == directory.name and run.again(row_id, tile_px):
                return
        # It has finished on the way here.
        jobs.reopen(directory, row_id, tile_px=tile_px)
        self.submit(directory)

    def cancel(self, work_id: str) -> None:
        """Stop a comparison or a dataset run, waiting or running."""
        for work in self._runs():
            if work.id == work_id:
                work.cancel()

    def close(self) -> None:
        """Stop everything."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        for run in self._runs():
            run.cancel(jobs.SERVER_STOPPED)
        self._conversions.close()

    def serve(self) -> None:
        """Work until `close`."""
        rested_at = time.monotonic()
        while not self._closing:
            entry = self._next()
            if entry is None:
                self._pool.close_idle(IDLE_UNLOAD_S)
                continue
            user, steps = entry
            if self._is_over(steps):
                with self._changed:
                    run, _ = self._queues[user].popleft()
                    if isinstance(run, ComparisonRun):
                        self._conversions.want(run.job)
                    if not self._queues[user]:
                        del self._queues[user]
            if time.monotonic() - rested_at > REST_EVERY_S:
                # The lock of the machine knows no queue: other programs that wait for it get a moment to take it.
                time.sleep(1.2 * LOCK_POLL_S)
                rested_at = time.monotonic()
        for queue in self._queues.values():
            for _, steps in queue:
                steps.close()

    def _is_over(self, steps: Generator[None]) -> bool:
        try:
            return next(steps, FINISHED) is FINISHED
        except Exception:
            log.exception("A comparison broke down")
            return True

    def _runs(self) -> list[Work]:
        with self._changed:
            return [run for queue in self._queues.values() for run, _ in queue]

    def _next(self) -> tuple[str, Generator[None]] | None:
        """The next user's oldest comparison; None after a while without any."""
        with self._changed:
            if not self._queues:
                self._changed.wait(5.0)
            if not self._queues or self._closing:
                return None
            user = next(iter(self._queues))
            self._queues.move_to_end(user)
            return user, self._queues[user][0][1]


def _warm_up(pool: WorkerPool) -> None:
    """Slow imports, and the probe of the machine, before somebody waits for them."""
    pool.preload()
    if not estimates.machine_is_probed():
        with machine_lock():
            estimates.probe_machine()


def _obey(scheduler: Scheduler, line: str) -> None:
    try:
        match json.loads(line):
            case {"do": "submit", "directory": str(directory)}:
                scheduler.submit(Path(directory))
            case {"do": "again", "directory": str(directory), "row": str(row_id), "tile_px": int() | None as tile_px}:
                scheduler.again(Path(directory), row_id, tile_px)
            case {"do": "run", "name": str(name), "workers": int(workers), "keep_images": bool(keep_images), "cluster": cluster}:
                scheduler.start_run(name, workers, keep_images=keep_images, cluster=cluster)
            case {"do": "cancel", "id": str(work_id)}:
                scheduler.cancel(work_id)
            case command:
                log.error("Unknown command: %s", command)
    except Exception:
        # One bad command must not take the others' comparisons down.
        log.exception("Command failed: %s", line.strip())


def _own_output() -> Callable[[dict[str, Any]], None]:
    """Take standard output for what is told to the program that started this one; what models print goes nowhere."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)

    def tell(event: dict[str, Any]) -> None:
        # Nobody listens any more when the program is gone, and that is no reason to stop in disorder.
        with contextlib.suppress(OSError):
            told.write(json.dumps(event) + "\n")
            told.flush()

    return tell


def main() -> None:
    """Serve until standard input closes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    pool = WorkerPool()
    scheduler = Scheduler(pool, _own_output())
    if "--warm-up" in sys.argv:
        threading.Thread(target=_warm_up, args=(pool,), daemon=True, name="warm-up").start()
    serving = threading.Thread(target=scheduler.serve, name="scheduler", daemon=True)
    serving.start()
    try:
        for line in sys.stdin:
            _obey(scheduler, line)
    finally:
        scheduler.close()
        serving.join(timeout=5)
        pool.close()


if __name__ == "__main__":
    main()
