"""Damaged and hostile files: refused in one line for people, quickly; the awkward ones accepted with a note."""

import re
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import ImageError
from core.image import Picture, decode, decode_file
from tests import awkward_images as make

EMPTY = r"File is empty\."
TYPE = r"Not a supported image \(PNG, JPEG, WebP, TIFF, BMP\)\."
DAMAGED = r"Image is damaged or incomplete\."
BIG = r"\d+.\d+ is [\d.]+ MP; limit is 25 MP\. Shrink or crop the picture\."
META = r"Image metadata is too large\."
FLOAT = r"Float images are not supported\. .*"

# What becomes of every file in bad_inputs/images: the message, or size, stored channels, alpha or not, and the only note.
REFUSED = {
    "badcrc.png": DAMAGED,
    "big_10000_1bit.png": BIG,
    "bomb_30000_1bit.png": BIG,
    "empty.png": EMPTY,
    "eps.png": TYPE,
    "f32.tif": FLOAT,
    "frames3000.gif": TYPE,
    "iccp_2g.png": META,
    "lie_10000.png": BIG,
    "one_byte.png": TYPE,
    "svg.png": TYPE,
    "text.png": TYPE,
    "trunc.png": DAMAGED,
    "trunc_half.jpg": DAMAGED,
    "trunc_noEOI.jpg": DAMAGED,
}
ACCEPTED = {
    "1bit.png": (48, 32, 1, False, "Expanded from 1 to 8 bit."),
    "1x1.png": (1, 1, 3, False, ""),
    "1x5000.png": (1, 5000, 3, False, ""),
    "anim.webp": (16, 16, 3, False, "1 of 3 frames used."),
    "anim_apng.png": (16, 16, 3, False, "1 of 3 frames used."),
    "cmyk.jpg": (96, 64, 3, False, "Converted from CMYK without a colour profile; colours are approximate."),
    "exif6.jpg": (64, 96, 3, False, "Rotated by EXIF."),
    "gama_1.0.png": (48, 32, 3, False, "The file's gamma of 1 was ignored."),
    "gps.jpg": (48, 32, 3, False, ""),
    "i16.png": (48, 32, 1, False, "Reduced from 16 to 8 bit."),
    "icc_adobe.png": (48, 32, 3, False, "Converted from the profile A98C to sRGB."),
    "icc_garbage.png": (48, 32, 3, False, "The colour profile is damaged and was ignored."),
    "jpeg_named.png": (96, 64, 3, False, "The file is a JPEG although its name ends in .png."),
    "l.png": (48, 32, 1, False, ""),
    "la.png": (48, 32, 3, True, ""),
    "multi.tif": (16, 16, 3, False, "1 of 3 frames used."),
    "p_trns.png": (48, 32, 3, True, "Expanded from a palette."),
    "poly_html.jpg": (96, 64, 3, False, ""),
    "rgb16.png": (48, 32, 3, False, "Reduced from 16 to 8 bit."),
    "rgb_trns.png": (48, 32, 3, True, ""),
    "rgba.png": (48, 32, 3, True, ""),
}


def refusal(data: bytes) -> str:
    """The message with which `data` is refused."""
    with pytest.raises(ImageError) as caught:
        decode(data, name="upload.png")
    return str(caught.value)


def outcome(data: bytes) -> Picture | str:
    """The picture, or the message with which `data` is refused."""
    try:
        return decode(data)
    except ImageError as error:
        return str(error)


@pytest.mark.parametrize("name", REFUSED)
def test_bad_files_are_refused_in_one_line(name: str, bad_inputs: Path) -> None:
    with pytest.raises(ImageError) as caught:
        decode_file(bad_inputs / "images" / name)
    assert re.fullmatch(REFUSED[name], str(caught.value))


@pytest.mark.parametrize("name", ACCEPTED)
def test_awkward_files_are_accepted_and_say_what_was_done(name: str, bad_inputs: Path) -> None:
    picture = decode_file(bad_inputs / "images" / name)
    note = " ".join(picture.notes)
    assert (picture.width, picture.height, picture.stored_channels, picture.alpha is not None, note) == ACCEPTED[name]


