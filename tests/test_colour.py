"""CIEDE2000 and what it is computed from; the oracles are the published pairs, published colours, and scikit-image."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import ImageError
from metrics import base, colour, colour_shift
from metrics.colour import ciede2000, srgb_to_lab
from tests.pictures import noise, scene

SHARMA_2005 = (
    # Table 1: L*, a*, b* of two colours, and their difference.
    (50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425),
    (50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615),
    (50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412),
    (50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669),
    (50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461),
    (50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065),
    (50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492),
    (50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977),
    (50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030),
    (50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
    (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
    (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
    (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
    (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
    (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
)


def test_the_published_pairs_have_their_published_differences_either_way_round() -> None:
    table = np.array(SHARMA_2005)
    assert len(table) == 34
    for first, second in ((table[:, :3], table[:, 3:6]), (table[:, 3:6], table[:, :3])):
        np.testing.assert_allclose(ciede2000(first, second), table[:, 6], atol=0.5e-4 + 1e-9)


def test_differences_of_random_colours_are_those_of_scikit_image() -> None:
    from skimage.color import deltaE_ciede2000

    rng = np.random.default_rng(0)
    first, second = (rng.uniform((0, -110, -110), (100, 110, 110), (20_000, 3)) for _ in range(2))
    near = first + rng.normal(0, 2, first.shape)
    for other in (second, near):
        np.testing.assert_allclose(ciede2000(first, other), deltaE_ciede2000(first, other), atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(arrays(np.float64, (5, 3), elements=st.floats(-120, 120)), arrays(np.float64, (5, 3), elements=st.floats(-120, 120)))
def test_a_difference_is_never_negative_and_nothing_for_equal_colours(first: np.ndarray, second: np.ndarray) -> None:
    assert (ciede2000(first, second) >= 0).all()
    assert (ciede2000(first, first.copy()) == 0).all()


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        # Published for sRGB primaries, https://en.wikipedia.org/wiki/CIELAB_color_space and Lindbloom's calculator, D65.
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.74, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_colours_have_their_published_lab_values(rgb: tuple[int, ...], lab: tuple[float, ...]) -> None:
    np.testing.assert_allclose(srgb_to_lab(np.array(rgb, np.uint8)), lab, atol=0.03)
    np.testing.assert_allclose(srgb_to_lab(np.array(rgb, np.float64)), srgb_to_lab(np.array(rgb, np.uint8)), atol=1e-9)


def test_greys_have_no_colour() -> None:
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    assert np.abs(srgb_to_lab(greys)[:, 1:]).max() < 1e-10


def test_two_greys_differ_by_their_lightness_alone() -> None:
    # By hand: Y of level 120 is 0.18782, of 130 0.22323; L* = 116 Y^(1/3) - 16; S_L = 1 + 0.015 (L - 50)² / sqrt(20 + (L - 50)²).
    first, second = 116 * 0.1878207723 ** (1 / 3) - 16, 116 * 0.2232279573 ** (1 / 3) - 16
    from_middle = ((first + second) / 2 - 50) ** 2
    expected = (second - first) / (1 + 0.015 * from_middle / (20 + from_middle) ** 0.5)
    dark, light = (np.full((5, 7, 3), level, np.uint8) for level in (120, 130))
    assert colour_shift(dark, light) == pytest.approx(expected, abs=1e-6)
    assert colour_shift(dark[..., 0], light[..., 0]) == pytest.approx(expected, abs=1e-6)


def test_a_shift_of_pictures_is_that_of_scikit_image_but_for_its_white() -> None:
    from skimage.color import deltaE_ciede2000, rgb2lab

    for image, reference in (
        (noise(90, 70), noise(90, 70, 1)),
        (scene(90, 70), scene(90, 70)[:, ::-1]),
        (scene(90, 70) // 2, scene(90, 70)),
    ):
        expected = deltaE_ciede2000(rgb2lab(reference), rgb2lab(image)).mean()
        # Its matrix has more digits than the standard's, and a white that is not their sum.
        assert colour_shift(np.ascontiguousarray(image), np.ascontiguousarray(reference)) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("strip_pixels", [1, 500, 1 << 30])
def test_strips_do_not_change_the_shift(monkeypatch: pytest.MonkeyPatch, strip_pixels: int) -> None:
    image, reference = noise(61, 43), noise(61, 43, 1)
    expected = ciede2000(srgb_to_lab(image), srgb_to_lab(reference)).mean()
    monkeypatch.setattr(colour, "STRIP_PIXELS", strip_pixels)
    monkeypatch.setattr(base, "MIN_STRIP_ROWS", 1)
    assert colour_shift(image, reference) == pytest.approx(expected, abs=1e-12)


def test_a_large_picture_needs_no_more_memory_than_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colour, "STRIP_PIXELS", 1 << 13)
    peaks_mib = []
    for height in (256, 1024):
        image, reference = noise(1024, height), noise(1024, height, 1)
        tracemalloc.start()
        colour_shift(image, reference)
        peaks_mib.append(tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
    assert peaks_mib[1] < 1.5 * peaks_mib[0] + 1


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_what_is_neither_colour_nor_grey_has_no_shift(channels: int) -> None:
    with pytest.raises(ImageError, match=f"RGB or grey; the picture is 8x6 with {channels} channel"):
        colour_shift(np.zeros((6, 8, channels), np.uint8), np.zeros((6, 8, channels), np.uint8))
