"""HaarPSI: differences that a person sees, from the coefficients of a Haar wavelet."""

import math

import numpy as np
from numpy.typing import NDArray

from metrics.base import Pixels, check_pair, over_strips
from metrics.planes import YIQ, Halved, Mixed, check_colour, rows_with_zeros

C = 30.0
ALPHA = 4.2
"""Both constants were fitted to viewers' judgements, section 3.3 of the paper."""
MIN_SIDE = 16
"""From it on, the largest wavelet fits into the halved picture."""
_REACH = 4
"""Rows around a strip that its coefficients depend on."""


def haarpsi(image: Pixels, reference: Pixels) -> float | None:
    """Haar wavelet-based perceptual similarity index, of luma and both colour differences (YIQ), or of a grey picture.

    The pictures are averaged over 2×2 pixels. Where, horizontally and vertically, the Haar coefficients of the two finest scales
    are alike, `(2ab + 30) / (a² + b² + 30)` is near 1; a logistic function and a mean weighted by the coefficients of the third
    scale make one number of all. Colour differences are compared likewise, as means of 2×2. Higher is better: 1 for identical
    pictures. In a picture of equal channels the colours count as perfectly kept, in one of one channel they do not count.

    Parameters
    ----------
    image, reference:
        `(H, W)` or `(H, W, 3)`, 0 to 255, `uint8` or `float64`.

    Returns
    -------
    A number from 0 to 1; None when a side is under 16 pixels.

    Raises
    ------
    ImageError
        The shapes differ, or a picture is neither colour nor grey.

    References
    ----------
    Reisenhofer, Bosse, Kutyniok, Wiegand, "A Haar wavelet-based perceptual similarity index for image quality assessment",
    Signal Processing: Image Communication 61 (2018), https://doi.org/10.1016/j.image.2017.11.001
    """
    check_pair(image, reference)
    check_colour(image)
    if min(image.shape[:2]) < MIN_SIDE:
        return None
    planes = [Halved(Mixed(each, YIQ) if len(each.shape) == 3 else each) for each in (image, reference)]
    height, width = planes[0].shape[:2]

    def sums(rows: slice) -> tuple[float, float]:
        return _missed_and_weight(*(rows_with_zeros(plane, rows.start - _REACH, rows.stop + _REACH) for plane in planes))

    parts = over_strips(sums, height, width)
    missed, weight = (math.fsum(part[index] for part in parts) for index in (0, 1))
    if missed == 0:
        return 1.0
    share = _logistic(1.0) - missed / weight
    return (math.log(share / (1 - share)) / ALPHA) ** 2


def _missed_and_weight(image: NDArray[np.float64], reference: NDArray[np.float64]) -> tuple[float, float]:
    """Over a strip: what the logistic values fall short of those of identical pictures, weighted, and the weights."""
    colour = image.ndim == 3
    lights = [np.ascontiguousarray(each[..., 0]) if colour else each for each in (image, reference)]
    missed = total = 0.0
    weights = []
    for transposed in (False, True):
        fine, coarse = (_similarity(*(_coefficients(light, scale, transposed) for light in lights)) for scale in (1, 2))
        weight = np.maximum(*(_coefficients(light, 3, transposed) for light in lights))
        missed += float((_shortfall((fine + coarse) / 2) * weight).sum())
        total += float(weight.sum())
        weights.append(weight)
    if colour:
        chroma = [np.abs(_mean_of_4(each[..., 1:])) for each in (image, reference)]
        similarity = _similarity(*chroma).mean(axis=2)
        weight = (weights[0] + weights[1]) / 2
        missed += float((_shortfall(similarity) * weight).sum())
        total += float(weight.sum())
    return missed, total


def _coefficients(plane: NDArray[np.float64], scale: int, transposed: bool) -> NDArray[np.float64]:
    """Magnitudes of the Haar coefficients at each pixel of a strip that has `_REACH` more rows at both ends."""
    import cv2

    side = 2**scale
    flat = np.ones(side)
    step = np.repeat((1.0, -1.0), side // 2) / side
    across, down = (step, flat) if transposed else (flat, step)
    anchor = (side // 2 - 1, side // 2 - 1)
    filtered = cv2.sepFilter2D(plane, cv2.CV_64F, across, down, anchor=anchor, borderType=cv2.BORDER_CONSTANT)
    return np.abs(np.asarray(filtered, np.float64)[_REACH:-_REACH])


def _mean_of_4(strip: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each pixel and its neighbours to the right and below, with zeros outside of the picture."""
    rows = strip[_REACH:-_REACH] + strip[_REACH + 1 : 1 - _REACH]
    return (rows + np.pad(rows[:, 1:], ((0, 0), (0, 1), (0, 0)))) / 4


def _similarity(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    return (2 * first * second + C) / (first * first + second * second + C)


def _shortfall(similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    return _logistic(1.0) - 1 / (1 + np.exp(-ALPHA * similarity))


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-ALPHA * value)))
