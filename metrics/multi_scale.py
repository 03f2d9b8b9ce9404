"""MS-SSIM: structure at five sizes, from the finest detail to shapes sixteen times as large."""

import numpy as np

from metrics.base import Pixels, check_pair
from metrics.planes import Plane, halved_whole
from metrics.structural import WINDOW, contrast_structure, ssim

EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""How much each size counts, the finest first; from viewers' judgements, section 3.2 of the paper."""
MIN_SIDE = (WINDOW - 1) * 2 ** (len(EXPONENTS) - 1) + 1
"""The window of SSIM has to fit into the smallest of the five pictures."""


def ms_ssim(image: Pixels, reference: Pixels) -> float | None:
    """Multi-scale structural similarity: `SSIM₅^α₅ · ∏ CSⱼ^αⱼ` over four finer sizes j, CS being SSIM without its luminance factor.

    From each size to the next the pictures are averaged over 2×2 pixels; an odd last row or column is averaged with itself.
    Several channels: the mean of their values. A negative mean of a map counts as 0, as no power of it exists.
    Higher is better: 1 for identical pictures, never below 0.

    Parameters
    ----------
    image, reference:
        `(H, W)` or `(H, W, C)`, 0 to 255, `uint8` or `float64`.

    Returns
    -------
    A number from 0 to 1; None when a side is under 161 pixels.

    Raises
    ------
    ImageError
        The shapes differ.

    References
    ----------
    Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", Asilomar Conference on Signals,
    Systems and Computers 2003, https://doi.org/10.1109/ACSSC.2003.1292216
    """
    check_pair(image, reference)
    if min(image.shape[:2]) < MIN_SIDE:
        return None
    channels = range(image.shape[2]) if len(image.shape) == 3 else (None,)
    values = [_of_planes(*(each if channel is None else Plane(each, channel) for each in (image, reference))) for channel in channels]
    return float(np.mean(values))


def _of_planes(image: Pixels, reference: Pixels) -> float:
    value = 1.0
    for exponent in EXPONENTS[:-1]:
        value *= max(0.0, contrast_structure(image, reference) or 0.0) ** exponent
        image, reference = halved_whole(image), halved_whole(reference)
    return value * max(0.0, ssim(image, reference) or 0.0) ** EXPONENTS[-1]
