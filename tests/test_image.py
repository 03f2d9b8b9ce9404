"""Pictures of every depth, mode and orientation: what `core.image` must make of them, by oracles that do not use it."""

import hashlib
import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from core.image import decode
from tests import awkward_images as make

# Row 0, column 0 of the picture, after turning it upright (EXIF 2.3, 4.6.4: the visual position of the stored first row and column).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.swapaxes(a[::-1, ::-1], 0, 1),
    8: lambda a: np.rot90(a, 1),
    9: lambda a: a,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("container", ["PNG", "WebP", "TIFF"])
def test_an_exif_rotated_photo_is_turned_upright(container: str, orientation: int) -> None:
    stored = make.photo(4, 6)
    if container == "TIFF":
        data = make.tiff(stored, 2, {274: (3, (orientation,))})
    else:
        data = make.saved(stored, container, exif=make.exif(orientation), **({"lossless": True} if container == "WebP" else {}))

    picture = decode(data)

    np.testing.assert_array_equal(picture.rgb, UPRIGHT[orientation](stored))
    assert picture.rgb.flags.c_contiguous
    assert (picture.width, picture.height) == UPRIGHT[orientation](stored).shape[1::-1]
    assert any("by EXIF" in note for note in picture.notes) == (2 <= orientation <= 8)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_jpeg_and_its_alpha_less_pixels_turn_alike(orientation: int) -> None:
    plain = make.saved(make.photo(), "JPEG")
    turned = make.saved(make.photo(), "JPEG", exif=make.exif(orientation))
    np.testing.assert_array_equal(decode(turned).rgb, UPRIGHT[orientation](decode(plain).rgb))


def test_alpha_turns_with_the_colours() -> None:
    rgba = make.noise(3, 5, 4)
    picture = decode(make.saved(rgba, "PNG", exif=make.exif(6)))
    np.testing.assert_array_equal(picture.rgb, np.rot90(rgba[..., :3], -1))
    np.testing.assert_array_equal(picture.alpha, np.rot90(rgba[..., 3], -1))


def test_exif_behind_the_pixels_of_a_png_counts() -> None:
    stored = make.photo(4, 6)
    data = make.png(stored, make.RGB, after=make.chunk(b"eXIf", make.exif(8)[6:]))
    np.testing.assert_array_equal(decode(data).rgb, np.rot90(stored, 1))


@pytest.mark.parametrize("container", ["PNG", "TIFF", "BMP", "WebP"])
def test_lossless_files_give_their_pixels_without_a_note(container: str) -> None:
    samples = make.noise(9, 13)
    picture = decode(make.saved(samples, container, **({"lossless": True} if container == "WebP" else {})), name=f"a.{container.lower()}")
    np.testing.assert_array_equal(picture.rgb, samples)
    assert (picture.alpha, picture.stored_channels, picture.notes) == (None, 3, ())


def test_the_hash_is_that_of_the_file() -> None:
    data = make.saved(make.photo(), "JPEG")
    assert decode(data).sha256 == hashlib.sha256(data).hexdigest()