def test_the_table_names_every_file(bad_inputs: Path) -> None:
    assert {path.name for path in (bad_inputs / "images").iterdir()} == REFUSED.keys() | ACCEPTED.keys()


def jpeg() -> bytes:
    return make.saved(make.photo(), "JPEG")


def png() -> bytes:
    return make.png(make.photo(), make.RGB)


def jpeg_of_65000() -> bytes:
    data = bytearray(jpeg())
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 65000, 65000)
    return bytes(data)


def webp_of(width: int, height: int) -> bytes:
    """An extended WebP of one small frame that claims a canvas."""
    frame = make.saved(make.photo(16, 16), "WebP", lossless=True)[12:]
    canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def corrupt_webp() -> bytes:
    """A lossless WebP whose header is whole and whose pixels are not."""
    data = make.saved(make.noise(16, 16), "WebP", lossless=True)
    return data[:200] + bytes(len(data) - 200)


def bmp_of(width: int, height: int) -> bytes:
    data = bytearray(make.saved(make.photo(4, 4), "BMP"))
    struct.pack_into("<II", data, 18, width, height)
    return bytes(data)


def text_bomb() -> bytes:
    return make.compressed_text(make.deflated_zeros(2 * make.GIB))


MANY_SCANS = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00" * 300

# By the row of the catalogue where it has one.
MADE: dict[str, tuple[Callable[[], bytes], str]] = {
    "2 signature of PNG": (lambda: make.PNG_SIGNATURE, TYPE + ".*"),
    "2 signature of JPEG": (lambda: b"\xff\xd8\xff", TYPE + ".*"),
    "2 signature of WebP": (lambda: b"RIFF\0\0\0\0WEBPVP8 ", DAMAGED),
    "2 signature of TIFF": (lambda: b"II\x2a\0", TYPE + ".*"),
    "2 signature of BMP": (lambda: b"BM", TYPE + ".*"),
    "3 text like a BMP": (lambda: b"BMW is a maker of cars and motorcycles.", TYPE + ".*"),
    "6 PDF": (lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", TYPE),
    "6 XPM": (lambda: b'/* XPM */\nstatic char *x[] = {"1 1 1 1"};', TYPE),
    "8 HEIC": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", TYPE),
    "9 AVIF": (lambda: make.saved(make.photo(16, 16), "AVIF"), TYPE),
    "10 TGA": (lambda: make.saved(make.photo(), "TGA"), TYPE),
    "10 ICO": (lambda: make.saved(make.photo(), "ICO"), TYPE),
    "10 JPEG 2000": (lambda: make.saved(make.photo(), "JPEG2000"), TYPE),
    "10 PPM": (lambda: make.saved(make.photo(), "PPM"), TYPE),
    "12 PNG of 100 MP": (lambda: make.png_header(10_000, 10_000) + make.chunk(b"IDAT", zlib.compress(b"")), BIG),
    "12 BMP of 100 MP": (lambda: bmp_of(10_000, 10_000), BIG),
    "12 TIFF of 100 MP": (lambda: make.tiff(make.photo(2, 2), 2, {256: (4, (10_000,)), 257: (4, (10_000,))}), BIG),
    "12 WebP of 100 MP": (lambda: webp_of(10_000, 10_000), BIG),
    "12 WebP of 268 MP": (lambda: webp_of(16_384, 16_384), BIG),
    "13 JPEG of 65000": (jpeg_of_65000, BIG),
    "13 GIF of 65000": (lambda: b"GIF89a" + struct.pack("<HHBBB", 65000, 65000, 0, 0, 0) + b";", TYPE),
    "14 a lie within the limit": (lambda: make.png_header(5000, 4999) + make.chunk(b"IDAT", zlib.compress(b"")), DAMAGED),
    "15 PNG of width 0": (lambda: make.png_header(0, 5) + make.chunk(b"IDAT", zlib.compress(b"")), TYPE + ".*"),
    "16 half a JPEG": (lambda: jpeg()[: len(jpeg()) // 2], DAMAGED),
    "17 JPEG without its end": (lambda: jpeg()[:-2], DAMAGED),
    "19 half a PNG": (lambda: png()[: len(png()) // 2], DAMAGED),
    "19 half a WebP": (lambda: make.saved(make.photo(), "WebP")[:100], DAMAGED),
    "19 WebP with corrupt pixels": (corrupt_webp, DAMAGED),
    "19 half a TIFF": (lambda: make.saved(make.photo(), "TIFF")[:9000], DAMAGED),
    "19 TIFF without pixels": (lambda: make.tiff(make.photo(), 2, {273: (4, (1 << 20,))}), DAMAGED),
    "19 half a BMP": (lambda: make.saved(make.photo(), "BMP")[:900], DAMAGED),
    "20 PNG with a corrupt IDAT": (lambda: png().replace(zlib.compress(b"")[:2], b"\0\0", 1), DAMAGED),
    "21 text bomb before the pixels": (lambda: make.png(make.photo(), make.RGB, before=text_bomb()), META),
    "22 text bomb behind the pixels": (lambda: make.png(make.photo(), make.RGB, after=text_bomb()), META),
    "23 80 texts of 1 MB": (lambda: make.png(make.photo(), make.RGB, make.compressed_text(make.deflated_zeros(1 << 20)) * 80), META),
    "24 profile bomb": (lambda: make.png(make.photo(), 2, make.embedded_profile(make.deflated_zeros(2 * make.GIB), inflated=False)), META),
    "42 float TIFF": (lambda: make.tiff(make.photo()[..., 0].astype("float32"), 1, {339: (3, (3,))}), FLOAT),
    "42 float RGB TIFF": (lambda: make.tiff(make.photo().astype("float32"), 2, {339: (3, (3, 3, 3))}), TYPE + ".*"),
    "42 signed 8-bit TIFF": (lambda: make.tiff(make.photo()[..., 0], 1, {339: (3, (2,))}), r"Signed integer images are not supported\..*"),
    "42 32-bit TIFF": (lambda: make.tiff(make.noise(3, 3, 1, "uint32"), 1), r"Signed and 32-bit integer images .*"),
    "12-bit JPEG": (lambda: jpeg().replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"), TYPE + ".*"),
    "palette alpha of 300 entries": (
        lambda: make.png(make.photo()[..., 0] % 4, make.PALETTE, make.chunk(b"PLTE", bytes(12)) + make.chunk(b"tRNS", b"\7" * 300)),
        DAMAGED,
    ),
    "a million PNG chunks": (lambda: make.png(make.photo(), make.RGB, make.chunk(b"abCd", b"") * 1_000_000), META),
    "500 Exif segments": (lambda: jpeg()[:2] + make.jpeg_segment(0xE1, b"Exif\0\0" + bytes(60_000)) * 500 + jpeg()[2:], META),
    "400,000 comments": (lambda: jpeg()[:2] + make.jpeg_segment(0xFE, b"x") * 400_000 + jpeg()[2:], META),
    "20 MB before the first segment": (lambda: b"\xff\xd8" + b"\xff" * 20_000_000 + jpeg()[2:], DAMAGED),
    "300 scans": (lambda: jpeg()[:-2] + MANY_SCANS + b"\xff\xd9", r"JPEG has more than 200 scans; .*"),
    "2 million TIFF strips": (lambda: make.tiff(make.photo(), 2, {273: (4, (8,) * 2_000_000)}), META),
    "8 million bit depths": (lambda: make.tiff(make.photo(), 2, {258: (1, (8,) * 8_000_000)}), META),
    "one TIFF tile of 900 MP": (lambda: make.tiff(make.photo(), 2, {322: (4, (30_000,)), 323: (4, (30_000,))}), DAMAGED),
}


@pytest.mark.parametrize("what", MADE)
def test_hostile_files_are_refused_quickly_in_one_line(what: str) -> None:
    build, expected = MADE[what]
    data = build()
    start = time.perf_counter()
    message = refusal(data)
    seconds = time.perf_counter() - start
    assert re.fullmatch(expected, message)
    assert message.isprintable()
    assert seconds < 1


@pytest.mark.parametrize("key", ["transparency", "gamma", "icc_profile", "exif", "interlace", "bbox", "srgb", "Raw profile type exif"])
@pytest.mark.parametrize("samples", [make.noise(4, 4), make.noise(4, 4, 1), make.noise(4, 4, 1, "uint16")], ids=["RGB", "L", "I;16"])
def test_text_in_a_png_cannot_pose_as_pillows_own_facts(key: str, samples: np.ndarray) -> None:
    text = make.chunk(b"tEXt", key.encode() + b"\0" + b"(1, 2, 3)") + make.chunk(b"iTXt", key.encode() + b"\0\0\0\0\0" + b"\xc3\xa9\n" * 9)
    result = outcome(make.png(samples, make.GREY if samples.ndim == 2 else make.RGB, text))
    if isinstance(result, str):
        assert re.fullmatch(DAMAGED, result)
        return
    expected = samples if samples.dtype == np.uint8 else np.round(samples / 257)
    np.testing.assert_array_equal(result.rgb[..., 0], expected if samples.ndim == 2 else expected[..., 0])
    assert result.alpha is None


@pytest.mark.parametrize("transparent", [b"\xff" * 299 + b"\0", b"\7" * 256, b"\7" * 17])
def test_a_palette_with_too_many_alphas_does_no_harm(transparent: bytes) -> None:
    indices = make.noise(8, 8, 1) % 16
    before = make.chunk(b"PLTE", make.noise(1, 16).tobytes()) + make.chunk(b"tRNS", transparent)
    result = outcome(make.png(indices, make.PALETTE, before))
    if isinstance(result, str):
        assert re.fullmatch(DAMAGED, result)
    else:
        np.testing.assert_array_equal(result.rgb, make.noise(1, 16)[0][indices])


@pytest.mark.parametrize("block", [b"garbage", b"MM\0\x2a\0\0\0\x08\xff\xff", b"II\x2a\0\xff\xff\xff\xff", b"", b"\0" * (1 << 21)])
@pytest.mark.filterwarnings("ignore:.*EXIF.*:UserWarning")
def test_unreadable_exif_does_not_cost_the_picture(block: bytes) -> None:
    samples = make.photo()
    picture = decode(make.png(samples, make.RGB, make.chunk(b"eXIf", block)))
    np.testing.assert_array_equal(picture.rgb, samples)


def test_a_jpeg_with_flipped_bits_is_known_by_its_hash() -> None:
    data = jpeg()
    hashes, pictures = {decode(data).sha256}, 0
    scan = data.index(b"\xff\xda") + 20
    for offset in range(scan, len(data) - 2, 50):
        flipped = bytearray(data)
        flipped[offset] ^= 1
        result = outcome(bytes(flipped))
        if isinstance(result, Picture):
            hashes.add(result.sha256)
            pictures += 1
    assert pictures > 5
    assert len(hashes) == pictures + 1


def test_two_gigabytes_behind_a_small_picture_do_no_harm() -> None:
    start = time.perf_counter()
    bomb = make.png_header(8, 8) + make.chunk(b"IDAT", make.deflated_zeros(2 * make.GIB)) + make.chunk(b"IEND", b"")
    result = outcome(bomb)
    assert re.fullmatch(DAMAGED, result) if isinstance(result, str) else result.rgb.shape == (8, 8, 3)
    assert time.perf_counter() - start < 1


def test_a_polyglot_is_only_its_picture(tmp_path: Path) -> None:
    for data in (png() + b"PK\5\6" + bytes(18), jpeg() + b"<script>alert(1)</script>"):
        (tmp_path / "x").write_bytes(data)
        np.testing.assert_array_equal(decode_file(tmp_path / "x").rgb, decode(data[: len(png() if data[0] == 0x89 else jpeg())]).rgb)
