"""The metrics themselves; the oracles are numbers worked out by hand and scikit-image."""

import json
import math
import platform
import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import ImageError
from metrics import METRICS, PROTOCOLS, base, mse, psnr_db, score, score_all, structural
from metrics import ssim as ssim_of
from metrics.base import MetricSpec


def picture(height: int, width: int, *channels: int, seed: int = 0) -> np.ndarray:
    """Waves and noise: smooth parts, edges and texture, over the whole range."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = 128 + 110 * np.sin(rows / 9 + seed) * np.cos(columns / 7)
    waves = waves.reshape(height, width, *(1 for _ in channels)) + rng.normal(0, 12, (height, width, *channels))
    return waves.clip(0, 255).astype(np.uint8)


def pair(height: int, width: int, *channels: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture with noise, and the picture."""
    reference = picture(height, width, *channels)
    noise = np.random.default_rng(1).normal(0, 9, reference.shape)
    return (reference + noise).clip(0, 255).astype(np.uint8), reference


def by_skimage(image: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

    ssim: Any = structural_similarity(
        image,
        reference,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2 if image.ndim == 3 else None,
    )
    psnr_db = peak_signal_noise_ratio(reference, image, data_range=255)
    return {"mse": float(mean_squared_error(image, reference)), "psnr_db": float(psnr_db), "ssim": float(ssim)}


each_metric = pytest.mark.parametrize("metric", list(METRICS), ids=METRICS.ids())


@pytest.fixture(autouse=True)
def any_network(request: pytest.FixtureRequest) -> None:
    """LPIPS with a network of random weights: what the contract asks for does not depend on them."""
    if "metric" in request.fixturenames and request.getfixturevalue("metric").weights:
        request.getfixturevalue("random_alexnet")


def side_of(metric: MetricSpec) -> int:
    return max(24, metric.min_side)


@each_metric
@pytest.mark.parametrize("shape", [(0, 7), (0, 7, 3), (300, 700, 3)])
def test_a_picture_compared_with_itself_has_the_value_that_the_registry_states(metric: MetricSpec, shape: tuple[int, ...]) -> None:
    side = side_of(metric)
    image = picture(max(side, shape[0]), max(side, shape[0]) + shape[1], *shape[2:])
    exact = not metric.opt_in
    for values in (image, image.astype(np.float64)):
        assert metric.fn(values, values.copy()) == (metric.identical if exact else pytest.approx(metric.identical, abs=1e-9))


@each_metric
def test_more_noise_is_always_worse(metric: MetricSpec) -> None:
    reference = picture(max(64, metric.min_side), max(80, metric.min_side), 3)
    noise = np.random.default_rng(3).normal(0, 1, reference.shape)
    values = [metric.fn((reference + sigma * noise).clip(0, 255).astype(np.uint8), reference) for sigma in (2, 5, 10, 20, 40)]
    assert None not in values
    assert values == sorted(values, key=lambda value: value or 0.0, reverse=metric.higher_is_better)
    assert len(set(values)) == 5


@each_metric
def test_the_worst_pictures_stay_within_the_range_that_the_registry_states(metric: MetricSpec) -> None:
    side = side_of(metric)
    reference = picture(side, side, 3)
    shuffled = np.random.default_rng(0).permutation(reference.reshape(-1, 3)).reshape(reference.shape)
    low, high = metric.value_range
    for image in (255 - reference, shuffled, np.zeros_like(reference), np.full_like(reference, 255)):
        value = metric.fn(image, reference)
        assert value is not None
        assert low <= value <= high
        assert value < metric.identical if metric.higher_is_better else value > metric.identical


@each_metric
def test_pictures_may_change_places_where_the_registry_says_so(metric: MetricSpec) -> None:
    image, reference = pair(side_of(metric), side_of(metric), 3)
    assert (metric.fn(image, reference) == pytest.approx(metric.fn(reference, image), abs=1e-9)) == metric.symmetric


@each_metric
def test_grey_is_colour_of_equal_channels(metric: MetricSpec) -> None:
    image, reference = pair(side_of(metric), side_of(metric))
    grey = metric.fn(image, reference)
    colour = metric.fn(*(np.repeat(each[..., None], 3, axis=2) for each in (image, reference)))
    if metric.id == "haarpsi":
        # Its two colour differences, both none, count as kept.
        assert (grey or 1.0) < (colour or 0.0) < 1
    else:
        assert grey == pytest.approx(colour, abs=1e-9)


@each_metric
@pytest.mark.parametrize("other", [(24, 32, 3), (25, 31, 3), (24, 31), (24, 31, 1)])
def test_two_sizes_are_refused_and_both_are_named(metric: MetricSpec, other: tuple[int, ...]) -> None:
    with pytest.raises(ImageError) as error:
        metric.fn(np.zeros(other, np.uint8), np.zeros((24, 31, 3), np.uint8))
    assert f"{other[1]}x{other[0]}" in str(error.value)
    assert "31x24 with 3 channels" in str(error.value)
    assert "\n" not in str(error.value)


@each_metric
def test_a_metric_is_defined_from_its_smallest_side_on(metric: MetricSpec) -> None:
    image, reference = pair(metric.min_side, max(40, metric.min_side))
    assert metric.fn(image, reference) is not None
    assert metric.fn(image.T, reference.T) is not None
    assert metric.fn(image[1:], reference[1:]) is None
    assert metric.fn(image.T[:, 1:], reference.T[:, 1:]) is None


@each_metric
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_a_metric_leaves_its_pictures_unchanged(metric: MetricSpec, dtype: type) -> None:
    image, reference = (pixels.astype(dtype) for pixels in pair(side_of(metric), side_of(metric)))
    before = image.copy(), reference.copy()
    for pixels in (image, reference):
        pixels.flags.writeable = False
    metric.fn(image, reference)
    assert (image == before[0]).all()
    assert (reference == before[1]).all()


@each_metric
def test_the_facts_of_a_metric_are_complete(metric: MetricSpec) -> None:
    assert metric.name
    assert metric.reference.startswith("https://")
    assert metric.needs_reference == (metric.id not in {"lr_consistency", "colour_shift"})
    assert bool(metric.protocols) == metric.needs_reference
    assert set(metric.protocols) <= set(PROTOCOLS.ids())
    assert metric.value_range[0] <= metric.identical <= metric.value_range[1]
    assert metric.colour
    assert metric.fn.__doc__
    assert ("Higher is better" in metric.fn.__doc__) == metric.higher_is_better


def test_mse_and_psnr_of_four_pixels_worked_out_by_hand() -> None:
    image = np.array([[0, 10], [20, 30]], np.uint8)
    reference = np.array([[3, 10], [16, 30]], np.uint8)
    assert mse(image, reference) == (9 + 0 + 16 + 0) / 4
    assert psnr_db(image, reference) == pytest.approx(40.1720034, abs=1e-7)  # 10 log10(65025 / 6.25)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (255, 0), (3, 250), (0, 16)])
def test_differences_of_8_bit_levels_do_not_wrap_round(low: int, high: int) -> None:
    image, reference = np.full((20, 20, 3), low, np.uint8), np.full((20, 20, 3), high, np.uint8)
    assert mse(image, reference) == (high - low) ** 2
    assert psnr_db(image, reference) == pytest.approx(20 * math.log10(255 / abs(high - low)), abs=1e-12)


def test_a_long_sum_of_squares_stays_exact() -> None:
    image = np.full((2000, 3000), 255, np.uint8)
    reference = np.zeros_like(image)
    reference[0, 0] = 254
    assert mse(image, reference) == (5_999_999 * 65_025 + 1) / 6_000_000


def test_ssim_of_two_flat_pictures_is_the_luminance_term_alone() -> None:
    image, reference = np.full((16, 16), 100, np.uint8), np.full((16, 16), 120, np.uint8)
    c1 = 6.5025
    assert ssim_of(image, reference) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1), abs=1e-12)


