"""Parts of stored pictures that are too large for a browser to hold ten of: cut on demand, at the size they are looked at.

Beside the PNG of a large picture lie its pixels as they are in memory, and again halved, quartered and so on (a mipmap), so that
cutting a part reads just that part. They belong to the comparison's directory and go with it; whoever finds them missing makes them.
"""

import contextlib
import os
import tempfile
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import UsageError
from core.image import ALPHA8, RGB8, encode_png

LARGE_PX = 4_000_000
"""Pictures up to this many pixels are shown whole; an uncompressed one then needs at most 16 MB in the browser."""
SMALLEST_PX = 512
"""The last level's longer side is at most this."""
MAX_PART_PX = 4_000_000
"""More than one part may have is refused: it would be cheaper to fetch the whole picture."""
_making = threading.Lock()


def is_large(width: int, height: int) -> bool:
    """Whether a picture of this size is shown in parts."""
    return width * height > LARGE_PX


def levels_of(width: int, height: int) -> int:
    """How many times a picture is halved until its longer side is at most `SMALLEST_PX`."""
    return max(0, (max(width, height) - 1) // SMALLEST_PX).bit_length()


def keep_levels(path: Path, rgb: RGB8, alpha: ALPHA8 | None = None) -> None:
    """Write the pixels of a large picture beside its PNG, at every level; small ones need none.

    Parameters
    ----------
    path:
        The PNG.
    rgb, alpha:
        Its pixels: `uint8`, `(H, W, 3)` and `(H, W)`.

    Raises
    ------
    OSError
        The disk is full or can't be written to. The levels that were written are whole.
    """
    height, width = rgb.shape[:2]
    if not is_large(width, height):
        return
    # Averages of colours that are weighted with their alpha; Pillow calls that mode RGBa.
    image = Image.fromarray(rgb) if alpha is None else Image.fromarray(np.dstack([rgb, alpha])).convert("RGBa")
    for level in range(levels_of(width, height) + 1):
        if level:
            image = image.reduce(2)
        _write(_level_path(path, level), np.asarray(image if alpha is None else image.convert("RGBA")))


def cut(path: Path, level: int, x: int, y: int, width: int, height: int) -> bytes:
    """A part of a stored picture as a PNG.

    Parameters
    ----------
    path:
        The picture's PNG.
    level:
        How often the picture is halved before it is cut; 0: its own pixels.
    x, y, width, height:
        The part, in pixels of that level. What lies beyond the picture's edge is left out.

    Raises
    ------
    core.errors.UsageError
        There is no such level or part, or it is larger than `MAX_PART_PX`.
    OSError
        The picture can't be read, for instance because the comparison is being deleted.
    """
    if min(width, height) < 1 or width * height > MAX_PART_PX or min(x, y, level) < 0:
        raise UsageError(f"A part has 1 to {MAX_PART_PX} pixels and begins inside the picture, got {width}x{height} at {x}, {y}.")
    pixels = _level(path, level)[y : y + height, x : x + width]
    if pixels.size == 0:
        raise UsageError(f"A part must begin inside the picture, got {x}, {y} at level {level}.")
    alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[-1] == 4 else None
    return encode_png(np.ascontiguousarray(pixels[..., :3]), alpha)


def _level(path: Path, level: int) -> NDArray[np.uint8]:
    """The pixels of a level, still on the disk; made first if they are missing."""
    place = _level_path(path, level)
    with contextlib.suppress(FileNotFoundError):
        return np.load(place, mmap_mode="r")
    # One at a time: a page asks for parts of all its pictures at once, and each may need 100 MB until it is written.
    with _making:
        if not place.exists():
            with Image.open(path) as image:
                if not is_large(*image.size) or level > levels_of(*image.size):
                    raise UsageError(f"A picture of {image.width}x{image.height} has no parts of level {level}.")
                pixels = np.asarray(image)
            keep_levels(path, pixels[..., :3], pixels[..., 3] if image.mode == "RGBA" else None)
    return np.load(place, mmap_mode="r")


def _level_path(path: Path, level: int) -> Path:
    return path.with_name(f"{path.stem}.{level}.npy")


def _write(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Whole or not at all. Not waited for until it is on the disk: what a power failure takes is made again."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, pixels, allow_pickle=False)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
