"""Pictures whose every pixel says which picture it belongs to and where it lies, so that a screenshot can be read."""

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FRAME = (1024, 768)
RGB8 = NDArray[np.uint8]


class Seen(NamedTuple):
    """What one screen pixel shows: the picture's number and the pixel's column and row."""

    number: int
    x: int
    y: int


def coded_picture(number: int, size: tuple[int, int] = FRAME) -> RGB8:
    """Red and green hold the low bytes of column and row; blue their high bits and, in its upper half, the number 1 to 15."""
    y, x = np.mgrid[: size[1], : size[0]]
    blue = (number << 4) | (x >> 8 << 2) | (y >> 8)
    return np.stack([x & 255, y & 255, blue], axis=-1).astype(np.uint8)


def decode_pixel(pixel: NDArray[np.uint8]) -> Seen:
    """Read one pixel of a coded picture."""
    red, green, blue = (int(value) for value in pixel[:3])
    return Seen(blue >> 4, red | (blue >> 2 & 3) << 8, green | (blue & 3) << 8)


def png(pixels: RGB8) -> bytes:
    """The pixels as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def pixels_of(file: bytes) -> RGB8:
    """The pixels of a PNG file."""
    with Image.open(io.BytesIO(file)) as image:
        return np.asarray(image.convert("RGB"))
