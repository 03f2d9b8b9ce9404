"""What cutting a picture into tiles does to a result: the same picture enlarged in tiles and whole, held against each other."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ImageError
from core.image import RGB8
from runtimes.tiling import Tile, Tiling

NEAR_PX = 8
"""Output pixels on each side of a seam that count as near it."""


@dataclass(frozen=True)
class TileAudit:
    """How far the two are apart, in levels of 255 over all samples."""

    tile_px: int
    overlap_px: int
    tiles: int
    largest_levels: int
    largest_at: tuple[int, int]
    """Column and row of the largest difference, in output pixels."""
    mean_levels: float
    share_above_1: float
    """Samples that differ by more than one level, 0 to 1."""
    mean_near_seams: float
    """Mean within `NEAR_PX` output pixels of where two tiles meet."""
    mean_elsewhere: float

    @property
    def same(self) -> bool:
        """Whether both are one picture up to rounding."""
        return self.largest_levels <= 1

    def document(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "same": self.same}


def audit(tiled: RGB8, whole: RGB8, tiling: Tiling, tiles: Sequence[Tile], scale: int) -> TileAudit:
    """Hold a result made in tiles against the one made whole.

    Parameters
    ----------
    tiled, whole:
        `(scale·H, scale·W, 3)` uint8 sRGB.
    tiling, tiles:
        How the small picture was cut, and the tiles that came of it.
    scale:
        The enlargement.

    Raises
    ------
    core.errors.ImageError
        The two differ in size.
    """
    if tiled.shape != whole.shape:
        raise ImageError(f"Expected two results of one size, got {_size(tiled)} in tiles and {_size(whole)} whole.")
    height, width = whole.shape[:2]
    apart = np.abs(tiled.astype(np.int16) - whole)
    worst = apart.max(axis=2)
    row, column = np.unravel_index(int(worst.argmax()), worst.shape)
    near = (
        _near([tile.core_x0 * scale for tile in tiles], width)[np.newaxis]
        | _near([tile.core_y0 * scale for tile in tiles], height)[:, np.newaxis]
    )
    by_pixel = apart.mean(axis=2)
    return TileAudit(
        tile_px=tiling.tile_px,
        overlap_px=tiling.overlap_px,
        tiles=len(tiles),
        largest_levels=int(worst.max()),
        largest_at=(int(column), int(row)),
        mean_levels=float(by_pixel.mean()),
        share_above_1=float((apart > 1).mean()),
        mean_near_seams=float(by_pixel[near].mean()) if near.any() else 0.0,
        mean_elsewhere=float(by_pixel[~near].mean()) if not near.all() else 0.0,
    )


def _near(starts: list[int], length: int) -> NDArray[np.bool_]:
    """Which of `length` pixels lie near the start of a tile that is not the first."""
    near = np.zeros(length, bool)
    for start in {start for start in starts if start}:
        near[max(0, start - NEAR_PX) : start + NEAR_PX] = True
    return near


def _size(picture: RGB8) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]}"
