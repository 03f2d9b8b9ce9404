"""Tiles give the pixels of the whole picture."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import upscalers
from runtimes.base import Placement
from runtimes.tiling import Tile, Tiling, blended, plan_tiles, run_tiled
from tests.fakes import repeat_pixels
from tests.pictures import noise

SIDES = st.integers(1, 90)


@given(SIDES, SIDES, st.integers(9, 40), st.integers(0, 4))
@settings(max_examples=200, deadline=None)
def test_cores_cover_each_pixel_once_and_tiles_are_small_enough(height: int, width: int, tile_px: int, overlap_px: int) -> None:
    tiles = plan_tiles(height, width, Tiling(tile_px, overlap_px))
    covered = np.zeros((height, width), int)
    for tile in tiles:
        covered[tile.core_y0 : tile.core_y1, tile.core_x0 : tile.core_x1] += 1
        if len(tiles) > 1:
            assert (tile.y1 - tile.y0) * (tile.x1 - tile.x0) <= tile_px**2
        assert tile.y0 == max(0, tile.core_y0 - overlap_px)
        assert tile.y1 == min(height, tile.core_y1 + overlap_px)
        assert tile.x0 == max(0, tile.core_x0 - overlap_px)
        assert tile.x1 == min(width, tile.core_x1 + overlap_px)
    assert (covered == 1).all()


@given(SIDES, SIDES, st.integers(9, 40), st.integers(0, 4))
@settings(max_examples=200, deadline=None)
def test_no_other_cut_into_rows_and_columns_reads_fewer_pixels(height: int, width: int, tile_px: int, overlap_px: int) -> None:
    def longest(length: int, count: int) -> int:
        return min(length, -(-length // count) + overlap_px * min(count - 1, 2))

    read = sum((tile.y1 - tile.y0) * (tile.x1 - tile.x0) for tile in plan_tiles(height, width, Tiling(tile_px, overlap_px)))
    for rows in range(1, height + 1):
        for columns in range(1, width + 1):
            if longest(height, rows) * longest(width, columns) <= tile_px**2:
                assert read <= (height + 2 * overlap_px * (rows - 1)) * (width + 2 * overlap_px * (columns - 1))


def test_a_picture_a_little_too_large_is_cut_once_and_squares_only_where_they_must_be() -> None:
    assert [(tile.y1 - tile.y0, tile.x1 - tile.x0) for tile in plan_tiles(530, 707, Tiling(512, 40))] == [(530, 394), (530, 393)]
    for square in (Tiling(512, 40, faded=True), Tiling(512, 40, strict=True), Tiling(512, 40, square=True)):
        assert len(plan_tiles(530, 707, square)) == 4


@given(st.integers(1, 900), st.integers(1, 900), st.integers(65, 400), st.integers(4, 16))
@settings(max_examples=200, deadline=None)
def test_halved_tiles_need_half_the_memory_unless_they_are_the_smallest(height: int, width: int, tile_px: int, overlap_px: int) -> None:
    def largest(tiling: Tiling) -> int:
        return max((tile.y1 - tile.y0) * (tile.x1 - tile.x0) for tile in plan_tiles(height, width, tiling))

    before = Tiling(tile_px, overlap_px)
    after = before.halved(height, width)
    if after is None:
        assert largest(before) <= before.smallest_px**2
    else:
        assert largest(after) < largest(before)
        assert 2 * largest(after) <= largest(before) or after.tile_px == before.smallest_px


@given(SIDES, SIDES, st.integers(9, 40), st.integers(0, 4), st.sampled_from([1, 4]))
@settings(max_examples=300, deadline=None)
def test_even_tiles_have_one_size_see_their_overlap_and_answer_for_each_pixel_once(
    height: int, width: int, tile_px: int, overlap_px: int, multiple: int
) -> None:
    height, width, tile_px, overlap_px = (multiple * side for side in (height, width, tile_px, overlap_px))
    tiles = plan_tiles(height, width, Tiling(tile_px, overlap_px, even=True), multiple)
    covered = np.zeros((height, width), int)
    for tile in tiles:
        covered[tile.core_y0 : tile.core_y1, tile.core_x0 : tile.core_x1] += 1
        assert not any(edge % multiple for edge in dataclasses.astuple(tile))
        if len(tiles) > 1:
            assert (tile.y1 - tile.y0, tile.x1 - tile.x0) == (min(height, tile_px), min(width, tile_px))
        for start, end, core_start, core_end, side in (
            (tile.y0, tile.y1, tile.core_y0, tile.core_y1, height),
            (tile.x0, tile.x1, tile.core_x0, tile.core_x1, width),
        ):
            assert 0 <= start <= core_start <= core_end <= end <= side
            assert start == 0 or core_start - start >= overlap_px
            assert end == side or end - core_end >= overlap_px
    assert (covered == 1).all()
    # No more of them than squares of different sizes would need.
    assert len(tiles) <= len(plan_tiles(height, width, Tiling(tile_px, overlap_px, faded=True), multiple))


@given(SIDES, SIDES, st.integers(2, 4))
@settings(max_examples=50, deadline=None)
def test_a_pixelwise_model_gives_the_same_with_tiles(height: int, width: int, scale: int) -> None:
    picture = noise(width, height)
    tiles = plan_tiles(height, width, Tiling(16, 3))
    assert np.array_equal(run_tiled(picture, scale, tiles, lambda tile: repeat_pixels(tile, scale)), repeat_pixels(picture, scale))


@given(st.integers(1, 20), st.integers(1, 20))
@settings(max_examples=50, deadline=None)
def test_edges_lie_on_multiples_where_that_is_asked(high: int, wide: int) -> None:
    for tile in plan_tiles(8 * high, 8 * wide, Tiling(64, 8), 8):
        assert not any(edge % 8 for edge in dataclasses.astuple(tile))


@given(SIDES, SIDES, st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_blended_tiles_that_agree_give_the_whole_picture_row_by_row(height: int, width: int, scale: int) -> None:
    whole = np.random.default_rng(0).random((2, scale * height, scale * width), np.float32)
    tiles = plan_tiles(height, width, Tiling(24, 4, faded=True))

    def part(tile: Tile) -> np.ndarray:
        return whole[:, scale * tile.y0 : scale * tile.y1, scale * tile.x0 : scale * tile.x1]

    bands = list(blended(tiles, scale, part))
    assert [top for top, _ in bands] == [sum(band.shape[1] for _, band in bands[:index]) for index in range(len(bands))]
    assert np.abs(np.concatenate([band for _, band in bands], axis=1) - whole).max() < 1e-6


def test_blended_tiles_that_disagree_show_no_edge() -> None:
    tiles = plan_tiles(70, 70, Tiling(24, 4, faded=True))
    values = np.random.default_rng(0).random(len(tiles))

    def part(tile: Tile) -> np.ndarray:
        return np.full((1, tile.y1 - tile.y0, tile.x1 - tile.x0), values[tiles.index(tile)], np.float32)

    whole = np.concatenate([band for _, band in blended(tiles, 1, part)], axis=1)[0]
    # A cosine over the 8 pixels on which two tiles meet is nowhere steeper than this part of their difference.
    steepest = np.pi / 2 / 8 * (values.max() - values.min())
    assert max(np.abs(np.diff(whole, axis=axis)).max() for axis in (0, 1)) <= steepest
    for tile, value in zip(tiles, values, strict=True):
        assert whole[(tile.core_y0 + tile.core_y1) // 2, (tile.core_x0 + tile.core_x1) // 2] == pytest.approx(value, abs=1e-6)


def test_tiles_too_small_to_be_blended_are_refused() -> None:
    with pytest.raises(ValueError, match="too small to blend"):
        list(
            blended(
                plan_tiles(40, 40, Tiling(12, 4, faded=True)),
                1,
                lambda tile: np.zeros((1, tile.y1 - tile.y0, tile.x1 - tile.x0), np.float32),
            )
        )


def test_a_tile_without_a_core_is_refused() -> None:
    with pytest.raises(ValueError, match="no core"):
        Tiling(32, 16)


@pytest.mark.parametrize(
    "upscaler_id", ["opencv-espcn", "opencv-fsrcnn", "opencv-fsrcnn-small", "opencv-lapsrn", "realesr-animevideov3", "realesr-general-x4v3"]
)
def test_the_overlap_covers_the_receptive_field(upscaler_id: str, weights_at_hand: list[Path]) -> None:
    spec = upscalers.get(upscaler_id)
    scale = 4
    overlap_px = spec.tiling[scale].overlap_px
    side = 2 * overlap_px + 30
    picture = noise(side + 25, side + 10)
    whole, tiled = (dataclasses.replace(spec, tiling=tiling) for tiling in ({}, {scale: Tiling(side, overlap_px)}))
    results = []
    for variant in (whole, tiled):
        with variant.build(variant, scale, variant.options({})).load(variant.runtime(), Placement(device="cpu")) as upscaler:
            assert (upscaler.tile_px(*picture.shape[:2]) is None) == (variant is whole)
            results.append(upscaler(picture).astype(int))
    # Sums in another order may turn a tie of rounding, nothing more.
    difference = np.abs(results[0] - results[1])
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
