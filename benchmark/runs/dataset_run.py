"""The course of a dataset run, as a sequence of short steps between which the host may serve somebody else.

A step computes cells for a few seconds in one or more processes and saves each as it comes. Whatever ends it in between, a signal, a
crash or a full disk, costs the cells that were not saved, and the same run goes on from there.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import groupby
from typing import Any

from benchmark.environment import run_facts
from benchmark.runs import history
from benchmark.runs.cells import CellResult
from benchmark.runs.folder import make_folder, remove_leftovers, working_on
from benchmark.runs.lanes import Lane, plan_lanes
from benchmark.runs.speeds import Speeds
from benchmark.runs.workers import RunWorkers, skipped_cell
from benchmark.storage.records import StoredRun
from benchmark.storage.store import Store
from benchmark.timing import CancelledError, machine_lock
from benchmark.workers.model_pool import ModelPool
from benchmark.workers.process import STOPPED
from core.errors import AppError, BusyError, StoreError

log = logging.getLogger(__name__)

STEP_S = 3.0
"""How long a step computes before others get their turn."""
SAVE_EVERY_S = 0.5
"""Finished cells are saved together at most so late."""
POLL_S = 0.05
USER = "dataset runs"
"""All runs together are one user to the scheduler."""

Event = dict[str, Any]


class DatasetRun:
    """A run being worked on.

    Parameters
    ----------
    tell:
        Gets what happens, as JSON objects: `{"run": name, "state": "running", "total", "done", "failed", "expected_s"}` after each
        save, and at last `"state"` `done`, `stopped`, `paused`, `busy` or `failed`, with a `"reason"`.
    """

    def __init__(self, name: str, pool: ModelPool, tell: Callable[[Event], None], *, workers: int = 1, keep_images: bool = False) -> None:
        self.id = name
        self.user = USER
        self._pool = pool
        self._tell = tell
        self._workers = workers
        self._keep_images = keep_images
        self._stop = threading.Event()
        self._stopped_by = STOPPED
        self._over = False
        self._team: RunWorkers | None = None
        self._speeds = Speeds()
        self._store: Store
        self._run: StoredRun

    def cancel(self, reason: str = STOPPED) -> None:
        """Stop, from any thread: the processes end at once, and what was not saved waits for the next time."""
        if self._over:
            return
        log.info("Run %s: %s", self.id, reason)
        self._stopped_by = reason
        self._stop.set()
        self._end_processes()

    def steps(self) -> Generator[None]:
        """Do the work; between two `next` calls nothing runs."""
        try:
            with ExitStack() as held:
                held.enter_context(working_on(self.id))
                self._store = held.enter_context(Store.open())
                self._run = self._store.run(self.id)
                held.enter_context(self._pool.opened())
                held.callback(self._end_processes)
                yield from self._steps()
        except GeneratorExit:
            self._end("stopped", self._stopped_by)
            raise
        except BusyError as error:
            self._tell({"run": self.id, "state": "busy", "reason": str(error)})
        except AppError as error:
            self._end("paused", str(error))
        except Exception as error:
            log.exception("Run %s broke down", self.id)
            self._end("failed", f"Internal error ({type(error).__name__}); the log has the details.")

    def _steps(self) -> Iterator[None]:
        removed = remove_leftovers(self.id, self._store.outputs(self._run))
        if removed:
            log.info("Run %s: %s files that a killed process left were removed", self.id, removed)
        if self._keep_images:
            make_folder(self._run.folder)
        self._store.set_state(self._run, "running")
        team = self._team = RunWorkers(
            self._pool,
            self._run,
            count=self._workers,
            keep_in=self._run.folder if self._keep_images else None,
            weights=history.weights_in_use(self._store, self._run),
            stop=self._stop,
        )
        self._report()
        yield
        for lane in self._lanes():
            while lane.pictures_waiting and not self._stop.is_set():
                self._step(lane, team)
                yield
            # Its models are not needed again, and memory goes back.
            team.end_processes()
        if self._stop.is_set():
            self._end("stopped", self._stopped_by)
            return
        self._speeds.remember()
        self._end("done")

    def _lanes(self) -> list[Lane]:
        """What waits, but for the models that were given up before the run was interrupted."""
        waiting = self._store.waiting(self._run)
        lanes = plan_lanes(waiting)
        given_up = history.given_up(self._store, self._run)
        for lane in lanes:
            for entry in given_up:
                self._save([skipped_cell(cell) for cell in lane.drop(entry)])
        return lanes

    def _step(self, lane: Lane, team: RunWorkers) -> None:
        """Compute cells of a lane for `STEP_S`, in as many processes as there are workers, and save them."""
        with ExitStack() as held:
            try:
                held.enter_context(machine_lock(self._stop.is_set))
            except CancelledError:
                return
            until = time.monotonic() + STEP_S
            places = self._pool.places(self._workers)
            # Where a node was lost, the last workers may sit on the room that is left for the first.
            team.end_processes(from_place=places)
            workers = min(places, lane.pictures_waiting)
            with ThreadPoolExecutor(workers) as threads:
                working = [threads.submit(team.work, lane, place, until) for place in range(workers)]
                try:
                    self._save_as_they_come(working, team.results)
                except BaseException:
                    # Nothing can be saved: what the processes still compute would be lost anyway.
                    self._stop.set()
                    team.end_processes()
                    raise

    def _save_as_they_come(self, working: list[Future[None]], results: queue.SimpleQueue[CellResult]) -> None:
        unsaved: list[CellResult] = []
        saved_at = time.monotonic()
        while True:
            over = all(each.done() for each in working)
            try:
                result = results.get(timeout=0 if over else POLL_S)
            except queue.Empty:
                if over:
                    break
            else:
                if result.not_kept:
                    self._save(unsaved)
                    folder = self._run.folder
                    raise StoreError(f"Pictures can't be kept in {folder}: {result.not_kept}. Free some space and start the same again.")
                unsaved.append(result)
            if unsaved and time.monotonic() - saved_at > SAVE_EVERY_S:
                self._save(unsaved)
                unsaved, saved_at = [], time.monotonic()
        self._save(unsaved)
        for each in working:
            each.result()

    def _save(self, results: list[CellResult]) -> None:
        if results:
            for machine, of_machine in groupby(results, key=lambda result: result.machine):
                self._store.save(list(of_machine), machine or run_facts())
            self._speeds.add(results)
            self._report()

    def _end_processes(self) -> None:
        if self._team is not None:
            self._team.end_processes()

    def _report(self) -> None:
        counts = self._store.counts(self._run)
        self._tell(
            {
                "run": self.id,
                "state": "running",
                "total": counts.total,
                "done": counts.done,
                "failed": counts.failed,
                "expected_s": counts.expected_s,
            }
        )

    def _end(self, state: str, reason: str | None = None) -> None:
        """Note how the run ended, where there is room for a note, and tell."""
        self._over = True
        try:
            with Store.open() as store:
                store.set_state(store.run(self.id), state, reason)
        except AppError:
            log.exception("Run %s ended as %s, which could not be noted", self.id, state)
        self._tell({"run": self.id, "state": state, "reason": reason})
