"""Scores that need no original: does a result, shrunk again, give back the picture that it was made from?

They say whether a result is true to what was known, not whether what it invented is right: blurred detail costs nothing.
"""

import math
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from metrics.base import Pixels
from metrics.colour import colour_shift
from metrics.fidelity import psnr_db


class ConsistencyScores(TypedDict):
    """What `score_against_small` gives, ready for JSON."""

    lr_consistency: float | None
    """Decibels; None for identical pictures, as JSON has no infinity."""
    colour_shift: float | None
    """CIEDE2000."""
    lr_identical: bool
    """Whether the shrunk result has the very pixels of the small picture: the PSNR is then infinite."""


def lr_consistency(image: Pixels, reference: Pixels) -> float | None:
    """Agreement of a shrunk result with the small picture: PSNR over all channels together, `10 log10(255² / MSE)`.

    Higher is better: `inf` when the result shrinks to the very pixels that it was made from. The NTIRE challenge below asked
    its entries for 45 dB.

    Parameters
    ----------
    image:
        The result, shrunk to the size of the small picture: `(H, W)` or `(H, W, C)`, 0 to 255, `uint8` or `float64`.
    reference:
        The small picture, of the same shape.

    Returns
    -------
    Decibels; None for pictures without pixels.

    Raises
    ------
    ImageError
        The shapes differ.

    References
    ----------
    Called LR-PSNR by Lugmayr, Danelljan, Timofte, "NTIRE 2021 Learning the Super-Resolution Space Challenge", CVPR Workshops
    2021, https://github.com/andreas128/NTIRE21_Learning_SR_Space.

    Examples
    --------
    >>> lr_consistency(np.array([[0]], np.uint8), np.array([[255]], np.uint8))
    0.0
    """
    return psnr_db(image, reference)


def score_against_small(shrunk: NDArray[np.uint8], small: NDArray[np.uint8]) -> ConsistencyScores:
    """Both scores of a result that was shrunk to the size of the small picture.

    Parameters
    ----------
    shrunk, small:
        `(H, W, 3)`, `uint8`, sRGB; never written to.

    Raises
    ------
    ImageError
        The sizes differ.
    """
    agreement = lr_consistency(shrunk, small)
    identical = agreement == math.inf
    return ConsistencyScores(
        lr_consistency=None if identical else agreement, colour_shift=colour_shift(shrunk, small), lr_identical=identical
    )
