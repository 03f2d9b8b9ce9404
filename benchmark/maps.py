"""Where results differ: from the original, and from each other. Pictures in false colours, made when somebody asks for them.

A map is kept beside the pictures of its comparison, under a name made from theirs, and goes with them.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.given import frame_of
from benchmark.schema import Comparison, Row
from core.files import write_atomically
from core.image import RGB8, decode, encode_png, on_white

FULL_LEVELS = 64
"""The difference, in levels of 255, from which on a map shows its brightest colour: errors of upscalers are rarely larger."""
COLOURS = ((0, 0, 0), (60, 15, 110), (165, 40, 100), (235, 105, 35), (250, 200, 60), (255, 255, 230))
"""From no difference to `FULL_LEVELS`, evenly spaced: brighter is always more, also for the colour-blind."""
BAND_ROWS = 256


def error_map(result: RGB8, original: RGB8) -> RGB8:
    """How far a result is from the original, pixel by pixel.

    Parameters
    ----------
    result, original:
        `(H, W, 3)` uint8 sRGB of one size; not written to.

    Returns
    -------
    `(H, W, 3)` uint8: the mean absolute difference of the three channels, through `COLOURS`.
    """
    return _coloured(result.shape, lambda rows: np.abs(result[rows].astype(np.int16) - original[rows]).mean(axis=2))


def disagreement_map(results: Iterable[RGB8]) -> RGB8:
    """How far the results are apart, pixel by pixel: the largest less the smallest value, mean of the three channels.

    Parameters
    ----------
    results:
        At least one, `(H, W, 3)` uint8 sRGB of one size; not written to. Each is needed only until the next is taken.
    """
    each = iter(results)
    high = next(each).copy()
    low = high.copy()
    for result in each:
        np.maximum(high, result, out=high)
        np.minimum(low, result, out=low)
    return error_map(high, low)


def error_path(directory: Path, job: Comparison, row: Row) -> str | None:
    """File name of the error map of a result, made now if it is not there; None without an original or a result."""
    if job.mode != "restore" or job.original_path is None or row.output_path is None:
        return None
    names = [row.output_path, job.original_path]
    return _kept(directory, "error", names, frame_of(job).size, lambda pictures: error_map(*pictures))


def disagreement_path(directory: Path, job: Comparison) -> str | None:
    """File name of the map of all results' disagreement, made now if it is not there; None with fewer than two results."""
    names = [row.output_path for row in job.rows if row.output_path]
    return _kept(directory, "disagreement", names, frame_of(job).size, disagreement_map) if len(names) > 1 else None


def _kept(directory: Path, kind: str, names: Sequence[str], size: tuple[int, int], make: Callable[[Iterable[RGB8]], RGB8]) -> str:
    name = f"{hashlib.sha256(' '.join([kind, *names]).encode()).hexdigest()[:32]}.png"
    path = directory / name
    if not path.is_file():
        write_atomically(path, encode_png(make(_read(directory / each, size) for each in names)), durable=False)
    return name


def _read(path: Path, size: tuple[int, int]) -> RGB8:
    picture = decode(path.read_bytes(), at_least=size)
    return on_white(picture.rgb, picture.alpha)


def _coloured(shape: tuple[int, ...], difference: Callable[[slice], NDArray[np.floating]]) -> RGB8:
    """In bands of rows: the differences of a large picture as numbers would take gigabytes."""
    steps = np.linspace(0, len(COLOURS) - 1, 256)
    table = np.stack([np.interp(steps, range(len(COLOURS)), channel) for channel in np.array(COLOURS).T], axis=1).round().astype(np.uint8)
    result = np.empty(shape, np.uint8)
    for top in range(0, shape[0], BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        index = np.minimum(np.rint(difference(rows) * (255 / FULL_LEVELS)), 255).astype(np.uint8)
        result[rows] = table[index]
    return result
