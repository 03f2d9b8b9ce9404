"""The facts about an upscaler, readable without loading or importing anything heavy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from core.errors import UsageError
from core.weights import AddedSource, WeightFile
from core.weights import status as weight_status
from runtimes import RUNTIMES
from runtimes.tiling import Tiling

if TYPE_CHECKING:
    from upscalers.base import Upscaler

Group = Literal["Classical", "CNN", "Transformer", "GAN", "Diffusion", "Custom"]
Aim = Literal["faithful", "vivid"]
OptionValue = float | int | str
Build = Callable[["UpscalerSpec", int | float, Mapping[str, OptionValue]], "Upscaler"]
"""Makes an adapter for a scale and options; loads nothing."""
SCORED_SCALES = (2, 3, 4, 8)
"""The scales that a comparison with scores offers."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One option of an upscaler, shown by the page and settable by `--option ID.name=value`."""

    name: str
    """Its key, snake_case."""
    label: str
    """Its name for people."""
    default: OptionValue
    """Its value when nobody sets it; the type of the option is the type of this value."""
    minimum: float | None = None
    """Smallest allowed number; None for a text."""
    maximum: float | None = None
    """Largest allowed number, or the largest number of characters of a text."""
    help: str
    """One sentence: what it does."""

    def __post_init__(self) -> None:
        if self.maximum is None or (self.minimum is None) != isinstance(self.default, str):
            raise ValueError(f"{self.name}: a number needs a minimum and a maximum, a text a maximum only.")

    def parse(self, upscaler_id: str, value: object) -> OptionValue:
        """The value as the right type. Raises `UsageError` when it is none or out of range."""
        assert self.maximum is not None
        if self.minimum is None:
            if not isinstance(value, str) or len(value) > self.maximum:
                raise UsageError(f"{upscaler_id}.{self.name} takes a text of up to {self.maximum:g} characters; got {_shortened(value)}.")
            return value
        kind = type(self.default)
        try:
            # Through a text, a fraction is not silently cut to a whole number.
            number = kind(str(value))
        except ValueError:
            number = None
        if not isinstance(number, int | float) or not self.minimum <= number <= self.maximum:
            what = "whole number" if kind is int else "number"
            raise UsageError(
                f"{upscaler_id}.{self.name} takes a {what} from {self.minimum:g} to {self.maximum:g}; got {_shortened(value)}."
            )
        return number


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}… ({len(text)} characters)"


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
    """SPDX id of the weights' or code's licence; `unknown` for a model that a person added."""
    reference: str
    """Paper or repository: an address; empty for a model that a person added."""
    weights: Mapping[int, tuple[WeightFile, ...]] = field(default_factory=dict)
    """Weight files per scale; empty for methods without any."""
    tiling: Mapping[int, Tiling] = field(default_factory=dict)
    """How large pictures are cut, per scale; a scale without an entry is always run whole."""
    min_side_px: int = 1
    """Shorter sides are padded by mirroring and the result cropped."""
    multiple_of_px: int | Mapping[int, int] = 1
    """Sides that are no multiple of this are padded by mirroring and the result cropped; one for all scales, or one per scale (1 where
    none is given)."""
    stochastic: bool = False
    """Whether two calls differ unless they get the same seed."""
    parameters: tuple[Parameter, ...] = ()
    """What a person may set."""
    parameter_count: Mapping[int, int] = field(default_factory=dict)
    """How many numbers the network learnt, per scale; a scale without an entry has none or their number is unknown."""
    trained_for: str | None = None
    """Id of the downscale method its weights were trained on; None where it is not one method."""
    seconds_per_mp: Mapping[int, float] = field(default_factory=dict)
    """Warm seconds per input megapixel in f32, scaled to a machine that multiplies matrices at 100 GFLOP/s. Measured, or counted from
    operations where the weights were not at hand. For estimates only; what is measured on a machine replaces it there."""
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

    def options(self, given: Mapping[str, object]) -> dict[str, OptionValue]:
        """All parameters with their values. Raises `UsageError` for an unknown name or a bad value."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                has = f"It has: {', '.join(known)}." if known else "It has none."
                raise UsageError(f"{self.id} has no option {name!r}. {has}")
        return {name: parameter.parse(self.id, given.get(name, parameter.default)) for name, parameter in known.items()}

    def runtime(self, wanted: str = "auto") -> str:
        """The runtime to use: `wanted`, or with `auto` the fastest that is installed. Raises `UsageError`."""
        if wanted == "auto":
            return next((name for name in self.runtimes if RUNTIMES.get(name).unavailable_reason() is None), self.runtimes[0])
        RUNTIMES.get(wanted)
        if wanted not in self.runtimes:
            raise UsageError(f"{self.id} runs on {', '.join(self.runtimes)}, not on {wanted}.")
        return wanted

    def required_weights(self, scale: float) -> tuple[WeightFile, ...]:
        """The weight files without which it can't run at `scale`."""
        return tuple(file for file in self.weights.get(int(scale), ()) if not file.optional)

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
            return Status("unavailable", "Changed or lost", f"{self.name}: {weights_remedy(self.id, missing)}.")
        sizes = [file.size_bytes for file in missing]
        size = f" {_megabytes(sum(known))}" if len(known := [each for each in sizes if each]) == len(sizes) else ""
        names = ", ".join(file.name for file in missing)
        return Status(
            "download",
            f"Download{size}",
            f"Weights not downloaded ({names}): {weights_remedy(self.id, missing)}.",
        )

    def unavailable_reason(self, scale: float | None = None) -> str | None:
        """Why it can't run at `scale` (or, without one, at any scale) now, with the remedy; None when it is ready."""
        scales = self.scales if scale is None else (scale,)
        statuses = [self.status(each) for each in scales]
        return None if any(status.kind == "ready" for status in statuses) else statuses[0].reason


def weights_remedy(upscaler_id: str, missing: Sequence[WeightFile]) -> str:
    """What to do when these weights are missing."""
    if any(isinstance(file.source, AddedSource) for file in missing):
        return f"its file was changed or lost after it was added; remove {upscaler_id} and add the file again"
    return f"run `upscale-bench weights fetch {upscaler_id}` or put them into a directory named in UPSCALE_BENCH_WEIGHTS"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB" if size_bytes >= 1e6 else "under 1 MB"
