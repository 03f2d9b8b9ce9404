"""The course of one comparison, as a sequence of short steps between which the host may serve somebody else.

First pass: each model once, the cheapest first, its picture scored and shown at once. Second pass: warm calls, one model
after the other in turns, so that a slow minute of the machine hits all of them alike. Third pass: the
metrics that somebody asked for.
"""

import logging
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import upscalers
from benchmark import jobs
from benchmark.open_job import OpenJob
from benchmark.preparation import Prepared, needs_f32, prepare
from benchmark.schema import Row
from benchmark.scoring import Layers, score_more, score_row
from benchmark.scoring_process import ScoringProcess
from benchmark.timed_row import TimedRow
from benchmark.timing import CancelledError, ContentionMeter, machine_lock
from benchmark.workers.pool import LIGHT_RUNTIME, WorkerPool
from benchmark.workers.process import STOPPED, CallFailedError, Model
from benchmark.workers.worker import ModelKey
from core.errors import AppError
from core.image import RGB8, resize_alpha
from runtimes.base import Precision
from upscalers.spec import UpscalerSpec

log = logging.getLogger(__name__)

HALVINGS = 2
"""How often the tiles of a model that ran out of memory are halved unasked. Each try takes time, and after so many little is gained."""


class ComparisonRun:
    """One comparison being worked on."""

    def __init__(self, directory: Path, pool: WorkerPool) -> None:
        self.directory = directory
        self._open = OpenJob(directory)
        self.job = self._open.job
        self.id, self.user = self.job.id, self.job.user
        self._pool = pool
        self._model: Model | None = None
        self._cancelled = False
        self._pictures: Prepared

    def cancel(self, reason: str = STOPPED) -> None:
        """Stop, from any thread. The stored comparison is closed at once; work in progress ends when it notices."""
        self._cancelled = True
        model = self._model
        if model is not None:
            model.process.end()
        self._open.close(lambda: jobs.stop_rows(self.job, reason))

    def steps(self) -> Generator[None]:
        """Do the work; between two `next` calls nothing runs. Ends with a finished comparison, whatever happens."""
        try:
            yield from self._steps()
        except AppError as error:
            self._fail(str(error))
        except Exception as error:
            log.exception("Comparison %s failed", self.job.id)
            self._fail(f"Internal error ({type(error).__name__}); the log has the details.")

    def _steps(self) -> Iterator[None]:
        if self._cancelled:
            return
        self.job.state = "running"
        self._pictures = prepare(self.directory, self.job)
        if needs_f32(self._pictures.small):
            for row in self.job.rows:
                row.precision = row.precision if row.given else "f32"
        self._open.save()
        yield
        while not self._cancelled:
            timed: list[TimedRow] = []
            while (row := self._cheapest_waiting()) is not None:
                if self._cancelled:
                    return
                entry = self._first_call(row)
                if entry is not None:
                    timed.append(entry)
                yield
            self._pool.wait_until_idle(self._is_cancelled)
            yield from self._second_pass(timed)
            yield from self._third_pass([entry.row for entry in timed])
            if self._open.close(self._done, unless_waiting=True):
                return

    def again(self, row_id: str, tile_px: int | None) -> bool:
        """Run a row that gave no picture once more, from any thread; False when this comparison is closed or has no such row."""
        return self._open.run_again(row_id, tile_px)

    def _cheapest_waiting(self) -> Row | None:
        waiting = [row for row in self.job.rows if row.status is None]
        return min(waiting, key=lambda row: (row.expected_s is None, row.expected_s or 0.0), default=None)

    def _second_pass(self, timed: list[TimedRow]) -> Iterator[None]:
        """Warm calls in turns until every model has had its share."""
        unfinished = list(timed)
        while unfinished:
            for entry in list(unfinished):
                if self._cancelled:
                    return
                if entry.wants_another_call(self.job.repeats) and self._warm_call(entry):
                    yield
                    continue
                unfinished.remove(entry)
                entry.sum_up(self._pictures.small.shape[:2], self.job.repeats)
                self._open.save()

    def _third_pass(self, rows: list[Row]) -> Iterator[None]:
        """The metrics that somebody asked for: nothing of this comparison is timed any more, and the lock keeps others' times clean."""
        if not self.job.metrics:
            return
        with ScoringProcess() as process:
            for row in rows:
                if self._cancelled:
                    return
                try:
                    with machine_lock(self._is_cancelled):
                        score_more(self.directory, self.job, row, process, self._is_cancelled)
                except CancelledError:
                    return
                self._open.save()
                yield

    def _first_call(self, row: Row) -> TimedRow | None:
        """Load the model and run it once; its picture, scores and first time go into the row. None when it failed."""
        spec = upscalers.find(row.upscaler)
        if spec is None:
            row.status, row.reason, row.stage = "unavailable", "It was removed before its turn came.", "done"
            self._open.save()
            return None
        started: float | None = None
        for halvings_left in reversed(range(HALVINGS + 1)):
            model = None
            try:
                # Only the interpolators are so light that they need not wait for imports in the background.
                if row.runtime != LIGHT_RUNTIME:
                    self._pool.wait_until_idle(self._is_cancelled)
                with machine_lock(self._is_cancelled):
                    model = self._pool.get(model_key(row, spec))
                    started = started or time.monotonic()
                    return self._timed_first_call(row, model, started)
            except CancelledError:
                return None
            except CallFailedError as failure:
                if model is not None:
                    self._pool.forget(model)
                if not self._halve(row, spec, failure, halvings_left):
                    row.status, row.reason, row.stage = failure.status, failure.reason, "done"
                    row.tile = self._tile(row, spec)
                    return None
            finally:
                self._model = None
                self._open.save()
        return None

    def _halve(self, row: Row, spec: UpscalerSpec, failure: CallFailedError, halvings_left: int) -> bool:
        """Have the row run in smaller tiles when memory ran out; False where that can't help."""
        tiling = spec.with_tile(row.scale, row.tile_limit).cut(row.scale)
        smaller = tiling.halved(*self._pictures.small.shape[:2]) if tiling else None
        if failure.status != "oom" or smaller is None or not halvings_left or self._cancelled:
            return False
        before = self._tile(row, spec)
        how = f"with tiles of {before} px, so smaller ones were taken" if before else "in one piece, so it was cut into tiles"
        row.tile_note = row.tile_note or f"Out of memory {how}."
        row.tile_limit, row.tiles_done, row.tiles_total = smaller.tile_px, 0, 0
        return True

    def _timed_first_call(self, row: Row, model: Model, started: float) -> TimedRow:
        row.stage, row.started_at = "loading", jobs.now()
        self._open.save(durable=False)
        self._hold(model)
        row.was_warm = model.loaded is not None
        loaded = model.load()
        row.load_s, row.import_s, row.device, row.runtime_version = loaded.load_s, loaded.import_s, loaded.device, loaded.runtime_version
        row.weights_sha256, row.verified_weights = loaded.weights_sha256, loaded.verified_weights
        row.stage = "running"
        self._open.save(durable=False)
        entry = TimedRow(row, model, ContentionMeter())
        with entry.first_meter.measure(model.process.pid):
            called = model.call(self.job.id, self._pictures.small, row.seed, lambda done, total: self._progress(row, done, total))
        # Not lasting: another picture, or the same model after other sizes, pays it again.
        row.load_s = loaded.load_s + called.expect_s
        row.first_s, row.waited_s = called.seconds, time.monotonic() - started
        row.tile, row.peak_vram_mib = called.tile, called.peak_vram_mib
        row.base_rss_mib, row.peak_rss_mib = called.base_rss_mib, called.peak_rss_mib
        try:
            self._take_picture(row, called.picture)
        except (OSError, MemoryError) as error:
            log.exception("The result of %s could not be kept", row.upscaler)
            row.forget_result()
            raise CallFailedError("failed", f"Its picture could not be kept ({type(error).__name__}): free disk or memory.") from error
        row.status, row.stage = "ok", "timing"
        return entry

    def _tile(self, row: Row, spec: UpscalerSpec) -> int | None:
        """The side of the tiles in which the picture is run; None when it is run whole."""
        tiling = spec.with_tile(row.scale, row.tile_limit).cut(row.scale)
        return None if tiling is None or tiling.takes_whole(*self._pictures.small.shape[:2]) else tiling.tile_px

    def _hold(self, model: Model) -> None:
        """Make the model the one that `cancel` ends; a cancel that came a moment before ends it here."""
        self._model = model
        if self._cancelled:
            model.process.end()

    def _take_picture(self, row: Row, result: RGB8) -> None:
        """Score and store a result."""
        height, width = row.height, row.width = result.shape[:2]
        alpha = None if self._pictures.small_alpha is None else resize_alpha(self._pictures.small_alpha, width, height)
        original = Layers(self._pictures.original, self._pictures.original_alpha) if self.job.mode == "restore" else None
        small = Layers(self._pictures.small, self._pictures.small_alpha)
        # Coding takes one core for about as long as scoring takes the others.
        with ThreadPoolExecutor(1) as beside:
            kept = beside.submit(jobs.keep_picture, self.directory, result, alpha)
            score_row(self.job, row, Layers(result, alpha), small=small, original=original)
            row.output_path = kept.result()

    def _warm_call(self, entry: TimedRow) -> bool:
        """One more call; False when the model can't do it. The picture and its scores stay, whatever happens here."""
        try:
            with machine_lock(self._is_cancelled):
                if not entry.model.process.alive:
                    # Unloaded to make room, or ended with another comparison that shared its process.
                    entry.model = self._pool.get(entry.model.key)
                self._hold(entry.model)
                entry.model.load()
                with entry.warm_meter.measure(entry.model.process.pid):
                    seconds = entry.model.repeat(self.job.id, self._pictures.small, entry.row.seed)
            entry.calls_s.append(seconds)
        except CancelledError:
            return False
        except CallFailedError as failure:
            if not self._cancelled:
                entry.row.timing_note = f"Repeating it failed: {failure.reason}"
                self._pool.forget(entry.model)
            return False
        finally:
            self._model = None
        return True

    def _progress(self, row: Row, done: int, total: int) -> None:
        row.tiles_done, row.tiles_total = done, total
        self._open.save_progress()

    def _is_cancelled(self) -> bool:
        return self._cancelled

    def _done(self) -> None:
        self.job.state = "done"

    def _fail(self, reason: str) -> None:
        def mark() -> None:
            jobs.stop_rows(self.job, reason)
            self.job.state = "failed"

        self._open.close(mark)


def model_key(row: Row, spec: UpscalerSpec) -> ModelKey:
    """Which model, how, computes a row."""
    return ModelKey(
        upscaler=row.upscaler,
        scale=row.scale,
        runtime=row.runtime,
        precision=cast("Precision", row.precision),
        threads=row.threads,
        options=tuple(sorted(row.options.items())),
        weights=tuple(file.sha256 for file in spec.required_weights(row.scale)),
        tile_px=row.tile_limit,
    )
