"""Structure: whether local patterns are kept."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.base import Pixels, mean_over_strips

WINDOW = 11
"""Side of the square under which means and variances are taken, in pixels."""
SIGMA = 1.5
"""Standard deviation of its Gaussian weights, in pixels."""
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""The constants that keep the fraction finite where a picture is black or flat."""
BLOCK_SAMPLES = 768
"""Samples of a row, all channels counted, that are filtered at once: what a block needs fits into a core's cache."""

_MARGIN = WINDOW // 2
_EXPONENTS = -0.5 * ((np.arange(WINDOW) - _MARGIN) / SIGMA) ** 2
_GAUSSIAN = np.exp(_EXPONENTS) / np.exp(_EXPONENTS).sum()


def ssim(image: Pixels, reference: Pixels) -> float | None:
    """Structural similarity index with a Gaussian window of 11×11 pixels, sigma 1.5, averaged over its map.

    `(2 μx μy + C1)(2 σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2))` with population variances and K1 0.01, K2 0.03 for a
    data range of 255; only where the window lies wholly inside the picture. Several channels: the mean of their SSIM.
    Higher is better: 1 for identical pictures; below 0 for opposite patterns.

    Parameters
    ----------
    image, reference:
        `(H, W)` or `(H, W, C)`, 0 to 255, `uint8` or `float64`.

    Returns
    -------
    A number from -1 to 1; None when a side is shorter than the window.

    Raises
    ------
    ImageError
        The shapes differ.

    References
    ----------
    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural similarity", IEEE
    Transactions on Image Processing 13 (2004), https://doi.org/10.1109/TIP.2003.819861
    """
    return mean_over_strips(ssim_sum, image, reference, window=WINDOW)


def contrast_structure(image: Pixels, reference: Pixels) -> float | None:
    """Mean of SSIM's second factor alone, `(2 σxy + C2) / (σx² + σy² + C2)`, which leaves brightness out; see `ssim`."""
    return mean_over_strips(partial(ssim_sum, luminance=False), image, reference, window=WINDOW)


def ssim_sum(image: NDArray[Any], reference: NDArray[Any], *, luminance: bool = True) -> float:
    """Sum of the SSIM map of a strip, block by block; or of its second factor alone."""
    channels = image.shape[2] if image.ndim == 3 else 1
    columns = max(BLOCK_SAMPLES // channels, WINDOW)
    total = 0.0
    for left in range(0, image.shape[1] - 2 * _MARGIN, columns - 2 * _MARGIN):
        x, y = (plane[:, left : left + columns].astype(np.float64, order="C") for plane in (image, reference))
        total += _ssim_sum_of_block(x, y, luminance=luminance)
    return total


def _ssim_sum_of_block(x: NDArray[np.float64], y: NDArray[np.float64], *, luminance: bool) -> float:
    """Sum of the map of two blocks, `(H, W)` or `(H, W, C)`, which are overwritten.

    Only the sum of both variances occurs in the formula, so four filterings do. The columns of the border are computed
    along, as numpy is twice as fast on contiguous arrays, and left out of the sum.
    """
    mean_x, mean_y = _blur(x), _blur(y)
    mean_product = mean_x * mean_y
    mean_squares = np.square(mean_x, out=mean_x)
    mean_squares += np.square(mean_y, out=mean_y)

    covariance = _blur(x * y)
    covariance -= mean_product
    squares = np.square(x, out=x)
    squares += np.square(y, out=y)
    variances = _blur(squares)
    variances -= mean_squares

    similarity = _times_2_plus(covariance, C2)
    variances += C2
    if luminance:
        similarity *= _times_2_plus(mean_product, C1)
        mean_squares += C1
        variances *= mean_squares
    similarity /= variances
    return float(similarity[:, _MARGIN:-_MARGIN].sum())


def _times_2_plus(values: NDArray[np.float64], constant: float) -> NDArray[np.float64]:
    values *= 2
    values += constant
    return values


def _blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian mean under each window that fits between top and bottom: `(H, W, ...)` to `(H - 10, W, ...)`."""
    import cv2

    blurred = cv2.sepFilter2D(plane, cv2.CV_64F, _GAUSSIAN, _GAUSSIAN)
    return np.asarray(blurred, dtype=np.float64)[_MARGIN:-_MARGIN]
