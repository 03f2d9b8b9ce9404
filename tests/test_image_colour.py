"""Colour: profiles, CMYK, CIELAB, YCbCr and gamma, against the formulas of their standards."""

import io
import struct

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from core.image import decode
from tests import awkward_images as make


def adobe_to_srgb(samples: NDArray) -> NDArray:
    linear = (samples / 255) ** make.ADOBE_GAMMA @ make.ADOBE_RGB_TO_XYZ.T @ np.linalg.inv(make.SRGB_TO_XYZ).T
    return make.srgb_encoded(linear) * 255


def test_adobe_rgb_is_converted_by_its_profile() -> None:
    samples = make.photo()
    for data in (
        make.png(samples, make.RGB, make.embedded_profile(make.adobe_rgb_profile())),
        make.saved(samples, "TIFF", icc_profile=make.adobe_rgb_profile()),
        make.saved(samples, "WebP", lossless=True, icc_profile=make.adobe_rgb_profile()),
    ):
        picture = decode(data)
        assert np.abs(picture.rgb - adobe_to_srgb(samples)).max() < 2
        assert np.abs(picture.rgb.astype(int) - samples).mean() > 3
        assert picture.notes == ("Converted from the profile Adobe RGB (1998) to sRGB.",)


def test_the_profile_of_a_jpeg_is_used() -> None:
    picture = decode(make.saved(make.photo(), "JPEG", icc_profile=make.adobe_rgb_profile()))
    plain = decode(make.saved(make.photo(), "JPEG"))
    assert np.abs(picture.rgb - adobe_to_srgb(plain.rgb)).max() < 2


def test_a_profile_leaves_alpha_alone() -> None:
    rgba = make.noise(6, 7, 4)
    picture = decode(make.png(rgba, make.RGBA, make.embedded_profile(make.adobe_rgb_profile())))
    np.testing.assert_array_equal(picture.alpha, rgba[..., 3])
    assert np.abs(picture.rgb - adobe_to_srgb(rgba[..., :3])).max() < 2


@pytest.mark.parametrize("profile", ["table", "renamed", "littlecms"])
def test_an_srgb_profile_changes_no_pixel_whatever_its_name(profile: str) -> None:
    littlecms = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    embedded = {"table": make.srgb_profile(), "renamed": make.srgb_profile("Camera"), "littlecms": littlecms}[profile]
    for samples, colour in ((make.noise(20, 20), make.RGB), (make.noise(20, 20, 1), make.GREY)):
        picture = decode(make.png(samples, colour, make.embedded_profile(embedded)))
        np.testing.assert_array_equal(picture.rgb[..., 0], samples if colour == make.GREY else samples[..., 0])
        assert picture.notes == ()


def test_a_linear_profile_is_converted_although_it_is_called_srgb() -> None:
    samples = make.noise(20, 20)
    picture = decode(make.png(samples, make.RGB, make.embedded_profile(make.linear_srgb_profile())))
    assert np.abs(picture.rgb - make.srgb_encoded(samples / 255) * 255).max() < 2
    assert picture.notes == ("Converted from the profile sRGB linear to sRGB.",)


@pytest.mark.parametrize("gamma", [1.0, 1.75])
def test_a_grey_profile_keeps_grey_one_channel(gamma: float) -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    picture = decode(make.png(ramp, make.GREY, make.embedded_profile(make.grey_profile(gamma))))
    assert np.abs(picture.rgb[..., 0] - make.srgb_encoded((ramp / 255) ** gamma) * 255).max() < 2
    assert (picture.rgb == picture.rgb[..., :1]).all()
    assert picture.stored_channels == 1


@pytest.mark.parametrize(
    ("profile", "why"),
    [
        (b"garbage" * 20, "is damaged and was ignored"),
        (make.lab_profile(), "profile Lab does not fit"),
        (make.grey_profile(2.2), "profile Grey 2.2 does not fit"),
        (make.adobe_rgb_profile()[:300], "is damaged and was ignored"),
    ],
)
def test_a_profile_that_cannot_be_used_is_dropped_with_a_note(profile: bytes, why: str) -> None:
    samples = make.noise(5, 5)
    picture = decode(make.png(samples, make.RGB, make.embedded_profile(profile)))
    np.testing.assert_array_equal(picture.rgb, samples)
    assert len(picture.notes) == 1
    assert why in picture.notes[0]


