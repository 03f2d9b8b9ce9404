"""What a metric is, and how one is averaged over a picture without needing memory for the whole of it."""

import functools
import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

from core.errors import ImageError
from core.memory import keep_freed_memory
from core.weights import WeightFile
from core.weights import status as weight_status
from runtimes.base import usable_cores

STRIP_PIXELS = 1 << 17
"""Map pixels of a strip at most: long enough for threads to overlap, and little memory."""
MIN_STRIP_ROWS = 64
"""Map rows of a strip at least, so that the rows that two strips both read stay few in very wide pictures."""
THREADS, MAX_THREADS = "strips", 8


T = TypeVar("T")


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
    value_range: tuple[float, float]
    """Between which values it lies."""
    min_side: int
    """Shortest side, in pixels, for which it is defined."""
    colour: str
    """How it treats colours, in a few words."""
    protocols: tuple[str, ...]
    """Ids of the protocols under which it is computed; empty for those that need no original."""
    symmetric: bool = True
    """Whether both pictures may change places."""
    opt_in: bool = False
    """Whether it is computed only when somebody asks for it."""
    weights: tuple[WeightFile, ...] = ()
    """Files that it needs."""
    package: str = ""
    """Library that it needs and that may be missing."""
    undefined: str = ""
    """When it is undefined although the pictures are large enough."""
    fn: MetricFn
    """The metric: `fn(image, reference)`."""

    @property
    def option(self) -> str:
        """What it is called where a person asks for it: `ms-ssim`."""
        return self.id.replace("_", "-")

    @property
    def short_name(self) -> str:
        """For the head of a column: without what stands in brackets."""
        return self.name.partition(" (")[0]

    @property
    def direction(self) -> str:
        """`higher` or `lower`: which value is better."""
        return "higher" if self.higher_is_better else "lower"

    def unavailable_reason(self) -> str | None:
        """Why it can't be computed on this machine, and what helps, in one line; None where it can."""
        if self.package and find_spec(self.package) is None:
            return f"{self.name} needs the package {self.package}: run `pip install {self.package}`."
        for file in self.weights:
            if weight_status(file).located is None:
                size = f" ({file.size_bytes / 1e6:.0f} MB)" if file.size_bytes else ""
                return (
                    f"{self.name} needs {file.name}{size}: run `upscale-bench weights fetch {self.option}`, "
                    "or put the file into a directory named in UPSCALE_BENCH_WEIGHTS."
                )
        return None


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
    strip_sum: Callable[[NDArray[Any], NDArray[Any]], float],
    image: Pixels,
    reference: Pixels,
    *,
    window: int = 1,
    strip_pixels: int | None = None,
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
    strip_pixels:
        As for `over_strips`.

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

    def sum_of(rows: slice) -> float:
        strip = slice(rows.start, rows.stop + window - 1)
        return strip_sum(image[strip], reference[strip])

    total = math.fsum(over_strips(sum_of, map_height, map_width, strip_pixels=strip_pixels))
    return total / (map_height * map_width * math.prod(channels))


def over_strips(work: Callable[[slice], T], height: int, width: int, *, strip_pixels: int | None = None) -> list[T]:
    """What `work` gives for each strip of rows of a map, from top to bottom; computed on all cores.

    Parameters
    ----------
    work:
        Called with the rows of a strip, from several threads.
    height, width:
        Of the map, in pixels.
    strip_pixels:
        Pixels of a strip at most, `STRIP_PIXELS` unless told.
    """
    count = math.ceil(height / max(MIN_STRIP_ROWS, (strip_pixels or STRIP_PIXELS) // width))
    # Of one height, and an even number, so that two threads end together. Not a number that depends on the machine: a sum of
    # other parts can have another last digit.
    rows = max(1, math.ceil(height / (count + count % 2 if count > 1 else 1)))
    strips = [slice(top, min(top + rows, height)) for top in range(0, height, rows)]
    if len(strips) == 1 or threading.current_thread().name.startswith(THREADS):
        return [work(strip) for strip in strips]
    return list(_pool(os.getpid()).map(work, strips))


@functools.cache
def _pool(_process_id: int) -> ThreadPoolExecutor:
    """The threads of this process. They are kept: to start some for each mean takes a seventh of the time for a small picture."""
    keep_freed_memory()
    return ThreadPoolExecutor(min(usable_cores(), MAX_THREADS), thread_name_prefix=THREADS)
