"""Cropping and downscaling; the oracles are worked out by hand, the libraries themselves, and MATLAB's pictures in the data sets."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.degradation import DOWNSCALERS, DownscaleMethod, crop_to_multiple, downscale
from core.errors import ImageError, UnknownIdError

each_method = pytest.mark.parametrize("method", list(DOWNSCALERS), ids=DOWNSCALERS.ids())


def picture(height: int, width: int, *channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, *channels)).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "scale", "cropped"), [((13, 17), 4, (12, 16)), ((12, 16), 4, (12, 16)), ((5, 7), 3, (3, 6)), ((4, 4), 4, (4, 4))]
)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_the_crop_takes_from_the_right_and_the_bottom(
    size: tuple[int, int], scale: int, cropped: tuple[int, int], channels: tuple[int, ...]
) -> None:
    original = picture(*size, *channels)
    before = original.copy()
    original.flags.writeable = False
    result = crop_to_multiple(original, scale)
    np.testing.assert_array_equal(result, before[: cropped[0], : cropped[1]])
    assert result.flags.c_contiguous


@pytest.mark.parametrize("size", [(3, 40), (40, 3), (1, 1)])
def test_a_side_shorter_than_the_scale_is_refused_in_one_line(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError) as error:
        crop_to_multiple(picture(*size, 3), 4)
    assert f"{size[1]}x{size[0]}" in str(error.value)
    assert "x4" in str(error.value)
    assert "\n" not in str(error.value)


@each_method
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_every_method_gives_a_new_8_bit_picture_of_the_right_size(method: DownscaleMethod, scale: int, channels: tuple[int, ...]) -> None:
    original = picture(48, 24, *channels)
    before = original.copy()
    original.flags.writeable = False
    small = downscale(original, scale, method.id)
    assert small.shape == (48 // scale, 24 // scale, *channels)
    assert small.dtype == np.uint8
    assert small.flags.c_contiguous
    assert small.flags.writeable
    assert not np.shares_memory(small, original)
    np.testing.assert_array_equal(original, before)


@each_method
def test_every_method_keeps_a_flat_colour(method: DownscaleMethod) -> None:
    flat = np.broadcast_to(np.array([7, 130, 251], np.uint8), (24, 36, 3)).copy()
    assert (downscale(flat, 4, method.id) == [7, 130, 251]).all()


@each_method
def test_the_channels_do_not_mix_and_a_plane_is_treated_like_a_channel(method: DownscaleMethod) -> None:
    original = picture(24, 36, 3)
    small = downscale(original, 3, method.id)
    for channel in range(3):
        np.testing.assert_array_equal(small[..., channel], downscale(np.ascontiguousarray(original[..., channel]), 3, method.id))


@each_method
def test_a_method_names_its_library_and_version(method: DownscaleMethod) -> None:
    import cv2

    library, version = method.library_version().split(" ")
    assert (library, version) == (("OpenCV", cv2.__version__) if method.id.startswith("opencv-") else ("Pillow", Image.__version__))
    assert method.label
    assert method.description.endswith(".")


def test_area_is_the_mean_of_each_block() -> None:
    original = picture(12, 20, 3)
    blocks = original.reshape(3, 4, 5, 4, 3).astype(float).mean(axis=(1, 3))
    # Pillow rounds twice, once per direction.
    assert np.abs(downscale(original, 4, "area") - blocks).max() <= 1


def test_nearest_takes_a_pixel_of_each_block() -> None:
    original = picture(12, 20)
    blocks = original.reshape(3, 4, 5, 4).transpose(0, 2, 1, 3).reshape(3, 5, 16)
    assert (downscale(original, 4, "nearest")[..., None] == blocks).any(axis=2).all()


@pytest.mark.parametrize(
    ("method", "antialiased"), [(spec.id, not spec.id.startswith("opencv-") and spec.id != "nearest") for spec in DOWNSCALERS]
)
def test_only_methods_with_antialiasing_turn_fine_stripes_into_grey(method: str, antialiased: bool) -> None:
    # Of eight columns two are white: a window that covers all of them sees 64, one that covers a few sees something else.
    stripes = np.tile(np.array([0, 0, 0, 255, 255, 0, 0, 0], np.uint8), (64, 8))
    inner = downscale(stripes, 8, method)[2:-2, 2:-2].astype(int)
    assert (np.abs(inner - 64).max() < 60) == antialiased


def test_opencv_methods_are_those_of_its_resize() -> None:
    import cv2

    original = picture(24, 36, 3)
    for method, flag in (("opencv-cubic", cv2.INTER_CUBIC), ("opencv-linear", cv2.INTER_LINEAR)):
        np.testing.assert_array_equal(downscale(original, 4, method), cv2.resize(original, (9, 6), interpolation=flag))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_is_matlabs_imresize_to_within_rounding(published_sets: Path, scale: int) -> None:
    folder = published_sets / "Set5" / f"x{scale}"
    names = sorted(path.name for path in (folder / "HR").glob("*.png"))
    assert len(names) == 5
    for name in names:
        small = downscale(np.array(Image.open(folder / "HR" / name).convert("RGB")), scale).astype(int)
        given = np.array(Image.open(folder / "LR" / name).convert("RGB")).astype(int)
        assert small.shape == given.shape
        difference = np.abs(small - given)
        # Pillow also rounds and clips between its two passes: that shows at a few sharp edges.
        assert difference.mean() < 0.25
        assert (difference > 1).mean() < 0.015


def test_a_size_that_the_scale_does_not_divide_is_refused() -> None:
    with pytest.raises(ImageError, match="13x12 pixels, which x4 does not divide"):
        downscale(picture(12, 13, 3), 4)


def test_a_misspelt_method_gets_a_suggestion() -> None:
    with pytest.raises(UnknownIdError, match="bicubic"):
        downscale(picture(12, 12, 3), 4, "bicubik")
