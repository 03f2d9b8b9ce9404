"""What the workers of a dataset run do: each takes cells of a lane and has a process compute them, until its time is over."""

import queue
import threading
import time
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from pathlib import Path

import upscalers
from benchmark.runner import model_key
from benchmark.runs.cells import CellResult, CellTask, PictureTask
from benchmark.runs.lanes import GIVEN_UP_AFTER, Group, Lane, entry_of
from benchmark.schema import Row
from benchmark.storage.records import StoredRun, WaitingCell
from benchmark.workers.model_pool import ModelPool, RunModel
from benchmark.workers.pool import LIGHT_RUNTIME
from benchmark.workers.process import CallFailedError
from benchmark.workers.worker import Loaded

MESSAGE_S = 0.5
"""Cells are sent to a process in portions of about so much work: the way there and back then costs nothing that shows."""
MAX_PICTURES = 64
"""At most so many pictures in a portion."""


class RunWorkers:
    """The workers of a run. Their threads call `work`, each at its own place.

    Parameters
    ----------
    count:
        How many there are.
    keep_in:
        The folder in which results are kept as PNG; None where only their scores are.
    weights:
        The weights of each model in the run's results, by `benchmark.runs.lanes.entry_of`; those of models loaded here are added.
    stop:
        When it is set, nothing more is taken, and what processes say no longer counts.
    """

    def __init__(
        self,
        pool: ModelPool,
        run: StoredRun,
        *,
        count: int,
        keep_in: Path | None,
        weights: MutableMapping[str, str | None],
        stop: threading.Event,
    ) -> None:
        self._pool = pool
        self._run = run
        self._count = count
        self._keep_in = keep_in
        self._weights = weights
        self._stop = stop
        self._lock = threading.Lock()
        self._models: dict[tuple[str, int], RunModel] = {}
        self._picture_s = 0.0
        self.results: queue.SimpleQueue[CellResult] = queue.SimpleQueue()
        """What is finished and not yet saved."""

    def work(self, lane: Lane, place: int, until: float) -> None:
        """One worker: portion after portion, until the step is over."""
        while not self._stop.is_set() and time.monotonic() < until:
            with self._lock:
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
            self.results.put(result)
            with self._lock:
                skipped = lane.note(cell, result.row.status)
            for each in skipped:
                self.results.put(skipped_cell(each))

        try:
            tasks = [task for group in groups if (task := self._task(lane, place, group, take))]
            if tasks:
                model = self._models[entry_of(groups[0][0]), place] if lane.runtime != LIGHT_RUNTIME else self._any_model(groups, place)
                model.compute(tasks, take)
        except CallFailedError as failure:
            self._after_a_death(lane, failure, left, take)
        if left:
            with self._lock:
                skipped = lane.give_back([[cell for cell in group if cell.id in left] for group in groups])
            for each in skipped:
                self.results.put(skipped_cell(each))

    def _after_a_death(
        self, lane: Lane, failure: CallFailedError, left: dict[int, WaitingCell], take: Callable[[CellResult], None]
    ) -> None:
        """The first cell that is left is the one it died over; a process that was ended by us died over none."""
        if self._stop.is_set() or failure.status == "cancelled" or not left:
            return
        cell = next(iter(left.values()))
        with self._lock:
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
                if self._stop.is_set() or failure.status in ("cancelled", "crashed"):
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
                keep_in=self._keep_in,
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
            key = replace(model_key(cell.row, spec), threads=self._pool.threads(cell.row.threads, self._count))
            model = self._models[entry, place] = self._pool.get(key, place + 1)
            if self._stop.is_set():
                model.process.end()
        return model, model.load()

    def _with_facts(self, row: Row, model: RunModel, loaded: Loaded) -> Row:
        row = row.model_copy()
        row.threads, row.workers = model.key.threads, self._count
        row.load_s, row.import_s, row.device, row.runtime_version = loaded.load_s, loaded.import_s, loaded.device, loaded.runtime_version
        row.weights_sha256, row.verified_weights = loaded.weights_sha256, loaded.verified_weights
        return row

    def end_processes(self, from_place: int = 0) -> None:
        """End the processes at this place and those after it, from any thread; calls in progress then fail as cancelled."""
        for (entry, place), model in list(self._models.items()):
            if place >= from_place:
                self._pool.forget(model)
                self._models.pop((entry, place), None)
        if from_place == 0:
            self._picture_s = 0.0


def _ended(cell: WaitingCell, failure: CallFailedError) -> CellResult:
    row = cell.row.model_copy()
    row.status, row.reason, row.stage = failure.status, failure.reason, "done"
    return CellResult(cell.id, row)


def skipped_cell(cell: WaitingCell) -> CellResult:
    """A cell that is not computed, as its model was given up."""
    reason = f"Skipped: the model crashed or hung on {GIVEN_UP_AFTER} pictures in a row."
    return _ended(cell, CallFailedError("skipped", reason))
