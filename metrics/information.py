"""VIF: how much of what an eye could learn from the original can still be learnt from the result."""

import math

import numpy as np
from numpy.typing import NDArray

from metrics.base import Pixels, check_pair, over_strips
from metrics.planes import lightness

NOISE = 2.0
"""Variance of the noise of the eye, in levels²."""
SIDES = (17, 9, 5, 3)
"""Sides of the windows of the four sizes, in pixels."""
MIN_SIDE = 41
"""Shortest side from which the last window fits into the smallest of the four pictures."""
_TINY = 1e-10


def vif(image: Pixels, reference: Pixels) -> float | None:
    """Visual information fidelity in the pixel domain (VIFp), of luma `0.299 R + 0.587 G + 0.114 B` or of a grey picture.

    At each of four sizes, under Gaussian windows of N = 17, 9, 5 and 3 pixels and sigma N/5, the result is taken for
    `g · original + noise` of variance `σv²`: the value is `Σ log(1 + g² σr² / (σv² + 2)) / Σ log(1 + σr² / 2)` over all windows
    that lie inside. Higher is better: 1 for identical pictures, above 1 for one with more contrast than the original.
    Not symmetric.

    Parameters
    ----------
    image, reference:
        `(H, W)` or `(H, W, 3)`, 0 to 255, `uint8` or `float64`.

    Returns
    -------
    A number from 0; None when a side is under 41 pixels, or when the original is so flat that it holds no information.

    Raises
    ------
    ImageError
        The shapes differ, or a picture is neither colour nor grey.

    References
    ----------
    Sheikh, Bovik, "Image information and visual quality", IEEE Transactions on Image Processing 15 (2006),
    https://doi.org/10.1109/TIP.2005.859378; in the pixel domain as in the authors' `vifp_mscale.m`.
    """
    check_pair(image, reference)
    image, reference = lightness(image), lightness(reference)
    if min(image.shape) < MIN_SIDE:
        return None
    kept = there = 0.0
    for index, side in enumerate(SIDES):
        if index:
            image, reference = _shrunk(image, side), _shrunk(reference, side)
        height, width = (length - side + 1 for length in image.shape)

        def sums(rows: slice, side: int = side, image: Pixels = image, reference: Pixels = reference) -> tuple[float, float]:
            strip = slice(rows.start, rows.stop + side - 1)
            return _information(image[strip].astype(np.float64), reference[strip].astype(np.float64), side)

        parts = over_strips(sums, height, width)
        kept += math.fsum(part[0] for part in parts)
        there += math.fsum(part[1] for part in parts)
    return kept / there if there > 0 else None


def _information(image: NDArray[np.float64], reference: NDArray[np.float64], side: int) -> tuple[float, float]:
    """What is kept in a strip, and what was there, in nats."""
    mean, mean_reference = _blur(image, side), _blur(reference, side)
    variance = np.maximum(_blur(image * image, side) - mean * mean, 0.0)
    variance_reference = np.maximum(_blur(reference * reference, side) - mean_reference * mean_reference, 0.0)
    covariance = _blur(image * reference, side) - mean * mean_reference
    gain = covariance / (variance_reference + _TINY)
    noise = variance - gain * covariance
    # Where a picture is flat, or the result the inverse of the original, nothing of it is kept; all that is there is noise.
    flat_reference, flat, inverse = variance_reference < _TINY, variance < _TINY, gain < 0
    gain[flat_reference | flat | inverse] = 0.0
    noise = np.where(flat_reference | inverse, variance, noise)
    noise[flat] = 0.0
    variance_reference[flat_reference] = 0.0
    np.maximum(noise, _TINY, out=noise)
    kept = np.log1p(gain * gain * variance_reference / (noise + NOISE)).sum()
    return float(kept), float(np.log1p(variance_reference / NOISE).sum())


def _shrunk(plane: Pixels, side: int) -> NDArray[np.float64]:
    """Every second value of every second row under windows that lie inside."""
    height, width = (-(-(length - side + 1) // 2) for length in plane.shape)
    small = np.empty((height, width))

    def fill(rows: slice) -> None:
        strip = plane[slice(2 * rows.start, 2 * rows.stop + side - 2)].astype(np.float64)
        small[rows] = _blur(strip, side)[::2, ::2]

    over_strips(fill, height, width)
    return small


def _blur(plane: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Gaussian means under the windows that lie inside: `(H, W)` to `(H - side + 1, W - side + 1)`."""
    import cv2

    kernel = np.exp(-0.5 * ((np.arange(side) - side // 2) / (side / 5)) ** 2)
    kernel /= kernel.sum()
    margin = side // 2
    blurred = np.asarray(cv2.sepFilter2D(plane, cv2.CV_64F, kernel, kernel), np.float64)
    return blurred[margin:-margin, margin:-margin]
