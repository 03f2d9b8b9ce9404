"""Cutting a picture into overlapping tiles and putting the results together.

Each tile is the part of the picture that it is responsible for (its core) and, around it, as much of the neighbourhood as the
network looks at (the overlap). Only the enlarged core is kept, so a network whose receptive field fits into the overlap gives
the same pixels with tiles as without.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from core.image import RGB8


@dataclass(frozen=True)
class Tiling:
    """How a network's input is cut."""

    tile_px: int
    """A picture of at most `tile_px`² pixels is run whole; larger ones in tiles of at most `tile_px` a side. See `strict`."""
    overlap_px: int
    """Pixels of neighbourhood on each side of a tile's core; at least the network's receptive radius for exact results."""
    strict: bool = False
    """Whether no side may exceed `tile_px`, not even that of a long and narrow picture: for networks of one fixed size."""

    def __post_init__(self) -> None:
        if self.tile_px <= 2 * self.overlap_px:
            raise ValueError(f"A tile of {self.tile_px} px has no core with an overlap of {self.overlap_px} px.")

    def takes_whole(self, height: int, width: int) -> bool:
        """Whether a picture of this size is run whole."""
        return max(height, width) <= self.tile_px if self.strict else height * width <= self.tile_px**2


@dataclass(frozen=True)
class Tile:
    """One tile: the pixels it reads and, of those, the ones it answers for. Half-open ranges in input pixels."""

    y0: int
    y1: int
    x0: int
    x1: int
    core_y0: int
    core_y1: int
    core_x0: int
    core_x1: int


def plan_tiles(height: int, width: int, tiling: Tiling | None) -> list[Tile]:
    """The tiles for a picture, row by row; one tile when it is run whole.

    The cores cover each pixel exactly once; they are of nearly equal size, so that no sliver remains at the edge.
    """
    if tiling is None or tiling.takes_whole(height, width):
        return [Tile(0, height, 0, width, 0, height, 0, width)]
    overlap = tiling.overlap_px
    core = tiling.tile_px - 2 * overlap
    return [
        Tile(max(0, y0 - overlap), min(height, y1 + overlap), max(0, x0 - overlap), min(width, x1 + overlap), y0, y1, x0, x1)
        for y0, y1 in _spans(height, core)
        for x0, x1 in _spans(width, core)
    ]


def _spans(length: int, core: int) -> Iterator[tuple[int, int]]:
    count = -(-length // core)
    edges = [round(index * length / count) for index in range(count + 1)]
    yield from itertools.pairwise(edges)


def run_tiled(
    image: RGB8,
    scale: float,
    tiles: list[Tile],
    forward: Callable[[RGB8], RGB8],
    progress: Callable[[int, int], None] | None = None,
) -> RGB8:
    """Enlarge `image` tile by tile.

    Parameters
    ----------
    image:
        `(H, W, 3)` uint8; read only.
    scale:
        Enlargement factor of `forward`; a whole number when there is more than one tile.
    tiles:
        From `plan_tiles`.
    forward:
        Maps `(h, w, 3)` to `(scale·h, scale·w, 3)`.
    progress:
        Called with (tiles done, tiles in all) after each tile.
    """
    if len(tiles) == 1:
        result = forward(image)
        if progress:
            progress(1, 1)
        return result
    scale = int(scale)
    height, width = image.shape[:2]
    result = np.empty((height * scale, width * scale, 3), np.uint8)
    for done, tile in enumerate(tiles, start=1):
        enlarged = forward(np.ascontiguousarray(image[tile.y0 : tile.y1, tile.x0 : tile.x1]))
        top, left = (tile.core_y0 - tile.y0) * scale, (tile.core_x0 - tile.x0) * scale
        core_height, core_width = (tile.core_y1 - tile.core_y0) * scale, (tile.core_x1 - tile.core_x0) * scale
        result[tile.core_y0 * scale : tile.core_y1 * scale, tile.core_x0 * scale : tile.core_x1 * scale] = enlarged[
            top : top + core_height, left : left + core_width
        ]
        if progress:
            progress(done, len(tiles))
    return result
