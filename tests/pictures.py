"""Pictures that tests make themselves."""

import io

import numpy as np
from PIL import Image

from core.image import RGB8


def noise(width: int, height: int, seed: int = 0) -> RGB8:
    """Random pixels, the same for the same seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def scene(width: int, height: int) -> RGB8:
    """A smooth picture with edges: gradients and discs."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    red = 255 * x / max(1, width - 1)
    green = 255 * y / max(1, height - 1)
    blue = np.where((x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2, 220.0, 40.0)
    return np.dstack([red, green, blue]).astype(np.uint8)


def png(rgb: RGB8) -> bytes:
    """As PNG, by Pillow alone."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()
