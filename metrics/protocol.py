"""Protocols: which pixels are compared. Scores of different protocols are different quantities and never share a ranking."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.registry import Registry
from metrics.base import Pixels, check_pair

LUMA_WEIGHTS = (np.int32(65_481), np.int32(128_553), np.int32(24_966))
"""BT.601 weights of R, G and B in thousandths: as whole numbers the sum is exact, and so is which lumas end in one half."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way to prepare two pictures for scoring."""

    id: str
    """Key in the scores."""
    description: str
    """For people: what is compared, and who does so."""
    luma: bool
    """Compare BT.601 studio luma, `16 + (65.481 R + 128.553 G + 24.966 B) / 255`, instead of the three channels."""
    rounded: bool
    """Whether luma is rounded to whole levels."""
    cut_per_scale: int
    """Pixels cut from each side, as a multiple of the scale."""

    def border_cut(self, scale: int) -> int:
        """Pixels cut from each side at this scale."""
        return self.cut_per_scale * scale


PROTOCOLS: Registry[Protocol] = Registry("protocol", lambda protocol: protocol.id)
PROTOCOLS.add(
    Protocol(
        id="rgb",
        description="Colour: all three channels of every pixel. What a person sees.",
        luma=False,
        rounded=False,
        cut_per_scale=0,
    ),
    Protocol(
        id="y",
        description="Luma rounded to whole levels, without the border. The published tables of Set5, Set14, BSD100 and Urban100.",
        luma=True,
        rounded=True,
        cut_per_scale=1,
    ),
    Protocol(
        id="y-float",
        description="Luma not rounded, without the border. Papers that evaluate with BasicSR.",
        luma=True,
        rounded=False,
        cut_per_scale=1,
    ),
)


class LumaPlane:
    """The luma of an RGB picture; rows are computed when they are read, as a whole plane of 85 MP would take 680 MB.

    Parameters
    ----------
    rgb:
        `(H, W, 3)`, `uint8`, sRGB.
    rounded:
        Round to whole levels, halves upwards as MATLAB's `rgb2ycbcr` does.
    """

    def __init__(self, rgb: NDArray[np.uint8], *, rounded: bool) -> None:
        self._rgb = rgb
        self._rounded = rounded

    @property
    def shape(self) -> tuple[int, ...]:
        """`(H, W)`."""
        return self._rgb.shape[:2]

    def __getitem__(self, rows: slice, /) -> NDArray[np.float64]:
        """Luma of these rows, 16 to 235."""
        red, green, blue = np.moveaxis(self._rgb[rows], 2, 0)
        thousandths = red * LUMA_WEIGHTS[0]
        thousandths += green * LUMA_WEIGHTS[1]
        thousandths += blue * LUMA_WEIGHTS[2]
        luma = thousandths / 255_000
        luma += 16
        return np.floor(luma + 0.5) if self._rounded else luma


def prepare(
    image: NDArray[np.uint8], reference: NDArray[np.uint8], *, protocol: Protocol, scale: int, stored_channels: int
) -> tuple[Pixels, Pixels]:
    """The pixels of two pictures that a protocol compares.

    Parameters
    ----------
    image, reference:
        `(H, W, 3)`, `uint8`, sRGB; never written to.
    protocol:
        Which pixels.
    scale:
        Decides the border cut.
    stored_channels:
        Channels of the original's file. With 1, the luma protocols compare its own full-range values (the first channel of
        both pictures): the luma formula would squeeze them into 16 to 235 and raise the PSNR by 1.3 dB.

    Returns
    -------
    Both pictures' pixels, `(H, W, 3)` or `(H, W)` less the border cut; a side may be 0.

    Raises
    ------
    ImageError
        The sizes differ.
    """
    check_pair(image, reference)
    cut = protocol.border_cut(scale)
    height, width = image.shape[:2]
    inside = np.s_[cut : max(cut, height - cut), cut : max(cut, width - cut)]
    image, reference = image[inside], reference[inside]
    if not protocol.luma:
        return image, reference
    if stored_channels == 1:
        return image[..., 0], reference[..., 0]
    return LumaPlane(image, rounded=protocol.rounded), LumaPlane(reference, rounded=protocol.rounded)


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """All that decides which scores may be compared: only rows with equal fingerprints share a ranking."""

    protocol: str
    """Id of the protocol."""
    downscale: str
    """Id of the method that made the small picture, also where it was given and the method is only known."""
    downscale_library: str | None
    """Library and version that downscaled, such as `Pillow 13.0.0`; None where the small picture was given."""
    scale: float
    """Factor between the small and the large picture. A whole one is given as `int`: 4 and 4.0 have different ids."""
    crop: str
    """Rule by which the original was cropped."""
    tile: int | None
    """Side of a tile in input pixels; None for the whole picture at once."""
    weights_sha256: str | None
    """Hash of the weights; None for a method that has none."""
    options: tuple[tuple[str, float | int | str], ...]
    """What was set of the upscaler, in the order of names: it changes pixels as the weights do."""
    seed: int | None
    """Seed of a stochastic upscaler; None for all others."""
    runtime: str
    """What ran it: `torch`, `openvino`, `opencv`, ..."""
    runtime_version: str | None
    """Library and version of the runtime, such as `OpenCV 5.0.0`."""
    precision: str
    """`f32`, `bf16` or `f16`."""
    stored_channels: int
    """Channels of the original's file: with 1 the luma protocols use its own values."""
    lr_source: str
    """Where the small picture came from: made here or given."""
    region: tuple[int, int, int, int] | None
    """Left, top, width and height of the part that was compared; None for the whole picture."""

    @property
    def id(self) -> str:
        """16 hexadecimal digits that are the same wherever and whenever the fields are."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        return {**vars(self), "options": dict(self.options), "region": None if self.region is None else list(self.region)}