def test_ssim_of_opposite_patterns_is_negative() -> None:
    board = np.indices((32, 32)).sum(axis=0) % 2 * 255
    assert (ssim_of(board.astype(np.uint8), (255 - board).astype(np.uint8)) or 0.0) < -0.9


@pytest.mark.parametrize("shape", [(11, 11), (37, 53), (37, 53, 3), (12, 1100), (700, 513, 3), (530, 1025)])
def test_all_metrics_agree_with_scikit_image(shape: tuple[int, ...]) -> None:
    image, reference = pair(*shape)
    expected = by_skimage(image, reference)
    assert mse(image, reference) == pytest.approx(expected["mse"], rel=1e-13)
    assert psnr_db(image, reference) == pytest.approx(expected["psnr_db"], abs=1e-12)
    assert ssim_of(image, reference) == pytest.approx(expected["ssim"], abs=1e-9)


def test_ssim_agrees_with_scikit_image_on_values_between_the_levels() -> None:
    image, reference = (pixels * 0.857 + 16.3 for pixels in pair(60, 70))
    assert ssim_of(image, reference) == pytest.approx(by_skimage(image, reference)["ssim"], abs=1e-9)


@pytest.mark.parametrize("strip_pixels", [1, 5_000, 1 << 30])
@pytest.mark.parametrize("block_samples", [1, 72, 300, 1 << 20])
def test_strips_and_blocks_do_not_change_a_value(monkeypatch: pytest.MonkeyPatch, strip_pixels: int, block_samples: int) -> None:
    image, reference = pair(70, 217, 3)
    expected = by_skimage(image, reference)
    monkeypatch.setattr(base, "STRIP_PIXELS", strip_pixels)
    monkeypatch.setattr(base, "MIN_STRIP_ROWS", 1)
    monkeypatch.setattr(structural, "BLOCK_SAMPLES", block_samples)
    assert ssim_of(image, reference) == pytest.approx(expected["ssim"], abs=1e-12)
    assert mse(image, reference) == pytest.approx(expected["mse"], rel=1e-13)
    together = score_all(image, reference)
    assert together == {"mse": mse(image, reference), "psnr_db": psnr_db(image, reference), "ssim": ssim_of(image, reference)}


