"""Resampling without any training: what every model has to beat. Runs on Pillow."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from core.image import RGB8
from runtimes.base import Placement
from upscalers.base import Upscaler
from upscalers.parameters import OptionValue
from upscalers.spec import SCORED_SCALES, UpscalerSpec


class Interpolation(Upscaler):
    """One of Pillow's resampling filters."""

    def __init__(self, spec: UpscalerSpec, scale: float, options: Mapping[str, OptionValue]) -> None:
        super().__init__(spec, scale, options)
        self._filter = Image.Resampling[spec.id.upper()]

    def _load(self, runtime: str, placement: Placement) -> None:
        """Nothing to load."""

    def _unload(self) -> None:
        """Nothing to release."""

    def _forward(self, tile: RGB8, seed: int | None) -> RGB8:
        height, width = tile.shape[:2]
        size = (round(width * self.scale), round(height * self.scale))
        return np.asarray(Image.fromarray(tile).resize(size, self._filter))


def _row(spec_id: str, name: str, summary: str, seconds_per_mp: float) -> UpscalerSpec:
    return UpscalerSpec(
        id=spec_id,
        name=name,
        group="Classical",
        summary=summary,
        aim="faithful",
        scales=SCORED_SCALES,
        fractional=True,
        runtimes=("pillow",),
        license="MIT-CMU",
        reference="https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters",
        seconds_per_mp={scale: seconds_per_mp * scale**2 for scale in SCORED_SCALES},
        build=Interpolation,
    )


SPECS = (
    _row("nearest", "Nearest", "Repeats pixels: shows exactly what is there, in blocks.", 0.001),
    _row("bilinear", "Bilinear", "Straight lines between pixels: fast and soft.", 0.004),
    _row("bicubic", "Bicubic", "Cubic curves between pixels: the yardstick of every paper.", 0.006),
    _row("lanczos", "Lanczos", "Windowed sinc: the sharpest of the classical filters, with slight ringing.", 0.008),
)
