"""What a set-up will cost, before it is started."""

from collections.abc import Mapping

import upscalers
from benchmark import estimates
from benchmark.plan import default_precision
from benchmark.schema import Mode, Region
from benchmark.timing import REPEAT_FOR_S, RUN_ONCE_ABOVE_S
from ui.state import Chosen
from upscalers.parameters import OptionValue
from upscalers.spec import UpscalerSpec

OVERHEAD_S = 0.7
"""What comes to each call: starting a process, loading, scoring, coding the picture."""


def expected_call_s(
    spec: UpscalerSpec, scale: float, size: tuple[int, int], options: Mapping[str, OptionValue] | None = None
) -> float | None:
    """Expected seconds of one call on the runtime that would be used, for an input of this height and width."""
    pixels = estimates.processed_pixels(spec, scale, *size)
    expected = estimates.estimate(spec, scale, spec.runtime("auto", scale, options), default_precision(spec), pixels, options)
    return expected.seconds if expected else None


def expected_s(ids: tuple[str, ...], scale: float, size: tuple[int, int], options: Mapping[str, Mapping[str, OptionValue]]) -> float | None:
    """What a whole comparison will take, repeats included; None when nothing is known about one of the upscalers."""
    total = 0.0
    for upscaler_id in ids:
        call_s = expected_call_s(upscalers.get(upscaler_id), scale, size, options.get(upscaler_id))
        if call_s is None:
            return None
        total += OVERHEAD_S + call_s + (0.0 if call_s > RUN_ONCE_ABOVE_S else max(call_s, min(REPEAT_FOR_S, 20 * call_s)))
    return total


def input_size(picture: Chosen, region: Region | None, mode: Mode, scale: int) -> tuple[int, int]:
    """Height and width of what the upscalers will read, at least 1 each."""
    height, width = (region.height, region.width) if region else (picture.height, picture.width)
    return (height, width) if mode == "as-is" else (max(1, height // scale), max(1, width // scale))
