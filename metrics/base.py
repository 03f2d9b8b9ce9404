"""What a metric is, and how one is averaged over a picture without needing memory for the whole of it."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from core.errors import ImageError
from runtimes.base import usable_cores

STRIP_PIXELS = 1 << 17
"""Map pixels of a strip: long enough for threads to overlap, and little memory."""
MIN_STRIP_ROWS = 64
"""Map rows of a strip at least, so that the rows that two strips both read stay few in very wide pictures."""


class Pixels(Protocol):
    """Pixel values that are read by rows: an array, or something that computes its rows when they are asked for.

    `(H, W)` or `(H, W, C)`, 0 to 255, `uint8` or `float64`.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """`(H, W)` or `(H, W, C)`."""
        ...

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """The values of these rows."""
        ...


MetricFn = Callable[[Pixels, Pixels], float | None]
"""Called as `fn(image, reference)`; None where the metric is undefined."""


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """The facts about one metric. A new metric is one function and one of these in the registry of `metrics`."""

    id: str
    """Key in the scores, with the unit where there is one: `psnr_db`."""
    name: str
    """For people: `PSNR`."""
    unit: str
    """`dB`, `levels²`, or empty for a plain number."""
    higher_is_better: bool
    """Whether the picture with the larger value ranks first."""
    needs_reference: bool
    """Whether it compares with the original. If not, it compares the result, shrunk again, with the small picture."""
    reference: str
    """Where the metric is defined: paper or URL."""
    identical: float
    """Its value for two identical pictures."""
    min_side: int
    """Shortest side, in pixels, for which it is defined."""
    fn: MetricFn
    """The metric: `fn(image, reference)`."""


def check_pair(image: Pixels, reference: Pixels) -> None:
    """Raise `ImageError`, naming both sizes, unless both have the same shape."""
    if image.shape != reference.shape:
        raise ImageError(
            f"The picture is {describe_shape(image)} and the original {describe_shape(reference)}: "
            "a score needs two pictures of the same size. Nothing is resized to make a score possible."
        )


def describe_shape(pixels: Pixels) -> str:
    """Width, height and channels for people, such as `64x48 with 3 channels`."""
    shape = pixels.shape
    if len(shape) not in (2, 3):
        return f"an array of {len(shape)} dimensions"
    channels = shape[2] if len(shape) == 3 else 1
    return f"{shape[1]}x{shape[0]} with {channels} channel{'s' if channels > 1 else ''}"


def mean_over_strips(
    strip_sum: Callable[[NDArray[Any], NDArray[Any]], float], image: Pixels, reference: Pixels, *, window: int = 1
) -> float | None:
    """Mean of a map of two pictures, computed strip by strip on all cores.

    The map has one value per channel and per position of a `window` × `window` square that lies wholly inside the picture.

    Parameters
    ----------
    strip_sum:
        Gives the sum of the map over the rows it is handed. Called from several threads.
    image, reference:
        `(H, W)` or `(H, W, C)`.
    window:
        Side of the square that one value of the map depends on, in pixels.

    Returns
    -------
    The mean, or None where the window fits nowhere.

    Raises
    ------
    ImageError
        The shapes differ.
    """
    check_pair(image, reference)
    height, width, *channels = image.shape
    map_height, map_width = height - window + 1, width - window + 1
    if map_height < 1 or map_width < 1:
        return None
    rows = max(MIN_STRIP_ROWS, STRIP_PIXELS // map_width)

    def sum_from(start: int) -> float:
        strip = slice(start, min(start + rows, map_height) + window - 1)
        return strip_sum(image[strip], reference[strip])

    starts = range(0, map_height, rows)
    if len(starts) == 1:
        total = sum_from(0)
    else:
        with ThreadPoolExecutor(min(len(starts), usable_cores(), 8)) as pool:
            total = math.fsum(pool.map(sum_from, starts))
    return total / (map_height * map_width * math.prod(channels))
