"""A small before and after of each model: the standard picture, shrunk and restored by an ordinary comparison on this machine.

Which comparison shows a model is remembered beside the comparisons; a model whose comparison has expired, or whose weights have
changed since, has none.
"""

import contextlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from filelock import FileLock

from benchmark import estimates
from benchmark.plan import Plan, default_precision
from benchmark.schema import Comparison, Row
from benchmark.workers.local_engine import LocalEngine
from core.errors import AppError
from core.files import write_atomically
from core.settings import settings
from core.weight_hashes import read_json
from upscalers.spec import SCORED_SCALES, UpscalerSpec

log = logging.getLogger(__name__)

UNASKED_S = 10.0
"""Models that are expected to need longer are only shown when somebody asks for them."""
USER = "models page"
PICTURE_SIDE_PX = 256
"""The standard picture is a square of this side: at x4 the smallest whose times are kept as measured speeds."""


@dataclass(frozen=True)
class Preview:
    """What there is to see of a model."""

    job_id: str
    scale: int
    before: str
    """Name of the shrunk picture in the comparison."""
    after: str
    """Name of the model's result."""
    row: Row


class Previews:
    """The before and after of all models, as they stand at the moment of construction.

    Parameters
    ----------
    engine:
        Runs the comparisons.
    picture:
        The standard picture, as a file.
    """

    def __init__(self, engine: LocalEngine, picture: Path) -> None:
        self._engine = engine
        self._picture = picture
        self._known = _read()
        self._jobs: dict[str, Comparison] = {}
        for job_id in set(self._known.values()):
            with contextlib.suppress(AppError):
                self._jobs[job_id] = engine.load(job_id)

    def of(self, spec: UpscalerSpec) -> Preview | None:
        """The preview of a model; None when there is none that still holds."""
        row, job = self._row(spec)
        if job is None or row is None or row.output_path is None or job.downscaled_path is None:
            return None
        return Preview(job.id, int(job.scale), job.downscaled_path, row.output_path, row)

    def state(self, spec: UpscalerSpec) -> str | None:
        """What a model without a picture waits for, or why it failed; None when nothing was tried."""
        row, job = self._row(spec)
        if row is None or job is None or row.output_path:
            return None
        if job.active and row.stage != "done":
            return "Drawing" if row.stage in ("loading", "running") else "Waiting"
        return row.reason or job.reason or "Stopped."

    def missing(self, specs: Iterable[UpscalerSpec]) -> list[UpscalerSpec]:
        """Those that are ready, quick enough to be tried unasked, and were not tried yet."""
        return [spec for spec in specs if self._row(spec)[0] is None and is_quick(spec)]

    def start(self, specs: Iterable[UpscalerSpec]) -> None:
        """Begin to draw these, one comparison per scale. Raises `core.errors.BusyError`."""
        by_scale = sorted(((default_scale(spec), spec.id) for spec in specs), key=lambda pair: -pair[0])
        for scale, members in groupby(by_scale, key=lambda pair: pair[0]):
            ids = [upscaler_id for _, upscaler_id in members]
            source = self._picture.read_bytes()
            job_id = self._engine.submit(Plan(scale=scale, upscaler_ids=ids), source, name=self._picture.name, user=USER)
            _remember(dict.fromkeys(ids, job_id))

    @property
    def active(self) -> bool:
        """Whether pictures are being drawn."""
        return any(job.active for job in self._jobs.values())

    def _row(self, spec: UpscalerSpec) -> tuple[Row | None, Comparison | None]:
        job = self._jobs.get(self._known.get(spec.id, ""))
        row = next((row for row in job.rows if row.upscaler == spec.id), None) if job else None
        return (row, job) if row is not None and row.status != "unavailable" else (None, None)


def forget(upscaler_id: str) -> None:
    """Drop what is known of a model whose weights have changed, so that it is drawn again."""
    _remember({upscaler_id: None})


def is_quick(spec: UpscalerSpec) -> bool:
    """Whether a model is ready and expected to need a few seconds at most."""
    expected_s = expected_call_s(spec)
    return expected_s is not None and expected_s <= UNASKED_S


def expected_call_s(spec: UpscalerSpec) -> float | None:
    """Seconds that the standard picture will take; None when the model is not ready or nothing is known about it."""
    scale = default_scale(spec)
    if spec.status(scale).kind != "ready":
        return None
    expected = estimates.estimate(spec, scale, spec.runtime("auto", scale), default_precision(spec), (PICTURE_SIDE_PX // scale) ** 2)
    return expected.seconds if expected else None


def default_scale(spec: UpscalerSpec) -> int:
    """The scale at which a model is shown: x4 where it has it and can run, else the first at which it can, else its largest."""
    offered = [scale for scale in (4, 3, 2, 8) if spec.supports(scale)]
    ready = [scale for scale in offered if spec.status(scale).kind == "ready"]
    return next(iter(ready or offered), max(set(spec.scales) & set(SCORED_SCALES), default=SCORED_SCALES[0]))


def _read() -> Mapping[str, str]:
    known = read_json(settings().home / "previews.json")
    return {key: value for key, value in known.items() if isinstance(value, str)} if isinstance(known, dict) else {}


def _remember(changes: Mapping[str, str | None]) -> None:
    path = settings().home / "previews.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            known = {key: value for key, value in {**_read(), **changes}.items() if value is not None}
            write_atomically(path, json.dumps(known).encode(), durable=False)
    except OSError as error:
        # Without it a picture is drawn again at the next visit; nothing is lost.
        log.warning("Which comparisons show the models can't be remembered in %s: %s", path, error)
