"""Networks that enlarge luma only: the colours go along by bicubic.

The planes are those of Pillow's and OpenCV's YCbCr: ITU-R BT.601 (https://www.itu.int/rec/R-REC-BT.601) over the full range,
as in JFIF (https://www.w3.org/Graphics/JPEG/jfif3.pdf).
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from core.image import RGB8
from runtimes.base import F32
from upscalers.base import to_levels

RED, GREEN, BLUE = 0.299, 0.587, 0.114
"""Weights of the primaries in luma."""


def enlarge_luma(tile: RGB8, network: Callable[[F32], F32]) -> RGB8:
    """Enlarge a picture of which the network sees the luma. Levels are rounded once, at the end.

    Parameters
    ----------
    tile:
        `(H, W, 3)` uint8 sRGB; not written to.
    network:
        Maps luma in 0..1, float32 `(1, 1, H, W)`, to enlarged luma, `(1, 1, scale·H, scale·W)`.

    Returns
    -------
    `(scale·H, scale·W, 3)` uint8 sRGB.

    Raises
    ------
    core.errors.ModelError
        The network gave NaN or an infinite value.
    """
    red, green, blue = np.moveaxis(tile.astype(np.float32) / np.float32(255), 2, 0)
    luma = np.float32(RED) * red + np.float32(GREEN) * green + np.float32(BLUE) * blue
    enlarged = np.clip(network(np.ascontiguousarray(luma[np.newaxis, np.newaxis]))[0, 0], 0, 1)
    height, width = enlarged.shape
    # These differences are Cb and Cr times a constant, which enlarging, being linear, leaves where it is.
    blue_difference, red_difference = (_bicubic(plane - luma, (width, height)) for plane in (blue, red))
    new_red, new_blue = enlarged + red_difference, enlarged + blue_difference
    new_green = (enlarged - np.float32(RED) * new_red - np.float32(BLUE) * new_blue) / np.float32(GREEN)
    return np.ascontiguousarray(to_levels(np.stack([new_red, new_green, new_blue], axis=2)))


def _bicubic(plane: F32, size: tuple[int, int]) -> F32:
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC))
