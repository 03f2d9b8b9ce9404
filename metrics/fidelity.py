"""Fidelity: how far the pixels are from the original's, one by one."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.base import Pixels, mean_over_strips


def mse(image: Pixels, reference: Pixels) -> float | None:
    """Mean squared error, `mean((image - reference)²)` over all pixels and channels together.

    Lower is better: 0 for identical pictures, 65025 for black against white.

    Parameters
    ----------
    image, reference:
        `(H, W)` or `(H, W, C)`, 0 to 255, `uint8` or `float64`. For `uint8` the sum is exact.

    Returns
    -------
    Levels squared; None for pictures without pixels.

    Raises
    ------
    ImageError
        The shapes differ.

    Examples
    --------
    >>> mse(np.array([[0, 10]], np.uint8), np.array([[10, 10]], np.uint8))
    50.0
    """
    return mean_over_strips(squared_error, image, reference)


def psnr_db(image: Pixels, reference: Pixels) -> float | None:
    """Peak signal-to-noise ratio, `10 log10(255² / MSE)`.

    Higher is better: `inf` for identical pictures, 0 for black against white.

    Parameters
    ----------
    image, reference:
        `(H, W)` or `(H, W, C)`, 0 to 255, `uint8` or `float64`.

    Returns
    -------
    Decibels; None for pictures without pixels.

    Raises
    ------
    ImageError
        The shapes differ.

    Examples
    --------
    >>> psnr_db(np.array([[0]], np.uint8), np.array([[255]], np.uint8))
    0.0
    """
    error = mse(image, reference)
    return None if error is None else psnr_db_of_mse(error)


def psnr_db_of_mse(error: float) -> float:
    """The PSNR in dB that belongs to a mean squared error in levels²; `inf` for 0."""
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def squared_error(image: NDArray[Any], reference: NDArray[Any]) -> float:
    """Sum of `(image - reference)²` over arrays of one shape; exact for `uint8`."""
    import cv2

    if image.dtype != reference.dtype:
        image, reference = (each.astype(np.float64, copy=False) for each in (image, reference))
    total = cv2.norm(image, reference, cv2.NORM_L2SQR)
    # A sum of whole numbers, which OpenCV squares from its rounded root.
    return float(round(total) if image.dtype == np.uint8 else total)
