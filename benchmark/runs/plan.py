"""What a dataset run computes, frozen before it starts: data sets x scales x upscalers x runtimes, a cell for each picture."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import upscalers
from benchmark import estimates, given_small
from benchmark.datasets.dataset import Dataset, DatasetPicture
from benchmark.degradation import CROP_RULE, DEFAULT_DOWNSCALE, DOWNSCALERS
from benchmark.plan import Plan
from benchmark.schema import Row
from core.errors import UsageError
from core.weights import status as weight_status
from metrics import MORE
from runtimes.base import Precision

GIVEN = "given"
"""Use the small pictures that come with a set."""
AUTO = "auto"
"""Use them where there are any, and shrink by `DEFAULT_DOWNSCALE` where there are none."""
ASKED_AS = {"upscalers": "upscaler_ids"}
"""Fields of a plan that have another name in a request."""
DERIVED = ("datasets", "downscale_libraries")
"""What a request says of the pictures and libraries of then: a plan looks at those of now."""
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class PlannedPicture:
    """A picture of a set at one scale."""

    dataset: str
    name: str
    scale: int
    source: DatasetPicture
    """`small` is None where it is made here."""


@dataclass(frozen=True)
class PlannedCell:
    """One picture through one upscaler. The three hashes together are unique in a run."""

    picture: PlannedPicture
    row: Row
    """As it waits; where the upscaler can't run here, finished with its reason."""
    input_hash: str
    """Of the set's name, the picture's name and the bytes of its files."""
    model_hash: str
    """Of the upscaler's id, weights, options and seed."""
    settings_hash: str
    """Of scale, small picture, crop, runtime, precision, tiles and repeats."""
    expected_s: float | None


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """What was asked for. Raises `core.errors.UsageError` when something in it can't be done by anything."""

    datasets: tuple[Dataset, ...]
    scales: tuple[int, ...]
    upscaler_ids: tuple[str, ...]
    ready_only: bool = False
    """Leave out what can't run here, instead of having cells that say so."""
    lr: str = AUTO
    """Where the small pictures come from: `AUTO`, `GIVEN`, or the id of a downscale method."""
    runtimes: tuple[str, ...] = ("auto",)
    precision: Precision | None = None
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    seed: int | None = None
    repeats: int = 0
    """Warm calls of each cell after the first."""
    metrics: tuple[str, ...] = ()
    """Names from `metrics.MORE`: computed for every cell beside the usual scores."""
    tile_px: int | None = None
    """Side of the tiles into which large pictures are cut, in input pixels, for all upscalers that can; None: each one's own."""

    def __post_init__(self) -> None:
        """Check what needs no picture."""
        if not self.datasets or not self.scales:
            raise UsageError("Expected at least one data set and one scale.")
        names = [dataset.name for dataset in self.datasets]
        if len(set(names)) < len(names):
            raise UsageError(f"Two data sets have one name: {', '.join(names)}. Name each once, or rename a folder.")
        upscalers.registry().select(self.upscaler_ids)
        for metric in MORE.select(self.metrics):
            if reason := metric.unavailable_reason():
                raise UsageError(reason)
        if self.lr not in (AUTO, GIVEN):
            DOWNSCALERS.get(self.lr)
        for dataset in self.datasets:
            for scale in self.scales:
                if self.lr == GIVEN and not dataset.has_small(scale):
                    raise UsageError(f"{dataset.name} has no small pictures for x{scale}: choose a way to shrink, or leave that open.")
                self._plans(dataset, scale)

    @classmethod
    def from_request(cls, request: Mapping[str, Any], datasets: Iterable[Dataset]) -> Self:
        """The plan whose `request` this was, made anew with these data sets.

        Raises
        ------
        core.errors.UsageError
            Something in it can't be done any more.
        """
        asked: dict[str, Any] = {
            ASKED_AS.get(name, name): tuple(value) if isinstance(value, list) else value
            for name, value in request.items()
            if name not in DERIVED
        }
        return cls(datasets=tuple(datasets), **asked)

    def downscale(self, dataset: Dataset, scale: int) -> str | None:
        """How the small pictures of a set are made at this scale; None where they are given."""
        if self.lr == GIVEN or (self.lr == AUTO and dataset.has_small(scale)):
            return None
        return DEFAULT_DOWNSCALE if self.lr == AUTO else self.lr

    @cached_property
    def request(self) -> dict[str, Any]:
        """What was asked for, as JSON: two commands with the same request are the same run."""
        methods = {self.downscale(dataset, scale) for dataset in self.datasets for scale in self.scales} - {None}
        return {
            "datasets": [{"name": dataset.name, "pictures": len(dataset), "sha256": dataset.sha256} for dataset in self.datasets],
            "scales": list(self.scales),
            "upscalers": list(dict.fromkeys(self.upscaler_ids)),
            "ready_only": self.ready_only,
            "lr": self.lr,
            "downscale_libraries": {method: DOWNSCALERS.get(method).library_version() for method in sorted(filter(None, methods))},
            "runtimes": list(self.runtimes),
            "precision": self.precision,
            "options": {name: dict(values) for name, values in self.options.items()},
            "seed": self.seed,
            "repeats": self.repeats,
            # Only where they were asked for: runs of before these options keep their hash, and go on.
            **({"metrics": list(dict.fromkeys(self.metrics))} if self.metrics else {}),
            **({"tile_px": self.tile_px} if self.tile_px is not None else {}),
        }

    @property
    def request_sha256(self) -> str:
        """Id of the request."""
        return _sha256_of(self.request)

    def default_name(self) -> str:
        """What the run is called when nobody names it: the same for the same request."""
        names = "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", dataset.name).strip("-.") for dataset in self.datasets)
        return f"{(names or 'run')[:60]}-{self.request_sha256[:8]}"

    @cached_property
    def pictures(self) -> list[PlannedPicture]:
        """All pictures at all scales."""
        found = []
        for dataset in self.datasets:
            for scale in self.scales:
                given = self.downscale(dataset, scale) is None
                for source in dataset.pictures(scale):
                    kept = source if given else DatasetPicture(source.name, source.original, None)
                    found.append(PlannedPicture(dataset.name, source.name, scale, kept))
        return found

    def cells(self) -> list[PlannedCell]:
        """Every cell, in the order of sets, scales, upscalers and pictures."""
        pictures: dict[tuple[str, int], list[PlannedPicture]] = {}
        for picture in self.pictures:
            pictures.setdefault((picture.dataset, picture.scale), []).append(picture)
        cells = []
        for dataset in self.datasets:
            for scale in self.scales:
                for row in self._rows(dataset, scale):
                    cells += self._cells_of(row, pictures[dataset.name, scale], self.downscale(dataset, scale))
        return cells

    def _cells_of(self, row: Row, pictures: Iterable[PlannedPicture], downscale: str | None) -> list[PlannedCell]:
        scale = int(row.scale)
        spec = upscalers.get(row.upscaler).with_tile(scale, row.tile_limit)
        found = [weight_status(file).located for file in spec.required_weights(scale)]
        weights = [each.sha256 if each else None for each in found]
        model = _sha256_of({"upscaler": row.upscaler, "weights": weights, "options": row.options, "seed": row.seed})
        tiling = spec.cut(scale)
        settings = _sha256_of(
            {
                "scale": scale,
                "lr": row.lr_source,
                "downscale_library": DOWNSCALERS.get(downscale).library_version() if downscale else None,
                "crop": CROP_RULE,
                "runtime": row.runtime,
                "precision": row.precision,
                "tiling": [tiling.tile_px, tiling.overlap_px, *tiling.manner] if tiling else None,
                "repeats": self.repeats,
            }
        )
        rate = estimates.estimate(spec, scale, row.runtime, row.precision, 1_000_000, row.options)
        scoring_s_per_mp = estimates.scoring_s_per_mp()
        cells = []
        for picture in pictures:
            expected_s = None
            if rate and picture.source.original.size:
                width, height = picture.source.original.size
                pixels = estimates.processed_pixels(spec, scale, max(1, height // scale), max(1, width // scale))
                expected_s = (1 + self.repeats) * rate.seconds * pixels / 1e6 + scoring_s_per_mp * width * height / 1e6
            cells.append(PlannedCell(picture, row, _input_hash(picture), model, settings, expected_s))
        return cells

    def _rows(self, dataset: Dataset, scale: int) -> list[Row]:
        """A waiting row per upscaler, runtime and precision."""
        rows: dict[tuple[str, str, str], Row] = {}
        given = self.downscale(dataset, scale) is None
        for plan in self._plans(dataset, scale):
            made = plan.rows()
            if given:
                given_small.mark_rows(plan, made)
            for row in made:
                # The interpolators have one runtime, whichever are asked for.
                if not (self.ready_only and row.status):
                    rows.setdefault((row.upscaler, row.runtime, row.precision), row)
        return list(rows.values())

    def _plans(self, dataset: Dataset, scale: int) -> list[Plan]:
        return [
            Plan(
                scale=scale,
                upscaler_ids=self.upscaler_ids,
                downscale=self.downscale(dataset, scale) or DEFAULT_DOWNSCALE,
                runtime=runtime,
                precision=self.precision,
                options=self.options,
                seed=self.seed,
                repeats=self.repeats,
                metrics=self.metrics,
                tile_px=self.tile_px,
            )
            for runtime in self.runtimes
        ]


def check_name(name: str) -> str:
    """A name that a run may have. Raises `core.errors.UsageError`."""
    if not RUN_NAME.fullmatch(name):
        raise UsageError(f"A run's name has letters, digits and . _ -, begins with a letter or digit, and has at most 100; got {name!r}.")
    return name


def describe_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What of a request is not as it was, for people."""
    for dataset in now["datasets"]:
        earlier = next((each for each in before["datasets"] if each["name"] == dataset["name"]), None)
        if earlier and earlier["sha256"] != dataset["sha256"]:
            return f"the pictures of {dataset['name']} have changed since ({earlier['pictures']} then, {dataset['pictures']} now)"
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if "datasets" in changed:
        return f"it has {', '.join(each['name'] for each in before['datasets'])}"
    return "; ".join(f"its {name} are {json.dumps(before.get(name))}, not {json.dumps(now.get(name))}" for name in changed)


def _input_hash(picture: PlannedPicture) -> str:
    small = picture.source.small
    return _sha256_of(
        {
            "dataset": picture.dataset,
            "picture": picture.name,
            "original": picture.source.original.sha256,
            "small": small.sha256 if small else None,
        }
    )


def _sha256_of(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()
