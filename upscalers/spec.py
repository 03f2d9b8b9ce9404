"""The facts about an upscaler, readable without loading or importing anything heavy."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from core.errors import UsageError, WeightsError
from core.settings import settings
from core.weights import AddedSource, WeightFile
from core.weights import status as weight_status
from runtimes import RUNTIMES, converted
from runtimes.base import Precision
from runtimes.converted import Entry
from runtimes.devices import accelerates_torch
from runtimes.tiling import Tiling
from upscalers.parameters import DEFAULT_SEED, OptionValue, Parameter, check_seed
from upscalers.weight_folder import misnamed_folder

if TYPE_CHECKING:
    from upscalers.base import Upscaler

Group = Literal["Classical", "CNN", "Transformer", "GAN", "Diffusion", "Custom"]
Aim = Literal["faithful", "vivid"]
ProgressUnit = Literal["tile", "step"]
Build = Callable[["UpscalerSpec", int | float, Mapping[str, OptionValue]], "Upscaler"]
"""Makes an adapter for a scale and options; loads nothing."""
SCORED_SCALES = (2, 3, 4, 8)
"""The scales that a comparison with scores offers."""
TILE_SHARE = 0.75
"""Of the memory that a call may use, what a tile may be planned to need: the rest is for the picture, its result and what is unforeseen."""
TILE_STEP_PX = 32
"""Sides of tiles that are chosen by memory are multiples of this."""


@dataclass(frozen=True)
class Status:
    """Whether an upscaler can run here, now, at one scale."""

    kind: Literal["ready", "download", "not-at-scale", "unavailable"]
    """`download`: it can run once its weights are fetched."""
    text: str
    """For people: `Ready`, `Download 5 MB`, `Not at x3`."""
    reason: str | None = None
    """Why it is not ready, with the remedy, in one line."""


@dataclass(frozen=True, kw_only=True)
class UpscalerSpec:
    """One upscaler, as the registry holds it."""

    id: str
    """kebab-case."""
    name: str
    """Name for people."""
    group: Group
    """Heading under which the page lists it."""
    summary: str
    """One sentence: what it is good for."""
    aim: Aim
    """`faithful`: trained or made to be close to the original. `vivid`: made to look sharp and natural; scores lower by design."""
    scales: tuple[int, ...]
    """Whole scales it can do."""
    fractional: bool = False
    """Whether it can also do any other scale above 1."""
    runtimes: tuple[str, ...]
    """Ids of the runtimes that can run it, the fastest first."""
    license: str
    """SPDX id of the weights' or code's licence; `LicenseRef-...` for one that SPDX does not list, `unknown` for an added model."""
    reference: str
    """Paper or repository: an address; empty for a model that a person added."""
    weights: Mapping[int, tuple[WeightFile, ...]] = field(default_factory=dict)
    """Weight files per scale; empty for methods without any."""
    tiling: Mapping[int, Tiling] = field(default_factory=dict)
    """How large pictures are cut where memory allows, per scale; a scale without an entry is always run whole. See `cut`."""
    tile_mib_per_mp: Mapping[int, float] = field(default_factory=dict)
    """Memory that a tile needs beside the loaded network, in MiB for each megapixel that it reads, per scale; measured in f32 on a CPU.
    A scale without an entry keeps its tiles whatever the memory."""
    whole_picture: bool = False
    """Whether every pixel of its result depends on all of the picture, as with attention or averages over it: tiles then change it."""
    min_side_px: int = 1
    """Shorter sides are padded by mirroring and the result cropped."""
    multiple_of_px: int | Mapping[int, int] = 1
    """Sides that are no multiple of this are padded by mirroring and the result cropped; one for all scales, or one per scale (1 where
    none is given)."""
    stochastic: bool = False
    """Whether two calls differ unless they get the same seed."""
    progress_unit: ProgressUnit = "tile"
    """What its progress counts: tiles, or steps of each tile."""
    imports: tuple[str, ...] = ()
    """Modules that its adapter needs, beyond its runtime's, and that take long to import: a worker has them before the load is timed."""
    gpu_precision: Precision = "f32"
    """What it computes in on a GPU when nobody chooses; on a CPU that is always f32."""
    parameters: tuple[Parameter, ...] = ()
    """What a person may set."""
    parameter_count: Mapping[int, int] = field(default_factory=dict)
    """How many numbers the network learnt, per scale; a scale without an entry has none or their number is unknown."""
    trained_for: str | None = None
    """Id of the downscale method its weights were trained on; None where it is not one method."""
    seconds_per_mp: Mapping[int, float] = field(default_factory=dict)
    """Warm seconds per input megapixel in f32, scaled to a machine that multiplies matrices at 100 GFLOP/s. Measured, or counted from
    operations where the weights were not at hand. For estimates only; what is measured on a machine replaces it there."""
    speedup: Mapping[str, float] = field(default_factory=dict)
    """How many times as fast as `seconds_per_mp` it is on a runtime; 1 for those that are not named."""
    work: "Callable[[Mapping[str, OptionValue]], float]" = field(default=lambda _: 1.0)
    """How much more work its options cause than their defaults; estimates and measured speeds are stated per unit of it."""
    build: "Build"
    """Makes the adapter; loads nothing."""

    def supports(self, scale: float) -> bool:
        """Whether it can enlarge by `scale`."""
        return scale in self.scales or (self.fractional and scale >= 1)

    def side_multiple_px(self, scale: float) -> int:
        """What the sides of a picture are padded to a multiple of at `scale`."""
        return self.multiple_of_px if isinstance(self.multiple_of_px, int) else self.multiple_of_px.get(int(scale), 1)

    def cut(self, scale: float) -> Tiling | None:
        """How large pictures are cut at `scale`, None for an upscaler that never cuts: as declared or, where such a tile would need more
        than `TILE_SHARE` of what a call may use (`UPSCALE_BENCH_MODEL_MEMORY_MIB`), in the largest that does not.
        """
        own, mib_per_mp = self.tiling.get(int(scale)), self.tile_mib_per_mp.get(int(scale))
        if own is None or own.strict or not mib_per_mp:
            return own
        side = int((TILE_SHARE * settings().model_memory_mib / mib_per_mp * 1e6) ** 0.5)
        if side >= own.tile_px:
            return own
        side = max(own.smallest_px, side - side % TILE_STEP_PX)
        return replace(own, tile_px=side - side % self.side_multiple_px(scale))

    def with_tile(self, scale: float, tile_px: int | None) -> "UpscalerSpec":
        """The same upscaler, cutting pictures at `scale` into tiles of another side.

        Parameters
        ----------
        scale:
            The enlargement; other scales keep their tiles.
        tile_px:
            Side in input pixels, rounded down to a multiple that the model takes; it holds whatever the memory. None, like an upscaler
            that never cuts or takes one size only, gives this spec itself.

        Raises
        ------
        UsageError
            Tiles of this side are too small for the model's overlap.
        """
        own = self.tiling.get(int(scale))
        if tile_px is None or own is None or own.strict:
            return self
        if tile_px < own.smallest_px:
            raise UsageError(f"{self.id} takes tiles of {own.smallest_px} pixels or more at x{scale:g}; got {tile_px}.")
        side = tile_px - tile_px % self.side_multiple_px(scale)
        return replace(self, tiling={**self.tiling, int(scale): replace(own, tile_px=side)}, tile_mib_per_mp={})

    def options(self, given: Mapping[str, object]) -> dict[str, OptionValue]:
        """All parameters with their values. Raises `UsageError` for an unknown name or a bad value."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                has = f"It has: {', '.join(known)}." if known else "It has none."
                raise UsageError(f"{self.id} has no option {name!r}. {has}")
        return {name: parameter.parse(self.id, given.get(name, parameter.default)) for name, parameter in known.items()}

    def runtime(
        self,
        wanted: str = "auto",
        scale: float | None = None,
        options: "Mapping[str, OptionValue] | None" = None,
        precision: Precision = "f32",
    ) -> str:
        """The runtime to use: `wanted`, or with `auto` the fastest that can begin at once.

        Parameters
        ----------
        wanted:
            Id of a runtime, or `auto`.
        scale, options:
            What it is to be used for. Without a scale, `auto` gives none that needs a conversion first.
        precision:
            What it must be able to compute in; where none can, `auto` gives one all the same.

        Raises
        ------
        UsageError
            It does not run on `wanted`.
        """
        if wanted == "auto":
            # On a GPU nothing is faster than PyTorch.
            order = sorted(self.runtimes, key=lambda name: name != "torch") if accelerates_torch() else self.runtimes
            installed = [name for name in order if RUNTIMES.get(name).unavailable_reason() is None]
            able = [name for name in installed if precision in RUNTIMES.get(name).precisions]
            return next((name for name in able if self.is_ready_on(name, scale, options)), (able or installed or self.runtimes)[-1])
        RUNTIMES.get(wanted)
        if wanted not in self.runtimes:
            raise UsageError(f"{self.id} runs on {', '.join(self.runtimes)}, not on {wanted}.")
        return wanted

    def is_ready_on(self, runtime: str, scale: float | None, options: "Mapping[str, OptionValue] | None" = None) -> bool:
        """Whether it can begin on `runtime` at once, as far as conversions go."""
        if runtime != "openvino" or "torch" not in self.runtimes:
            return True
        entry = None if scale is None else self.conversion(scale, options)
        return entry is not None and entry.refused is None

    def conversion(self, scale: float, options: "Mapping[str, OptionValue] | None" = None) -> Entry | None:
        """What is stored of its network converted for OpenVINO; None when that is still to be done, or its weights are missing."""
        try:
            source = self.build(self, scale, self.options(options or {})).needs_conversion("openvino", reads_weights=False)
        except (UsageError, WeightsError):
            return None
        return None if source is None else converted.find(source)

    def seed_for(self, given: int | None) -> int | None:
        """The seed of a call: None for a method that draws nothing, and never None for one that does. Raises `UsageError`."""
        if not self.stochastic:
            return None
        check_seed(given)
        return DEFAULT_SEED if given is None else given

    def required_weights(self, scale: float) -> tuple[WeightFile, ...]:
        """The weight files without which it can't run at `scale`."""
        return tuple(file for file in self.weights.get(int(scale), ()) if not file.optional)

    def weight_bytes(self, scale: float) -> int:
        """Size of the weight files for `scale` that lie on this machine."""
        total = 0
        for file in self.weights.get(int(scale), ()):
            try:
                located = weight_status(file).located
                total += located.path.stat().st_size if located else 0
            except (WeightsError, OSError):  # whoever loads it will say what is wrong with it
                continue
        return total

    def remedy(self, missing: Sequence[WeightFile]) -> str:
        """What to do about missing weight files, in one line."""
        if any(isinstance(file.source, AddedSource) for file in missing):
            return f"its file was changed or lost after it was added; remove {self.id} and add the file again."
        folder = misnamed_folder(missing)
        if folder is None:
            return f"{weights_remedy(self.id)}."
        name = missing[0].name.partition("/")[0]
        where = f"it must be called {name} (a link will do) and lie in a directory named in UPSCALE_BENCH_WEIGHTS"
        return f"{weights_remedy(self.id)}. {folder} holds them, but {where}."

    def status(self, scale: float) -> Status:
        """Whether it can run at `scale` now. Looks at files, imports nothing heavy, opens no connection."""
        if not self.supports(scale):
            offers = ", ".join(f"x{each}" for each in self.scales)
            return Status("not-at-scale", f"Not at x{scale:g}", f"{self.name} has no weights for x{scale:g}; it offers {offers}.")
        reasons = [RUNTIMES.get(name).unavailable_reason() for name in self.runtimes]
        if all(reasons):
            return Status("unavailable", "Not installed", reasons[0])
        missing = [file for file in self.required_weights(scale) if weight_status(file).located is None]
        if not missing:
            return Status("ready", "Ready")
        if any(isinstance(file.source, AddedSource) for file in missing):
            return Status("unavailable", "Changed or lost", f"{self.name}: {self.remedy(missing)}")
        size = f" {text}" if (text := total_size(missing)) else ""
        return Status("download", f"Download{size}", f"Weights not downloaded ({listed(missing)}): {self.remedy(missing)}")

    def unavailable_reason(self, scale: float | None = None) -> str | None:
        """Why it can't run at `scale` (or, without one, at any scale) now, with the remedy; None when it is ready."""
        scales = self.scales if scale is None else (scale,)
        statuses = [self.status(each) for each in scales]
        return None if any(status.kind == "ready" for status in statuses) else statuses[0].reason


def weights_remedy(upscaler_id: str) -> str:
    """What to do when weights are missing."""
    return f"run `upscale-bench weights fetch {upscaler_id}` or put them into a directory named in UPSCALE_BENCH_WEIGHTS"


def listed(files: Sequence[WeightFile]) -> str:
    """The names of files; of many only the first."""
    names = [file.name for file in files]
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more"


def total_size(files: Sequence[WeightFile]) -> str | None:
    """How large files are together, for people; `over` where the size of some is not published, None where nothing can be said."""
    known = [file.size_bytes for file in files if file.size_bytes]
    if not known:
        return None
    total = sum(known)
    if len(known) == len(files):
        return f"{total / 1e9:.1f} GB" if total >= 1e9 else f"{total / 1e6:.0f} MB" if total >= 1e6 else "under 1 MB"
    return f"over {math.floor(total / 1e8) / 10} GB" if total >= 1e9 else f"over {math.floor(total / 1e6)} MB" if total >= 1e6 else None