def test_a_picture_can_be_handed_to_torch_without_a_warning() -> None:
    for samples in (make.noise(4, 4), make.noise(4, 4, 1)):
        rgb = decode(make.saved(samples, "PNG")).rgb
        assert rgb.flags.writeable
        assert rgb.flags.c_contiguous
        assert rgb.dtype == np.uint8


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_below_8_bit_is_stretched_to_the_full_range(depth: int) -> None:
    samples = make.noise(5, 7, 1) >> (8 - depth)
    picture = decode(make.png(samples, make.GREY, depth=depth))
    np.testing.assert_array_equal(picture.rgb[..., 1], samples * (255 // (2**depth - 1)))
    assert picture.stored_channels == 1


def grey_16_files() -> dict[str, tuple[bytes, NDArray]]:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    ramp_12 = ramp.ravel()[:4096].reshape(64, 64)
    return {
        "png": (make.png(ramp, make.GREY), ramp / 65535),
        "tiff little-endian": (make.tiff(ramp, 1), ramp / 65535),
        "tiff big-endian": (make.tiff(ramp.astype(">u2"), 1, order=">"), ramp / 65535),
        "tiff deflate": (make.saved(ramp, "TIFF", compression="tiff_adobe_deflate"), ramp / 65535),
        "tiff white is zero": (make.tiff(ramp, 0), 1 - ramp / 65535),
        "tiff 12 bit": (make.tiff(ramp_12, 1, depth=12), ramp_12 / 4095),
    }


@pytest.mark.parametrize("which", grey_16_files())
def test_grey_16_bit_is_scaled_and_not_clipped(which: str) -> None:
    data, fraction = grey_16_files()[which]
    picture = decode(data)
    np.testing.assert_array_equal(picture.rgb, np.repeat(np.floor(fraction * 255 + 0.5)[..., None], 3, axis=2))
    assert picture.stored_channels == 1
    assert picture.notes == (f"Reduced from {12 if '12' in which else 16} to 8 bit.",)


@pytest.mark.parametrize(
    ("container", "colour", "bands"),
    [("png", make.RGB, 3), ("png", make.RGBA, 4), ("png", make.GREY_ALPHA, 2), ("tiff", make.RGB, 3), ("tiff", make.RGBA, 4)],
)
def test_colour_16_bit_is_reduced_with_a_note(container: str, colour: int, bands: int) -> None:
    samples = make.noise(6, 8, bands, "uint16")
    data = make.png(samples, colour) if container == "png" else make.tiff(samples, 2, {338: (3, (2,))} if bands == 4 else {})
    picture = decode(data)
    high = (samples >> 8).astype(np.uint8)
    np.testing.assert_array_equal(picture.rgb, np.repeat(high[..., :1], 3, axis=2) if bands == 2 else high[..., :3])
    if bands != 3:
        np.testing.assert_array_equal(picture.alpha, high[..., -1])
    assert picture.notes == ("Reduced from 16 to 8 bit.",)


def test_grey_is_repeated_and_known_as_one_channel() -> None:
    samples = make.noise(5, 6, 1)
    for data in (make.saved(samples, "PNG"), make.saved(samples, "TIFF"), make.saved(samples, "BMP")):
        picture = decode(data)
        np.testing.assert_array_equal(picture.rgb, np.stack([samples] * 3, axis=-1))
        assert picture.stored_channels == 1
    assert decode(make.saved(samples, "JPEG")).stored_channels == 1
    assert decode(make.saved(np.stack([samples] * 3, axis=-1), "PNG")).stored_channels == 3


@pytest.mark.parametrize("transparent", [b"", b"\0", bytes([9, 255, 0, 77])])
def test_a_palette_gives_its_colours_and_alpha(transparent: bytes) -> None:
    colours = make.noise(1, 16, seed=3)[0]
    indices = make.noise(6, 5, 1) % 16
    before = make.chunk(b"PLTE", colours.tobytes()) + (make.chunk(b"tRNS", transparent) if transparent else b"")
    picture = decode(make.png(indices, make.PALETTE, before))
    np.testing.assert_array_equal(picture.rgb, colours[indices])
    alphas = np.frombuffer(transparent.ljust(16, b"\xff"), np.uint8)
    if transparent:
        np.testing.assert_array_equal(picture.alpha, alphas[indices])
    else:
        assert picture.alpha is None
    assert picture.stored_channels == 3


def test_alpha_is_kept_aside_with_the_colours_it_hides() -> None:
    rgba = make.noise(6, 7, 4)
    rgba[:3, ..., 3] = 0
    for data in (make.png(rgba, make.RGBA), make.saved(rgba, "TIFF"), make.saved(rgba, "WebP", lossless=True, exact=True)):
        picture = decode(data)
        np.testing.assert_array_equal(picture.rgb, rgba[..., :3])
        np.testing.assert_array_equal(picture.alpha, rgba[..., 3])


def test_grey_with_alpha_stores_two_channels() -> None:
    samples = make.noise(6, 7, 2)
    picture = decode(make.png(samples, make.GREY_ALPHA))
    np.testing.assert_array_equal(picture.rgb, np.repeat(samples[..., :1], 3, axis=2))
    np.testing.assert_array_equal(picture.alpha, samples[..., 1])
    assert picture.stored_channels == 3


def test_alpha_that_hides_nothing_is_no_alpha() -> None:
    rgba = make.noise(3, 3, 4)
    rgba[..., 3] = 255
    assert decode(make.png(rgba, make.RGBA)).alpha is None
    rgba[0, 0, 3] = 254
    assert decode(make.png(rgba, make.RGBA)).alpha is not None


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_one_transparent_grey_is_found_at_every_depth(depth: int) -> None:
    key = 2**depth * 2 // 3
    samples = np.arange(min(2**depth, 4096)).astype("uint16" if depth == 16 else "uint8")[None] + (40_000 if depth == 16 else 0)
    picture = decode(make.png(samples.astype(samples.dtype), make.GREY, make.chunk(b"tRNS", struct.pack(">H", key)), depth=depth))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, np.where(samples == key, 0, 255))
    assert (picture.alpha == 0).sum() == 1


def test_one_transparent_colour_matches_in_all_channels() -> None:
    samples = make.noise(8, 8) % 2
    picture = decode(make.png(samples, make.RGB, make.chunk(b"tRNS", struct.pack(">3H", 1, 0, 1))))
    np.testing.assert_array_equal(picture.alpha, np.where((samples == [1, 0, 1]).all(axis=2), 0, 255))
    np.testing.assert_array_equal(picture.rgb, samples)


def test_a_premultiplied_tiff_gets_its_colours_back() -> None:
    samples = np.array([[[100, 50, 25, 128], [255, 0, 10, 255]]], np.uint8)
    picture = decode(make.tiff(samples, 2, {338: (3, (1,))}))
    expected = np.clip(np.round(samples[..., :3].astype(float) * 255 / samples[..., 3:]), 0, 255)
    assert np.abs(picture.rgb - expected).max() <= 1
    np.testing.assert_array_equal(picture.alpha, samples[..., 3])