def test_a_profile_that_cannot_be_inflated_is_dropped_with_a_note() -> None:
    samples = make.noise(5, 5)
    picture = decode(make.png(samples, make.RGB, make.embedded_profile(b"no zlib stream", inflated=False)))
    np.testing.assert_array_equal(picture.rgb, samples)
    assert picture.notes == ("The colour profile is damaged and was ignored.",)


def test_an_evil_profile_name_stays_on_one_harmless_line() -> None:
    profile = make.adobe_rgb_profile().replace(b"Adobe RGB (1998)", b"a\n\x1b[31mb\r\x07" + b"c" * 6)
    notes = decode(make.png(make.photo(), make.RGB, make.embedded_profile(profile))).notes
    assert len(notes) == 1
    assert notes[0].isprintable()


def cmyk_image(samples: NDArray) -> Image.Image:
    return Image.frombytes("CMYK", samples.shape[1::-1], samples.tobytes())


def test_cmyk_without_a_profile_is_converted_naively_and_says_so() -> None:
    samples = make.noise(6, 8, 4)
    buffer = io.BytesIO()
    cmyk_image(samples).save(buffer, "TIFF")
    picture = decode(buffer.getvalue())
    ink = samples.astype(float) / 255
    naive = 255 * (1 - ink[..., :3]) * (1 - ink[..., 3:])
    assert np.abs(picture.rgb - naive).max() <= 1
    assert picture.notes == ("Converted from CMYK without a colour profile; colours are approximate.",)


@pytest.mark.parametrize("container", ["TIFF", "JPEG"])
def test_cmyk_is_converted_by_its_profile(container: str) -> None:
    # A press on which every ink prints the same grey: 25 L* less for each, and no hue. The naive conversion would give colours.
    inks = np.indices((2, 2, 2, 2)).sum(axis=0)
    lab = np.stack([100 - 25.0 * inks, np.zeros_like(inks), np.zeros_like(inks)], axis=-1)
    samples = np.zeros((8, 40, 4), np.uint8)
    for count in range(5):
        samples[:, 8 * count : 8 * count + 8, :count] = 255
    buffer = io.BytesIO()
    cmyk_image(samples).save(buffer, container, icc_profile=make.cmyk_profile(lab), **({"quality": 100} if container == "JPEG" else {}))

    picture = decode(buffer.getvalue())

    lightness = 100 - 25.0 * np.arange(5)
    luminance = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    expected = make.srgb_encoded(luminance) * 255
    assert np.abs(picture.rgb[4, 4::8].astype(float) - expected[:, None]).max() <= 3
    assert picture.notes == ("Converted from the profile Test press to sRGB.",)


def test_cielab_is_converted() -> None:
    # L* 0..100 as 0..255; a* and b* signed. Neutral: the luminance formula of CIE 15. One saturated colour: not grey.
    samples = np.zeros((2, 5, 3), np.uint8)
    samples[0, :, 0] = [0, 64, 128, 192, 255]
    samples[1] = [136, 80, 67]
    picture = decode(make.tiff(samples, 8))
    lightness = samples[0, :, 0] / 2.55
    luminance = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    assert np.abs(picture.rgb[0] - make.srgb_encoded(luminance)[:, None] * 255).max() <= 3
    assert picture.rgb[1, 0, 0] > 240
    assert picture.rgb[1, 0, 2] < 30
    assert picture.notes == ("Converted from CIELAB to sRGB.",)


def test_ycbcr_tiff_is_converted() -> None:
    samples = np.array([[[128, 128, 128], [76, 85, 255], [255, 128, 128]]], np.uint8)
    picture = decode(make.tiff(samples, 6))
    assert np.abs(picture.rgb.astype(int) - [[[128] * 3, [254, 0, 0], [255] * 3]]).max() <= 2
    assert picture.notes == ("Converted from YCbCr to RGB.",)


@pytest.mark.parametrize(
    ("before", "noted"),
    [
        (make.chunk(b"gAMA", struct.pack(">I", 100_000)), True),
        (make.chunk(b"gAMA", struct.pack(">I", 55_556)), True),
        (make.chunk(b"gAMA", struct.pack(">I", 45_455)), False),
        (make.chunk(b"gAMA", struct.pack(">I", 100_000)) + make.chunk(b"sRGB", b"\0"), False),
        (make.chunk(b"tEXt", b"gamma\0not a number"), False),
    ],
)
def test_a_foreign_gamma_is_ignored_with_a_note(before: bytes, noted: bool) -> None:
    samples = make.noise(5, 5)
    picture = decode(make.png(samples, make.RGB, before))
    np.testing.assert_array_equal(picture.rgb, samples)
    assert any("gamma" in note for note in picture.notes) == noted
