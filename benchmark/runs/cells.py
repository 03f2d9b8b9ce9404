"""The cells of a dataset run, computed in the process that holds the model: from the files of a picture to a scored row.

A picture is read, checked and shrunk once for all cells that are computed from it. Each cell leaves as soon as it is finished, so
that what a crash takes with it is one cell.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from benchmark import given_small
from benchmark.degradation import DEFAULT_DOWNSCALE, crop_to_multiple, downscale
from benchmark.failures import failure_of
from benchmark.preparation import SMALLEST_FOR_HALF_PX, Prepared, needs_f32
from benchmark.schema import ImageFacts, Mode, Region, Row
from benchmark.scoring import Layers, ask_for_more, score_row
from benchmark.scoring_process import Request, ScoringProcess
from benchmark.timing import ContentionMeter, median, percentile
from core.errors import ImageError, UnavailableError
from core.files import write_atomically
from core.image import ALPHA8, RGB8, Picture, decode, encode_png, read_file, resize_alpha
from core.image_decode import FRAMES_USED
from upscalers.base import Progress

if TYPE_CHECKING:
    from benchmark.workers.worker import Called, ModelKey

CHANGED = "The file is not as it was when the run was planned: put it back, or start another run."


@dataclass(frozen=True)
class CellTask:
    """One cell to compute."""

    id: int
    key: "ModelKey"
    row: Row
    """As planned, with the facts about the loaded model."""


@dataclass(frozen=True)
class PictureTask:
    """One picture and the cells that are computed from it."""

    name: str
    original: Path
    original_sha256: str
    small: Path | None
    small_sha256: str | None
    scale: int
    repeats: int
    keep_in: Path | None
    """Where the results are kept as PNG; None where only their scores are."""
    cells: tuple[CellTask, ...]
    metrics: tuple[str, ...] = ()
    """Names from `metrics.MORE`, computed for each cell beside the usual scores."""


@dataclass(frozen=True)
class CellResult:
    """A finished cell."""

    id: int
    row: Row
    notes: tuple[str, ...] = ()
    """Each conversion that was made of the picture on its way in, a sentence each."""
    pixels_sha256: str | None = None
    """Of the result's pixels as they lie in memory, transparency after colours, whether or not it is kept."""
    output_sha256: str | None = None
    """Of the PNG that was kept."""
    spent_s: float = 0.0
    """All of its time in the process: reading, the calls, scoring, keeping."""
    machine: Mapping[str, str | int | float | None] | None = None
    """Facts about the machine that computed it, as `benchmark.environment.run_facts` gives them; None: this one."""
    not_kept: str | None = None
    """Why the PNG could not be written: then nothing of this cell may be saved."""


class Bench(Protocol):
    """What runs the models: `benchmark.workers.worker`."""

    called: "set[ModelKey]"
    """The models that have run already."""
    scoring: ScoringProcess
    """Where metrics that were asked for are computed: in a process of their own, so that a model's memory is only its own."""

    def call(self, key: "ModelKey", token: str, picture: RGB8, seed: int | None, *, progress: Progress) -> "Called":
        """Enlarge a picture, and keep it for `repeat`."""
        ...

    def repeat(self, key: "ModelKey", token: str, seed: int | None, *, progress: Progress) -> float | None:
        """Seconds of one more call on it."""
        ...


@dataclass(frozen=True)
class _Conditions:
    """What the scores of a cell depend on beside its row; see `benchmark.scoring.Conditions`."""

    mode: Mode
    scale: float
    downscale: str
    lr_sha256: str | None
    image: ImageFacts
    region: Region | None = None


@dataclass(frozen=True, eq=False)
class _Ready:
    pictures: Prepared
    conditions: _Conditions
    notes: tuple[str, ...]


@dataclass(eq=False)
class _Desk:
    """What the cells of one message share."""

    bench: Bench
    progress: Progress
    meter: ContentionMeter = field(default_factory=ContentionMeter)


def compute(tasks: Sequence[PictureTask], bench: Bench, progress: Progress, finished: Callable[[CellResult], None]) -> None:
    """Compute all cells of some pictures; `finished` gets each as soon as it is there, in order, with a result or a reason."""
    desk = _Desk(bench, progress)
    before = time.perf_counter()

    def leave(result: CellResult) -> None:
        nonlocal before
        now = time.perf_counter()
        finished(replace(result, spent_s=now - before))
        before = now

    for task in tasks:
        try:
            ready = _ready(task)
        except Exception as error:  # noqa: BLE001 - it becomes the reason of these cells
            for cell in task.cells:
                leave(_failed(cell, error))
            continue
        for cell in task.cells:
            try:
                result = _computed(cell, task, ready, desk)
            except Exception as error:  # noqa: BLE001
                result = _failed(cell, error)
            leave(result)


def _failed(cell: CellTask, error: Exception) -> CellResult:
    row = cell.row.model_copy()
    row.status, row.reason = failure_of(error, row.upscaler)
    row.stage = "done"
    row.forget_result()
    return CellResult(cell.id, row)


