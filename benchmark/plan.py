"""What is to be compared, checked before anything starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import upscalers
from benchmark.degradation import DOWNSCALERS
from benchmark.schema import Mode, Region, Row
from core.errors import UsageError
from core.settings import settings
from metrics import MORE
from runtimes import RUNTIMES
from runtimes.base import Precision, usable_cores
from runtimes.devices import has_gpu
from upscalers.parameters import OptionValue, check_seed
from upscalers.spec import SCORED_SCALES, UpscalerSpec


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One picture, one scale, several upscalers."""

    scale: float
    upscaler_ids: Sequence[str]
    mode: Mode = "restore"
    """`restore`: shrink, enlarge, score against the original. `as-is`: enlarge the picture itself; there is nothing to score against."""
    downscale: str = "bicubic"
    runtime: str = "auto"
    precision: Precision | None = None
    """None: what suits each upscaler on this machine, see `default_precision`."""
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Per upscaler id."""
    region: Region | None = None
    """The part of the picture to compare; None for all of it."""
    seed: int | None = None
    """For stochastic upscalers; None stands for `upscalers.parameters.DEFAULT_SEED`, which is what their rows then hold."""
    repeats: int | None = None
    metrics: Sequence[str] = ()
    """Names from `metrics.MORE`: computed when everything has been timed."""
    tile_px: int | None = None
    """Side of the tiles into which large pictures are cut, in input pixels, for all upscalers that can; None: each one's own."""

    def __post_init__(self) -> None:
        """Raises `UsageError` when something in the plan can't be done by anything."""
        if not self.upscaler_ids:
            raise UsageError("Expected at least one upscaler, got none: pick one.")
        if self.mode == "restore" and self.scale not in SCORED_SCALES:
            raise UsageError(f"A comparison takes a scale of {', '.join(map(str, SCORED_SCALES))}; got {self.scale:g}.")
        if not 1 <= self.scale <= 16:
            raise UsageError(f"A scale lies between 1 and 16; got {self.scale:g}.")
        if self.repeats is not None and not 0 <= self.repeats <= 1000:
            raise UsageError(f"Repeats lie between 0 and 1000; got {self.repeats}.")
        if self.tile_px is not None and not 1 <= self.tile_px <= settings().max_input_side:
            raise UsageError(f"Tiles have a side of 1 to {settings().max_input_side} pixels; got {self.tile_px}.")
        check_seed(self.seed)
        DOWNSCALERS.get(self.downscale)
        MORE.select(self.metrics)
        if self.metrics and self.mode == "as-is":
            raise UsageError("Metrics compare with an original; a picture that is upscaled as it is has none. Leave them out.")
        if self.runtime != "auto":
            RUNTIMES.get(self.runtime)
        for upscaler_id in self.options:
            if upscaler_id not in self.upscaler_ids:
                raise UsageError(f"An option is set for {upscaler_id!r}, which is not among the chosen upscalers.")

    def rows(self) -> list[Row]:
        """A waiting row per upscaler; those that can't run here are finished at once, with the reason."""
        return [self._row(upscaler_id) for upscaler_id in dict.fromkeys(self.upscaler_ids)]

    def _row(self, upscaler_id: str) -> Row:
        own = upscalers.get(upscaler_id)
        spec = own.with_tile(self.scale, self.tile_px)
        options = spec.options(self.options.get(upscaler_id, {}))
        status = spec.status(self.scale)
        reason = status.reason
        runtime = self.runtime
        if runtime != "auto" and runtime not in spec.runtimes:
            # One runtime for all is a wish: the interpolators have only their own, a network without it is left out.
            reason = reason or f"{spec.name} does not run on {runtime}; it runs on {', '.join(spec.runtimes)}."
            if spec.group == "Classical":
                reason, runtime = status.reason, "auto"
        precision = "f32" if spec.group == "Classical" else self.precision or default_precision(spec)
        runtime_id = spec.runtime(runtime, self.scale, options, precision) if runtime in ("auto", *spec.runtimes) else runtime
        if precision not in RUNTIMES.get(runtime_id).precisions:
            reason = (
                reason
                or f"{RUNTIMES.get(runtime_id).name} computes in {', '.join(RUNTIMES.get(runtime_id).precisions)}, not in {precision}."
            )
        if reason is None and runtime == "openvino" and not spec.is_ready_on(runtime, self.scale, options):
            reason = _not_converted(spec, self.scale, options)
        row = Row(
            upscaler=spec.id,
            name=spec.name,
            aim=spec.aim,
            scale=self.scale,
            runtime=runtime_id,
            precision=precision,
            threads=1 if spec.runtimes == ("pillow",) else usable_cores(),
            tile_limit=None if spec is own else self.tile_px,
            options=options,
            seed=spec.seed_for(self.seed),
            progress_unit=spec.progress_unit,
            lr_source="input" if self.mode == "as-is" else self.downscale,
        )
        if spec.trained_for and self.mode == "restore" and spec.trained_for != self.downscale:
            row.trained_for_another = spec.trained_for
        if reason:
            row.status, row.reason, row.stage = "unavailable", reason, "done"
        return row


def _not_converted(spec: UpscalerSpec, scale: float, options: Mapping[str, OptionValue]) -> str:
    entry = spec.conversion(scale, options)
    if entry is not None and entry.refused:
        return f"{spec.name} does not run on OpenVINO: {entry.refused}. Choose the runtime torch."
    return (
        f"{spec.name} is not converted for OpenVINO yet: run `upscale-bench prepare {spec.id} --scale {scale:g}`, "
        "or choose the runtime auto."
    )


def default_precision(spec: UpscalerSpec) -> Precision:
    """What an upscaler computes in when nobody chooses: f32, but on a GPU what its row of the registry says."""
    return spec.gpu_precision if has_gpu() else "f32"
