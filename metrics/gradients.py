"""GMSD: how unevenly the strength of edges differs."""

import math

import numpy as np
from numpy.typing import NDArray

from metrics.base import Pixels, check_pair, over_strips
from metrics.planes import Halved, lightness, rows_with_zeros

C = 170.0
"""Keeps the fraction finite where both pictures are flat; in levels²."""
MIN_SIDE = 6
"""From it on, a window lies wholly inside the halved picture."""


def gmsd(image: Pixels, reference: Pixels) -> float | None:
    """Gradient magnitude similarity deviation, of luma `0.299 R + 0.587 G + 0.114 B` or of a grey picture.

    Both are averaged over 2×2 pixels; m is the length of the Prewitt gradient (weights of 1/3, zeros outside of the picture).
    The value is the standard deviation of `(2 mx my + 170) / (mx² + my² + 170)` over all pixels.
    Lower is better: 0 for identical pictures, and for any two whose edges differ evenly.

    Parameters
    ----------
    image, reference:
        `(H, W)` or `(H, W, 3)`, 0 to 255, `uint8` or `float64`.

    Returns
    -------
    A number from 0 to 0.5; None when a side is under 6 pixels.

    Raises
    ------
    ImageError
        The shapes differ, or a picture is neither colour nor grey.

    References
    ----------
    Xue, Zhang, Mou, Bovik, "Gradient magnitude similarity deviation: a highly efficient perceptual image quality index", IEEE
    Transactions on Image Processing 23 (2014), https://doi.org/10.1109/TIP.2013.2293423
    """
    check_pair(image, reference)
    planes = [Halved(lightness(each)) for each in (image, reference)]
    if min(image.shape[:2]) < MIN_SIDE:
        return None
    height, width = planes[0].shape

    def sums(rows: slice) -> tuple[float, float]:
        first, second = (_squared_gradient(rows_with_zeros(plane, rows.start - 1, rows.stop + 1)) for plane in planes)
        # 1 less the similarity: near 0 in good results, where a sum of squares of numbers near 1 would lose digits.
        difference = (np.sqrt(first) - np.sqrt(second)) ** 2 / (first + second + C)
        return float(difference.sum()), float(np.square(difference).sum())

    parts = over_strips(sums, height, width)
    mean = math.fsum(part[0] for part in parts) / (height * width)
    mean_square = math.fsum(part[1] for part in parts) / (height * width)
    return math.sqrt(max(0.0, mean_square - mean * mean))


def _squared_gradient(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squares of the lengths of the gradients, `(H + 2, W)` to `(H, W)`."""
    padded = np.pad(rows, ((0, 0), (1, 1)))
    across = padded[:, 2:] - padded[:, :-2]
    down = padded[2:] - padded[:-2]
    across = across[:-2] + across[1:-1] + across[2:]
    down = down[:, :-2] + down[:, 1:-1] + down[:, 2:]
    return (across * across + down * down) / 9
