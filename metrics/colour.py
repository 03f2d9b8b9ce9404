"""Colour difference as a person sees it: CIELAB and CIEDE2000."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ImageError
from metrics.base import Pixels, check_pair, describe_shape, mean_over_strips

Lab = NDArray[np.float64]
"""`(..., 3)`: L* from 0 to 100, a* and b* from about -128 to 128."""

STRIP_PIXELS = 1 << 16
"""Pixels of a strip at most: fewer than for other means, as there is so much to compute for each."""

_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
"""Linear sRGB to CIE XYZ, IEC 61966-2-1. Its rows add up to D65, so that a* and b* of a grey are 0 to within rounding."""
_WHITE = _TO_XYZ.sum(axis=1)
_POW25_7 = 25.0**7


def colour_shift(image: Pixels, reference: Pixels) -> float | None:
    """Mean CIEDE2000 difference, `mean(ΔE00(image, reference))` over all pixels, with kL = kC = kH = 1.

    Lower is better: 0 for identical pictures, about 1 for a difference that can just be seen, 100 for black against white.

    Parameters
    ----------
    image, reference:
        `(H, W, 3)` in sRGB or `(H, W)` in grey, 0 to 255, `uint8` or `float64`.

    Returns
    -------
    None for pictures without pixels.

    Raises
    ------
    ImageError
        The shapes differ, or a picture is neither colour nor grey.

    References
    ----------
    Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula", Color Research and Application 30(1), 2005,
    https://doi.org/10.1002/col.20070. sRGB is IEC 61966-2-1 with its white, D65.

    Examples
    --------
    >>> round(colour_shift(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)), 9)
    100.0
    """
    check_pair(image, reference)
    channels = image.shape[2:]
    if channels not in ((), (3,)):
        raise ImageError(f"Colours are compared in RGB or grey; the picture is {describe_shape(image)}. Convert it to RGB.")
    mean = mean_over_strips(_sum_of_differences, image, reference, strip_pixels=STRIP_PIXELS)
    # The map has one value per pixel, whatever the number of channels.
    return None if mean is None else mean * (channels or (1,))[0]


def ciede2000(first: Lab, second: Lab) -> NDArray[np.float64]:
    """The CIEDE2000 difference of colours, with kL = kC = kH = 1; formulas as Sharma et al. (2005) number them.

    Parameters
    ----------
    first, second:
        `(..., 3)`, CIELAB.

    Returns
    -------
    `(...)`, 0 for equal colours, never negative.
    """
    light_1, a_1, b_1 = np.moveaxis(first, -1, 0)
    light_2, a_2, b_2 = np.moveaxis(second, -1, 0)
    # (2) to (7): greens and reds are stretched where chroma is low, then chroma and hue are taken anew.
    stretch = 1.5 - 0.5 * _saturating((_length(a_1, b_1) + _length(a_2, b_2)) / 2)
    chroma_1, hue_1 = _polar(stretch * a_1, b_1)
    chroma_2, hue_2 = _polar(stretch * a_2, b_2)
    # (8) to (11): a grey has no hue, and then its difference of hue is 0, whatever angle stands for it.
    turn = hue_2 - hue_1
    wraps = np.abs(turn) > np.pi
    turn = np.where(wraps, turn - np.copysign(2 * np.pi, turn), turn)
    d_light, d_chroma, d_hue = light_2 - light_1, chroma_2 - chroma_1, 2 * np.sqrt(chroma_1 * chroma_2) * np.sin(turn / 2)
    # (12) to (14): hues are averaged along the shorter arc.
    light, chroma = (light_1 + light_2) / 2, (chroma_1 + chroma_2) / 2
    hue = (hue_1 + hue_2) / 2
    hue += np.where(wraps, np.where(hue < np.pi, np.pi, -np.pi), 0.0)
    # (15) to (22)
    weight_hue = _weight_of_hue(hue)
    rotation = np.radians(60) * np.exp(-(((np.degrees(hue) - 275) / 25) ** 2))
    from_middle = (light - 50) ** 2
    d_light = d_light / (1 + 0.015 * from_middle / np.sqrt(20 + from_middle))
    d_chroma = d_chroma / (1 + 0.045 * chroma)
    d_hue = d_hue / (1 + 0.015 * chroma * weight_hue)
    crossed = -2 * _saturating(chroma) * np.sin(rotation) * d_chroma * d_hue
    # Never below 0 but for rounding.
    return np.sqrt(np.maximum(d_light**2 + d_chroma**2 + d_hue**2 + crossed, 0.0))


def srgb_to_lab(rgb: NDArray[Any]) -> Lab:
    """CIELAB (CIE 15, D65, 2° observer) of sRGB values of 0 to 255, `(..., 3)`, `uint8` or `float64`."""
    linear = _LINEAR[rgb] if rgb.dtype == np.uint8 else _linear(rgb)
    relative = linear @ (_TO_XYZ / _WHITE[:, None]).T
    compressed = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(compressed, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _linear(levels: NDArray[Any]) -> NDArray[np.float64]:
    """Levels of 0 to 255 without the gamma of sRGB, 0 to 1."""
    share = np.asarray(levels, np.float64) / 255
    return np.where(share <= 0.04045, share / 12.92, ((np.maximum(share, 0.0) + 0.055) / 1.055) ** 2.4)


_LINEAR = _linear(np.arange(256))
"""A power per level instead of one per pixel."""


def _saturating(chroma: NDArray[np.float64]) -> NDArray[np.float64]:
    """`sqrt(C⁷ / (C⁷ + 25⁷))`: from 0 for grey to 1 for strong colours."""
    # Several times as fast as a power.
    square = chroma * chroma
    seventh = square * square * square * chroma
    return np.sqrt(seventh / (seventh + _POW25_7))


def _weight_of_hue(hue: NDArray[np.float64]) -> NDArray[np.float64]:
    """`1 - 0.17 cos(h - 30°) + 0.24 cos(2h) + 0.32 cos(3h + 6°) - 0.20 cos(4h - 63°)`, (15), from one cosine and one sine."""
    cos, sin = np.cos(hue), np.sin(hue)
    cos_2, sin_2 = 1 - 2 * sin * sin, 2 * sin * cos
    cos_3, sin_3 = cos_2 * cos - sin_2 * sin, sin_2 * cos + cos_2 * sin
    cos_4, sin_4 = 1 - 2 * sin_2 * sin_2, 2 * sin_2 * cos_2
    weight = 1 + 0.24 * cos_2
    for amount, shift, cosine, sine in ((-0.17, -30, cos, sin), (0.32, 6, cos_3, sin_3), (-0.20, -63, cos_4, sin_4)):
        weight += amount * math.cos(math.radians(shift)) * cosine - amount * math.sin(math.radians(shift)) * sine
    return weight


def _length(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    # An eighth of the time of `np.hypot`, whose care for huge and tiny numbers colours do not need.
    return np.sqrt(a * a + b * b)


def _polar(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chroma, and hue in radians from 0 to 2π."""
    hue = np.arctan2(b, a)
    return _length(a, b), np.where(hue < 0, hue + 2 * np.pi, hue)


def _sum_of_differences(image: NDArray[Any], reference: NDArray[Any]) -> float:
    if image.ndim == 2:
        image, reference = (np.repeat(each[..., None], 3, axis=2) for each in (image, reference))
    return float(ciede2000(srgb_to_lab(image), srgb_to_lab(reference)).sum())
