"""Cutting a picture into overlapping tiles and putting the results together.

Each tile is the part of the picture that it is responsible for (its core) and, around it, as much of the neighbourhood as the
network looks at (the overlap). There are two ways to put them together:

- `run_tiled` keeps only the enlarged cores, so a network whose receptive field fits into the overlap gives the same pixels with
  tiles as without.
- `blended` fades neighbours into each other over the overlap, for networks that look at everything in their tile or invent what
  they draw: their tiles never quite agree, and a hard border would be seen.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from core.image import RGB8
from runtimes.base import F32

SMALLEST_TILE_PX = 64
"""Smaller tiles save no memory worth naming."""


@dataclass(frozen=True)
class Tiling:
    """How a network's input is cut."""

    tile_px: int
    """A picture of at most `tile_px`² pixels is run whole; larger ones in tiles that read at most as many, of the shape that reads the
    fewest pixels twice. Where they are `strict`, `faded`, `even` or `square`, no side of a tile exceeds `tile_px`."""
    overlap_px: int
    """Pixels of neighbourhood on each side of a tile's core; at least the network's receptive radius for exact results."""
    strict: bool = False
    """Whether no side may exceed `tile_px`, not even that of a long and narrow picture that could be run whole: for networks of one fixed
    size."""
    faded: bool = False
    """Whether tiles are put together by `blended`, which needs wider cores."""
    even: bool = False
    """Whether all tiles of a picture have one size, those at its edges too: for networks that are compiled for a size. They overlap
    by a little more, and no pixel is made up."""
    square: bool = False
    """Whether no side of a tile exceeds `tile_px`: for networks whose tiles are padded, so that long ones would be made larger by more."""

    def __post_init__(self) -> None:
        if self.tile_px <= 2 * self.overlap_px:
            raise ValueError(f"A tile of {self.tile_px} px has no core with an overlap of {self.overlap_px} px.")

    @property
    def smallest_px(self) -> int:
        """The smallest side that a person may ask for.

        Below four overlaps a tile reads more than four times the pixels that it answers for. Tiles that are faded need a core of two
        overlaps, of which an uneven cut may leave half.
        """
        return max(SMALLEST_TILE_PX, (6 if self.faded else 4) * self.overlap_px)

    @property
    def manner(self) -> tuple[bool | str, ...]:
        """What decides, beside the sizes, where tiles lie: part of the identity of what is computed in them."""
        shaped = not (self.strict or self.faded or self.even or self.square)
        return (self.strict, *(["even"] if self.even else []), *(["shaped"] if shaped else []))

    def halved(self, height: int, width: int) -> "Tiling | None":
        """Tiles of half the side, or less until the largest that a picture of this size is cut into is half as large; None where none
        is smaller.
        """
        largest, side = largest_tile_pixels(height, width, self), self.tile_px
        found = None
        while not self.strict and side > self.smallest_px:
            side = max(side // 2, self.smallest_px)
            smaller = replace(self, tile_px=side)
            pixels = largest_tile_pixels(height, width, smaller)
            if pixels < largest:
                found = smaller
            if 2 * pixels <= largest:
                break
        return found

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


def plan_tiles(height: int, width: int, tiling: Tiling | None, multiple_px: int = 1) -> list[Tile]:
    """The tiles for a picture, row by row; one tile when it is run whole.

    The cores cover each pixel exactly once; they are of nearly equal size, so that no sliver remains at the edge. With `multiple_px`,
    which must divide the picture's sides and the tiling, all edges lie on multiples of it, and no side of a tile exceeds `tile_px`.
    """
    if tiling is None or tiling.takes_whole(height, width):
        return [Tile(0, height, 0, width, 0, height, 0, width)]
    if tiling.even:
        down, across = (list(_even_spans(length, tiling, multiple_px)) for length in (height, width))
    else:
        squares = tiling.strict or tiling.faded or tiling.square or multiple_px > 1
        counts = (_square_grid if squares else _thrifty_grid)(height, width, tiling)
        down, across = (
            list(_spans(length, count, tiling.overlap_px, multiple_px)) for length, count in zip((height, width), counts, strict=True)
        )
    return [
        Tile(y0, y1, x0, x1, core_y0, core_y1, core_x0, core_x1) for y0, y1, core_y0, core_y1 in down for x0, x1, core_x0, core_x1 in across
    ]


def largest_tile_pixels(height: int, width: int, tiling: Tiling | None) -> int:
    """Pixels that the largest tile of a picture reads: what a call's memory grows with."""
    return max((tile.y1 - tile.y0) * (tile.x1 - tile.x0) for tile in plan_tiles(height, width, tiling))


def _square_grid(height: int, width: int, tiling: Tiling) -> tuple[int, int]:
    """How many rows and columns of tiles there are when no tile has a side above `tile_px`."""
    core_px = tiling.tile_px - 2 * tiling.overlap_px
    return -(-height // core_px), -(-width // core_px)


def _thrifty_grid(height: int, width: int, tiling: Tiling) -> tuple[int, int]:
    """The rows and columns that read the fewest pixels in all, none of their tiles more than `tile_px`².

    Two halves of a picture that is a little too large share one overlap, where four quarters share four.
    """
    overlap, limit = tiling.overlap_px, tiling.tile_px**2

    def read(grid: tuple[int, int]) -> int:
        return (height + 2 * overlap * (grid[0] - 1)) * (width + 2 * overlap * (grid[1] - 1))

    squares = _square_grid(height, width, tiling)
    grids = [squares]
    # A wider search finds nothing better unless cores are narrower than their overlap.
    for rows in range(1, 2 * squares[0] + 1):
        longest = limit // _longest_span(height, rows, overlap)
        columns = next((count for count in range(1, 2 * squares[1] + 1) if _longest_span(width, count, overlap) <= longest), None)
        if columns is not None:
            grids.append((rows, columns))
    return min(grids, key=read)


def _longest_span(length: int, count: int, overlap: int) -> int:
    """What the largest of `count` tiles along one axis reads, or a little more."""
    return min(length, -(-length // count) + min(count - 1, 2) * overlap)


def _spans(length: int, count: int, overlap: int, multiple: int) -> Iterator[tuple[int, int, int, int]]:
    """Along one axis, what each tile reads and answers for: cores of nearly equal size, each with its overlaps."""
    edges = [multiple * round(index * length / (count * multiple)) for index in range(count + 1)]
    for start, end in itertools.pairwise(edges):
        yield max(0, start - overlap), min(length, end + overlap), start, end


def _even_spans(length: int, tiling: Tiling, multiple: int) -> Iterator[tuple[int, int, int, int]]:
    """The same for tiles of one size, at nearly equal distances from the first pixel to the last; neighbours meet in the middle."""
    side = min(length, tiling.tile_px)
    gaps = -(-(length - side) // (tiling.tile_px - 2 * tiling.overlap_px))
    starts = [multiple * (index * (length - side) // (max(1, gaps) * multiple)) for index in range(gaps + 1)]
    middles = [multiple * ((start + before + side) // (2 * multiple)) for before, start in itertools.pairwise(starts)]
    for start, (core_start, core_end) in zip(starts, itertools.pairwise([0, *middles, length]), strict=True):
        yield start, start + side, core_start, core_end


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


def blended(tiles: list[Tile], scale: int, forward: Callable[[Tile], F32]) -> Iterator[tuple[int, F32]]:
    """Run a network tile by tile and fade the results of neighbours into each other.

    The two weights of a pixel on which neighbours meet are the two halves of a cosine, from the edge of the one tile to the edge of
    the other, and add up to 1. The finished rows are handed out band by band, so that memory holds one row of tiles, not the picture.

    Parameters
    ----------
    tiles:
        From `plan_tiles`; each core is at least as wide as its two overlaps together.
    scale:
        Enlargement factor of `forward`.
    forward:
        Gives the result for a tile's whole range, `(C, scale·h, scale·w)` float32.

    Yields
    ------
    The first row of a band, in output pixels, and the band, `(C, rows, scale·W)` float32; from top to bottom, without gaps.
    """
    width = scale * max(tile.x1 for tile in tiles)
    begun: F32 | None = None
    for _, group in itertools.groupby(tiles, key=lambda tile: tile.y0):
        row = list(group)
        first = row[0]
        vertical = _fade(first.y0, first.core_y0, first.core_y1, first.y1, scale)
        band: F32 | None = None
        for tile in row:
            part = forward(tile) * vertical[:, np.newaxis] * _fade(tile.x0, tile.core_x0, tile.core_x1, tile.x1, scale)
            if band is None:
                band = np.zeros((part.shape[0], part.shape[1], width), np.float32)
            band[:, :, scale * tile.x0 : scale * tile.x1] += part
        assert band is not None
        if begun is not None:
            band[:, : begun.shape[1]] += begun
        # Below it the next row of tiles fades in.
        finished = scale * (_fade_out_start(first.core_y1, first.y1) - first.y0)
        begun = band[:, finished:].copy()
        yield scale * first.y0, band[:, :finished]


def _fade_out_start(core_end: int, end: int) -> int:
    """Where a tile begins to fade: as far before the end of its core as it reads beyond it."""
    return 2 * core_end - end


def _fade(start: int, core_start: int, core_end: int, end: int, scale: int) -> F32:
    """The weights of a tile along one axis, one per output pixel."""
    rise, fall = 2 * scale * (core_start - start), 2 * scale * (end - core_end)
    length = scale * (end - start)
    if rise + fall > length:
        raise ValueError(f"A core of {core_end - core_start} px is too small to blend a tile of {end - start} px.")
    weights = np.ones(length, np.float32)
    weights[:rise] = _rising(rise)
    weights[length - fall :] = _rising(fall)[::-1]
    return weights


def _rising(length: int) -> F32:
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(1, length)), np.float32)
