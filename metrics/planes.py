"""Planes that the opt-in metrics are computed on. Their rows are computed when they are read, so that no whole plane is needed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ImageError
from metrics.base import Pixels, describe_shape, over_strips

Matrix = tuple[tuple[int, int, int], ...]
YIQ: Matrix = ((299, 587, 114), (596, -274, -322), (211, -523, 312))
"""Luma and both colour differences of sRGB values, NTSC, in thousandths: whole numbers make the sums of levels exact."""


class Mixed:
    """Weighted sums of the three channels of a picture, over the whole range of levels.

    Parameters
    ----------
    rgb:
        `(H, W, 3)`, 0 to 255.
    weights:
        A row of thousandths per channel of the result.
    """

    def __init__(self, rgb: Pixels, weights: Matrix) -> None:
        self._rgb = rgb
        self._weights = np.array(weights, np.float64)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(H, W, C)`; `(H, W)` for one row of weights."""
        channels = len(self._weights)
        return (*self._rgb.shape[:2], channels) if channels > 1 else self._rgb.shape[:2]

    def __getitem__(self, rows: slice, /) -> NDArray[np.float64]:
        """The sums of these rows, in levels."""
        import cv2

        mixed = np.asarray(cv2.transform(self._rgb[rows].astype(np.float64), self._weights), np.float64)
        mixed /= 1000
        return mixed.reshape(mixed.shape[0], *self.shape[1:])


class Plane:
    """One channel of several, in `float64`."""

    def __init__(self, pixels: Pixels, channel: int) -> None:
        self._pixels = pixels
        self._channel = channel

    @property
    def shape(self) -> tuple[int, ...]:
        """`(H, W)`."""
        return self._pixels.shape[:2]

    def __getitem__(self, rows: slice, /) -> NDArray[np.float64]:
        """The values of these rows."""
        return self._pixels[rows][..., self._channel].astype(np.float64, order="C")


class Halved:
    """Means of 2×2 pixels: what the metrics that allow for the distance of a viewer begin with.

    Where a side is odd, the last row or column is averaged with zeros, as `conv2(..., 'same')` in the papers' code does.
    """

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels

    @property
    def shape(self) -> tuple[int, ...]:
        """`(ceil(H / 2), ceil(W / 2))`, and the channels."""
        height, width, *channels = self._pixels.shape
        return (-(-height // 2), -(-width // 2), *channels)

    def __getitem__(self, rows: slice, /) -> NDArray[np.float64]:
        """The means of these rows."""
        start, stop, _ = rows.indices(self.shape[0])
        values = self._pixels[2 * start : 2 * stop].astype(np.float64)
        return mean_of_squares(_evened(values, "constant"))


def lightness(pixels: Pixels) -> Pixels:
    """`0.299 R + 0.587 G + 0.114 B` of a picture in colour, the values themselves of one in grey.

    Raises
    ------
    ImageError
        It is neither.
    """
    check_colour(pixels)
    return Mixed(pixels, YIQ[:1]) if len(pixels.shape) == 3 else pixels


def check_colour(pixels: Pixels) -> None:
    """Raise `ImageError` unless the picture is `(H, W, 3)` or `(H, W)`."""
    if pixels.shape[2:] not in ((), (3,)):
        raise ImageError(f"Pictures are compared in RGB or grey; this one is {describe_shape(pixels)}. Convert it to RGB.")


def rows_with_zeros(pixels: Pixels, start: int, stop: int) -> NDArray[np.float64]:
    """Rows `start` to `stop` in `float64`, with zeros for those outside of the picture."""
    height = pixels.shape[0]
    inside = pixels[max(0, start) : min(stop, height)].astype(np.float64)
    around = [(max(0, -start), max(0, stop - height)), *[(0, 0)] * (inside.ndim - 1)]
    return np.pad(inside, around) if any(around[0]) else inside


def halved_whole(plane: Pixels) -> NDArray[np.float64]:
    """Means of 2×2 pixels of a plane, all of them; an odd last row or column is averaged with itself."""
    height, width = (-(-side // 2) for side in plane.shape)
    means = np.empty((height, width))

    def fill(rows: slice) -> None:
        values = plane[slice(2 * rows.start, 2 * rows.stop)].astype(np.float64)
        means[rows] = mean_of_squares(_evened(values, "edge"))

    over_strips(fill, height, width)
    return means


def mean_of_squares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of 2×2 neighbours, `(2 H, 2 W, ...)` to `(H, W, ...)`."""
    rows = values[::2] + values[1::2]
    means = rows[:, ::2] + rows[:, 1::2]
    means /= 4
    return means


def _evened(values: NDArray[Any], mode: str) -> NDArray[Any]:
    odd = [(0, side % 2) for side in values.shape[:2]] + [(0, 0)] * (values.ndim - 2)
    if not values.shape[0] % 2 and not values.shape[1] % 2:
        return values
    return np.pad(values, odd, mode="edge" if mode == "edge" else "constant")
