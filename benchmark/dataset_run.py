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
from dataclasses import replace
from itertools import groupby
from typing import Any

import upscalers
from benchmark import run_history
from benchmark.cells import CellResult, CellTask, PictureTask
from benchmark.environment import run_facts
from benchmark.model_pool import ModelPool, RunModel
from benchmark.run_folder import make_folder, remove_leftovers, working_on
from benchmark.run_lanes import GIVEN_UP_AFTER, Group, Lane, entry_of, plan_lanes
from benchmark.run_speeds import Speeds
from benchmark.runner import model_key
from benchmark.schema import Row
from benchmark.store import Store
from benchmark.store_records import StoredRun, WaitingCell
from benchmark.timing import CancelledError, machine_lock
from benchmark.worker import Loaded
from benchmark.worker_pool import LIGHT_RUNTIME
from benchmark.worker_process import STOPPED, CallFailedError
from core.errors import AppError, BusyError, StoreError

log = logging.getLogger(__name__)

STEP_S = 3.0
"""How long a step computes before others get their turn."""
MESSAGE_S = 0.5
"""Cells are sent to a process in portions of about so much work: the way there and back then costs nothing that shows."""
MAX_PICTURES = 64
"""At most so many pictures in a portion."""
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
        self._stopped = False
        self._stopped_by = STOPPED
        self._over = False
        self._models: dict[tuple[str, int], RunModel] = {}
        self._lane_lock = threading.Lock()
        self._results: queue.SimpleQueue[CellResult] = queue.SimpleQueue()
        self._picture_s = 0.0
        self._weights: dict[str, str | None] = {}
        self._speeds = Speeds()
        self._store: Store
        self._run: StoredRun

    def cancel(self, reason: str = STOPPED) -> None:
        """Stop, from any thread: the processes end at once, and what was not saved waits for the next time."""
        if self._over:
            return
        log.info("Run %s: %s", self.id, reason)
        self._stopped, self._stopped_by = True, reason
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
        self._weights = run_history.weights_in_use(self._store, self._run)
        self._report()
        yield
        for lane in self._lanes():
            self._picture_s = 0.0
            while lane.pictures_waiting and not self._stopped:
                self._step(lane)
                yield
            self._end_processes()
        if self._stopped:
            self._end("stopped", self._stopped_by)
            return
        self._speeds.remember()
        self._end("done")

    def _lanes(self) -> list[Lane]:
        """What waits, but for the models that were given up before the run was interrupted."""
        waiting = self._store.waiting(self._run)
        lanes = plan_lanes(waiting)
        given_up = run_history.given_up(self._store, self._run)
        for lane in lanes:
            for entry in given_up:
                self._save([_skipped(cell) for cell in lane.drop(entry)])
        return lanes

    def _step(self, lane: Lane) -> None:
        """Compute cells of a lane for `STEP_S`, in as many processes as there are workers, and save them."""
        with ExitStack() as held:
            try:
                held.enter_context(machine_lock(lambda: self._stopped))
            except CancelledError:
                return
            until = time.monotonic() + STEP_S
            workers = min(self._pool.places(self._workers), lane.pictures_waiting)
            with ThreadPoolExecutor(workers) as threads:
                working = [threads.submit(self._work, lane, place, until) for place in range(workers)]
                try:
                    self._save_as_they_come(working)
                except BaseException:
                    # Nothing can be saved: what the processes still compute would be lost anyway.
                    self._stopped = True
                    self._end_processes()
                    raise

    def _save_as_they_come(self, working: list[Future[None]]) -> None:
        unsaved: list[CellResult] = []
        saved_at = time.monotonic()
        while True:
            over = all(each.done() for each in working)
            try:
                result = self._results.get(timeout=0 if over else POLL_S)
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

    def _work(self, lane: Lane, place: int, until: float) -> None:
        """One worker: portion after portion, until the step is over."""
        while not self._stopped and time.monotonic() < until:
            with self._lane_lock:
                groups = lane.take(max(1, min(MAX_PICTURES, int(MESSAGE_S / self._picture_s))) if self._picture_s else 1)
            if not groups:
                return
            started = time.monotonic()
            self._compute(lane, place, groups)
            self._picture_s = (time.monotonic() - started) / len(groups)

    def _compute(self, lane: Lane, place: int, groups: list[Group]) -> None:
        """Have a process compute some cells; those over which it dies get their reason, or wait again."""
        left = {cell.id: cell for group in groups for cell in group}

        def take(result: CellResult) -> None:
            cell = left.pop(result.id)
            self._results.put(result)
            with self._lane_lock:
                skipped = lane.note(cell, result.row.status)
            for each in skipped:
                self._results.put(_skipped(each))

        try:
            tasks = [task for group in groups if (task := self._task(lane, place, group, take))]
            if tasks:
                model = self._models[entry_of(groups[0][0]), place] if lane.runtime != LIGHT_RUNTIME else self._any_model(groups, place)
                model.compute(tasks, take)
        except CallFailedError as failure:
            self._after_a_death(lane, failure, left, take)
        if left:
            with self._lane_lock:
                skipped = lane.give_back([[cell for cell in group if cell.id in left] for group in groups])
            for each in skipped:
                self._results.put(_skipped(each))

    def _after_a_death(
        self, lane: Lane, failure: CallFailedError, left: dict[int, WaitingCell], take: Callable[[CellResult], None]
    ) -> None:
        """The first cell that is left is the one it died over; a process that was ended by us died over none."""
        if self._stopped or failure.status == "cancelled" or not left:
            return
        cell = next(iter(left.values()))
        with self._lane_lock:
            again = failure.status == "crashed" and lane.may_try_again(cell)
        if not again:
            take(_ended(cell, failure))

    def _any_model(self, groups: list[Group], place: int) -> RunModel:
        return next(self._models[entry_of(cell), place] for group in groups for cell in group if (entry_of(cell), place) in self._models)

    def _task(self, lane: Lane, place: int, group: Group, take: Callable[[CellResult], None]) -> PictureTask | None:
        """What a process is told about a picture; its models are loaded. Cells whose model can't be loaded end here."""
        cells = []
        for cell in group:
            try:
                model, loaded = self._loaded(cell, place)
            except CallFailedError as failure:
                if self._stopped or failure.status in ("cancelled", "crashed"):
                    raise
                take(_ended(cell, failure))
                continue
            row = self._with_facts(cell.row, model, loaded)
            known = self._weights.setdefault(entry_of(cell), row.weights_sha256)
            if known != row.weights_sha256:
                reason = "Its weights are not those of this run's earlier results: put them back, or start another run."
                take(_ended(cell, CallFailedError("unavailable", reason)))
                continue
            cells.append(CellTask(cell.id, model.key, row))
        first = group[0]
        return (
            PictureTask(
                name=first.picture,
                original=first.original,
                original_sha256=first.original_sha256,
                small=first.small,
                small_sha256=first.small_sha256,
                scale=int(first.row.scale),
                repeats=self._run.request["repeats"],
                keep_in=self._run.folder if self._keep_images else None,
                cells=tuple(cells),
                metrics=tuple(self._run.request.get("metrics", ())),
            )
            if cells
            else None
        )

    def _loaded(self, cell: WaitingCell, place: int) -> tuple[RunModel, Loaded]:
        """The model of a cell in the process of this place, loaded. Raises `CallFailedError`."""
        entry = entry_of(cell)
        model = self._models.get((entry, place))
        if model is None or not model.process.alive:
            spec = upscalers.find(cell.row.upscaler)
            if spec is None:
                raise CallFailedError("unavailable", "It was removed before its turn came.")
            key = replace(model_key(cell.row, spec), threads=self._pool.threads(cell.row.threads, self._workers))
            model = self._models[entry, place] = self._pool.get(key, place + 1)
            if self._stopped:
                model.process.end()
        return model, model.load()

    def _with_facts(self, row: Row, model: RunModel, loaded: Loaded) -> Row:
        row = row.model_copy()
        row.threads, row.workers = model.key.threads, self._workers
        row.load_s, row.import_s, row.device, row.runtime_version = loaded.load_s, loaded.import_s, loaded.device, loaded.runtime_version
        row.weights_sha256, row.verified_weights = loaded.weights_sha256, loaded.verified_weights
        return row

    def _end_processes(self) -> None:
        """End the processes of a lane: their models are not needed again, and memory goes back."""
        for model in list(self._models.values()):
            self._pool.forget(model)
        self._models.clear()

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


def _ended(cell: WaitingCell, failure: CallFailedError) -> CellResult:
    row = cell.row.model_copy()
    row.status, row.reason, row.stage = failure.status, failure.reason, "done"
    return CellResult(cell.id, row)


def _skipped(cell: WaitingCell) -> CellResult:
    reason = f"Skipped: the model crashed or hung on {GIVEN_UP_AFTER} pictures in a row. `--retry-failed` tries again."
    return _ended(cell, CallFailedError("skipped", reason))