def _ready(task: PictureTask) -> _Ready:
    """Read a picture as `benchmark.preparation.prepare` does for a comparison. Raises `core.errors.AppError`."""
    picture = _read(task.original, task.original_sha256)
    scale, notes = task.scale, list(picture.notes)
    original = crop_to_multiple(picture.rgb, scale)
    if original.shape != picture.rgb.shape:
        notes.append(f"Cropped to {original.shape[1]}×{original.shape[0]}, a multiple of {scale}.")
    alpha = None if picture.alpha is None else crop_to_multiple(picture.alpha, scale)
    method = task.cells[0].row.lr_source
    small_alpha: ALPHA8 | None
    if task.small is not None:
        given = _read(task.small, task.small_sha256)
        given_small.check((given.width, given.height), (picture.width, picture.height), scale)
        notes += [f"Small picture: {note}" for note in given.notes]
        small, small_alpha, method = given.rgb, given.alpha, DEFAULT_DOWNSCALE
    elif method == given_small.LR_SOURCE:
        raise ImageError(f"There is no small picture for x{scale} beside it: add one, or choose a way to shrink.")
    else:
        small = downscale(original, scale, method)
        small_alpha = None if alpha is None else downscale(alpha, scale, method)
    image = ImageFacts(
        name=task.name,
        sha256=picture.sha256,
        width=original.shape[1],
        height=original.shape[0],
        stored_channels=picture.stored_channels,
        has_alpha=alpha is not None,
        notes=notes,
    )
    conditions = _Conditions(mode="restore", scale=scale, downscale=method, lr_sha256=task.small_sha256, image=image)
    return _Ready(Prepared(original, alpha, small, small_alpha), conditions, tuple(notes))


def _read(path: Path, sha256: str | None) -> Picture:
    picture = decode(read_file(path), name=path.name)
    if picture.sha256 != sha256:
        raise ImageError(CHANGED)
    if any(note.endswith(FRAMES_USED) for note in picture.notes):
        raise ImageError("The file holds several frames; a set takes single pictures. Save the one that is meant.")
    return picture


def _computed(cell: CellTask, task: PictureTask, ready: _Ready, desk: _Desk) -> CellResult:
    """Call the model, score its result and keep it where that was asked for."""
    row, pictures = cell.row.model_copy(), ready.pictures
    token = f"{task.original_sha256}:{task.small_sha256}:{task.scale}"
    if row.precision != "f32" and needs_f32(pictures.small):
        raise UnavailableError(
            f"Small pictures with a side under {SMALLEST_FOR_HALF_PX} px take f32 only; the run asks for {row.precision}."
        )
    row.was_warm = cell.key in desk.bench.called
    with desk.meter.measure(os.getpid()):
        called = desk.bench.call(cell.key, token, pictures.small, row.seed, progress=desk.progress)
    warm_s = []
    for _ in range(task.repeats):
        with desk.meter.measure(os.getpid()):
            seconds = desk.bench.repeat(cell.key, token, row.seed, progress=desk.progress)
        assert seconds is not None
        warm_s.append(seconds)
    row.load_s = None if row.load_s is None else row.load_s + called.expect_s
    row.first_s, row.repeats = called.seconds, len(warm_s)
    if warm_s:
        row.warm_p50_s, row.warm_p95_s = median(warm_s), percentile(warm_s, 0.95)
    row.tile, row.peak_vram_mib = called.tile, called.peak_vram_mib
    row.base_rss_mib, row.peak_rss_mib = called.base_rss_mib, called.peak_rss_mib
    # Beside other workers of this run, whatever else runs can't be told from them; `workers` says enough.
    row.contended = desk.meter.contended if row.workers == 1 else None
    height, width = row.height, row.width = called.picture.shape[:2]
    row.output_mp_per_s = width * height / 1e6 / (row.warm_p50_s or called.seconds)
    alpha = None if pictures.small_alpha is None else resize_alpha(pictures.small_alpha, width, height)
    original = Layers(pictures.original, pictures.original_alpha)
    result = Layers(called.picture, alpha)
    score_row(ready.conditions, row, result, small=Layers(pictures.small, pictures.small_alpha), original=original)
    if task.metrics:
        _score_more(task, row, ready, result, original, desk.bench.scoring)
    row.status, row.stage = "ok", "done"
    pixels = hashlib.sha256(np.ascontiguousarray(called.picture).data)
    if alpha is not None:
        pixels.update(np.ascontiguousarray(alpha).data)
    if task.keep_in is None:
        return CellResult(cell.id, row, ready.notes, pixels.hexdigest())
    png = encode_png(called.picture, alpha)
    output_sha256 = hashlib.sha256(png).hexdigest()
    row.output_path = f"{output_sha256}.png"
    try:
        write_atomically(task.keep_in / row.output_path, png)
    except OSError as error:
        return CellResult(cell.id, row, not_kept=error.strerror or type(error).__name__)
    return CellResult(cell.id, row, ready.notes, pixels.hexdigest(), output_sha256)


def _score_more(task: PictureTask, row: Row, ready: _Ready, result: Layers, original: Layers, process: ScoringProcess) -> None:
    """Add the metrics that were asked for; the pictures go to their process as files."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, f"{name}.png") for name in ("result", "original")}
        for name, layers in (("result", result), ("original", original)):
            paths[name].write_bytes(encode_png(layers.rgb, layers.alpha))
        width, height = result.size
        request = Request(
            names=list(task.metrics),
            result=str(paths["result"]),
            original=str(paths["original"]),
            width=width,
            height=height,
            scale=task.scale,
            stored_channels=ready.conditions.image.stored_channels,
        )
        ask_for_more(row, request, process)