def test_the_error_of_white_against_black_is_exact_however_large_they_are() -> None:
    black = np.zeros((700, 800, 3), np.uint8)
    assert mse(black, 255 - black) == 65025.0
    assert mse(black[::2, 3:-4, 1], 255 - black[::2, 3:-4, 1]) == 65025.0
    assert mse(black, 255.0 - black) == 65025.0


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are let alone")
def test_scoring_takes_no_new_memory_from_the_system_each_time() -> None:
    code = """
import resource, sys
import numpy as np
from metrics import score
reference = np.random.default_rng(0).integers(0, 256, (320, 480, 3), np.uint8)
image = reference[::-1].copy()
taken = []
for _ in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    score(image, reference, scale=4, stored_channels=3)
    taken.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(taken))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # The arrays of one scoring take up more than 3,000 pages.
    assert int(done.stdout) < 300


pictures_of_one_size = st.integers(1, 14).flatmap(
    lambda height: st.integers(1, 14).flatmap(lambda width: st.tuples(*[arrays(np.uint8, (height, width, 3))] * 2))
)


@settings(deadline=None, max_examples=60)
@given(pictures_of_one_size)
def test_metrics_do_not_depend_on_which_picture_comes_first(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    image, reference = pictures
    assert mse(image, reference) == mse(reference, image)
    assert ssim_of(image, reference) == pytest.approx(ssim_of(reference, image), abs=1e-12)
    assert mse(image, reference) == np.square(image.astype(float) - reference).mean()


@settings(deadline=None, max_examples=60)
@given(pictures_of_one_size, st.integers(1, 4), st.sampled_from([1, 3]))
def test_scores_of_any_pair_are_json_and_every_gap_has_a_reason(
    pictures: tuple[np.ndarray, np.ndarray], scale: int, stored_channels: int
) -> None:
    scores = score(*pictures, scale=scale, stored_channels=stored_channels)
    assert list(scores) == ["rgb", "y", "y-float"]
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    for values in scores.values():
        gap = values["mse"] is None or values["ssim"] is None or (values["psnr_db"] is None and not values["identical"])
        assert gap == (values["reason"] is not None)


def test_identical_pictures_have_no_psnr_and_say_so() -> None:
    image = picture(40, 40, 3)
    expected = {"mse": 0.0, "psnr_db": None, "ssim": 1.0, "identical": True, "reason": None}
    assert score(image, image.copy(), scale=2, stored_channels=3) == {"rgb": expected, "y": expected, "y-float": expected}


def test_pictures_that_differ_only_in_the_border_are_identical_in_luma_only() -> None:
    reference = picture(40, 40, 3)
    image = reference.copy()
    image[0] ^= 255
    scores = score(image, reference, scale=2, stored_channels=3)
    assert [values["identical"] for values in scores.values()] == [False, True, True]
    assert scores["rgb"]["psnr_db"] is not None


def test_a_picture_too_small_for_ssim_keeps_its_other_scores() -> None:
    image, reference = pair(18, 40, 3)
    scores = score(image, reference, scale=4, stored_channels=3)
    assert scores["rgb"]["ssim"] is not None
    assert scores["y"]["ssim"] is None
    assert scores["y"]["psnr_db"] is not None
    assert scores["y"]["reason"] == "Too small after the border cut of 4 pixels: SSIM needs 11."


@pytest.mark.parametrize("side", [7, 8])
def test_a_picture_that_is_all_border_has_no_luma_scores(side: int) -> None:
    image, reference = pair(side, 40, 3)
    scores = score(image, reference, scale=4, stored_channels=3)
    assert scores["y"] == {
        "mse": None,
        "psnr_db": None,
        "ssim": None,
        "identical": False,
        "reason": "Nothing is left after the border cut of 4 pixels.",
    }
    assert scores["rgb"]["mse"] is not None


@pytest.mark.parametrize(
    "image",
    [np.zeros((20, 20), np.uint8), np.zeros((20, 20, 4), np.uint8), np.zeros((20, 20, 3), np.float64), np.zeros((20, 20, 3), np.int64)],
)
def test_only_8_bit_rgb_is_scored(image: np.ndarray) -> None:
    good = np.zeros((20, 20, 3), np.uint8)
    for arguments in ((image, good), (good, image)):
        with pytest.raises(ImageError, match="8-bit RGB"):
            score(*arguments, scale=2, stored_channels=3)


def test_a_pair_of_two_sizes_is_not_scored() -> None:
    with pytest.raises(ImageError, match="20x30 with 3 channels and the original 21x30"):
        score(np.zeros((30, 20, 3), np.uint8), np.zeros((30, 21, 3), np.uint8), scale=2, stored_channels=3)


def test_scoring_needs_memory_for_strips_and_not_for_the_picture() -> None:
    image, reference = pair(1000, 3000, 3)
    two_luma_planes_mib = 2 * 1000 * 3000 * 8 / 2**20
    tracemalloc.start()
    score(image, reference, scale=4, stored_channels=3)
    peak_mib = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert 1 < peak_mib < two_luma_planes_mib
