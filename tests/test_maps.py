"""Maps of differences, checked against differences that were put in by hand."""

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.maps import BAND_ROWS, COLOURS, FULL_LEVELS, disagreement_map, disagreement_path, error_map, error_path
from benchmark.plan import Plan
from benchmark.presentation.results import shown_maps
from benchmark.presentation.table import order_note
from benchmark.workers.local_engine import LocalEngine
from tests.engine_helpers import directory, run
from tests.pictures import png, scene


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    made = LocalEngine()
    yield made
    made.close()


def grey(*levels: int) -> np.ndarray:
    """A row of grey pixels."""
    return np.repeat(np.array([levels], np.uint8)[..., np.newaxis], 3, axis=2)


def test_equal_pixels_are_black_and_large_errors_have_the_brightest_colour() -> None:
    mapped = error_map(grey(100, 100, 100, 0, 255), grey(100, 100 + FULL_LEVELS, 100 - FULL_LEVELS, 255, 0))
    assert mapped[0].tolist() == [list(COLOURS[0])] + [list(COLOURS[-1])] * 4


def test_a_larger_error_is_brighter_whatever_its_sign() -> None:
    steps = np.arange(FULL_LEVELS + 1)
    up, down = (error_map(grey(*(128 + sign * steps).tolist()), grey(*[128] * len(steps)))[0] for sign in (1, -1))
    assert np.array_equal(up, down)
    luma = up @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(luma) > 0).all()


def test_the_error_is_the_mean_of_the_channels() -> None:
    one_channel = np.array([[[130, 100, 100]]], np.uint8)
    assert np.array_equal(error_map(one_channel, grey(100)), error_map(grey(110), grey(100)))


def test_disagreement_is_the_distance_between_the_outermost_results() -> None:
    results = [grey(10, 50), grey(20, 50), grey(15, 50)]
    assert np.array_equal(disagreement_map(results), error_map(grey(20, 50), grey(10, 50)))


def test_disagreement_holds_no_result_longer_than_it_looks_at_it() -> None:
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def results() -> Iterator[np.ndarray]:
        nonlocal most
        for level in range(5):
            result = grey(level, 2 * level)
            alive.append(weakref.ref(result))
            most = max(most, sum(each() is not None for each in alive))
            yield result
            del result

    assert np.array_equal(disagreement_map(results()), error_map(grey(4, 8), grey(0, 0)))
    assert most <= 2


def test_bands_leave_no_seams() -> None:
    height = BAND_ROWS + 5
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 256, (height, 7, 3), np.uint8) for _ in range(2))
    whole = error_map(first, second)
    assert np.array_equal(whole[-3:], error_map(first[-3:], second[-3:]))
    assert whole.shape == first.shape


def test_maps_of_a_comparison_are_made_once_and_shown_in_place_of_the_results(engine: LocalEngine) -> None:
    job = run(engine, Plan(scale=2, upscaler_ids=["nearest", "bicubic"], repeats=0), png(scene(60, 40)))
    folder = directory(engine, job)
    before = set(folder.iterdir())
    shown = shown_maps(job, folder, "errors", str)
    assert [each.id for each in shown] == ["original", "downscaled", "nearest", "bicubic"]
    assert [each.url for each in shown[:2]] == [job.original_path, job.downscaled_path]
    original, result = (np.asarray(Image.open(folder / str(name)).convert("RGB")) for name in (job.original_path, job.rows[1].output_path))
    assert np.array_equal(np.asarray(Image.open(folder / str(shown[3].url))), error_map(result, original))
    made = set(folder.iterdir()) - before
    assert {path.name for path in made} == {shown[2].url, shown[3].url}
    times = {path: path.stat().st_mtime_ns for path in made}
    assert shown_maps(job, folder, "errors", str) == shown
    assert {path: path.stat().st_mtime_ns for path in made} == times
    last = shown_maps(job, folder, "disagreement", str)[-1]
    assert (last.id, last.url) == ("disagreement", disagreement_path(folder, job))
    assert shown_maps(job, folder, "pictures", str)[-1].url == job.rows[1].output_path


def test_without_an_original_there_is_no_error_map_and_one_result_disagrees_with_nobody(engine: LocalEngine) -> None:
    job = run(engine, Plan(scale=2, upscaler_ids=["nearest"], mode="as-is", repeats=0), png(scene(20, 20)))
    folder: Path = directory(engine, job)
    assert error_path(folder, job, job.rows[0]) is None
    assert disagreement_path(folder, job) is None
    assert [each.id for each in shown_maps(job, folder, "disagreement", str)] == ["original", "nearest"]


def test_a_pair_that_the_protocols_order_differently_is_named(engine: LocalEngine) -> None:
    job = run(engine, Plan(scale=2, upscaler_ids=["nearest", "bicubic"], repeats=0), png(scene(60, 40)))

    def noted(nearest: tuple[float, float], bicubic: tuple[float, float]) -> str | None:
        for row, values in zip(job.rows, (nearest, bicubic), strict=True):
            assert row.scores is not None
            row.scores["rgb"].psnr_db, row.scores["y"].psnr_db = values
        return order_note(job)

    assert noted((30.0, 31.0), (31.0, 32.0)) is None
    assert noted((30.0, 32.0), (31.0, 31.0)) == "By colour Bicubic is ahead of Nearest, by luma it is the other way round."
    assert noted((31.0, 31.0), (30.0, 32.0)) == "By colour Nearest is ahead of Bicubic, by luma it is the other way round."
    # Within a twentieth of a decibel two models are equally good.
    assert noted((30.0, 31.04), (31.0, 31.0)) is None
