"""Files around the pixels: frames, names, PNGs written, state that threads share."""

import concurrent.futures
import hashlib
import io
import re
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from core.errors import ImageError
from core.image import check_output_size, decode, decode_file, encode_png, on_white, safe_stem
from tests import awkward_images as make


@pytest.mark.parametrize("container", ["PNG", "WEBP", "TIFF"])
def test_the_first_of_several_frames_is_used_and_counted(container: str) -> None:
    picture = decode(make.frames(container, 5))
    assert (picture.rgb == [0, 0, 255]).all()
    assert picture.notes == ("1 of 5 frames used.",)


def test_the_first_picture_of_an_mpo_is_used() -> None:
    picture = decode(make.frames("MPO", 2), name="DSC_1.JPG")
    assert np.abs(picture.rgb.astype(int) - [0, 0, 255]).max() <= 3
    assert picture.notes == ("The file holds 2 pictures (MPO); the first is used.",)


def test_a_tiff_of_endless_pages_is_counted_only_so_far() -> None:
    page = make.tiff(make.noise(2, 2, 1), 1)
    directory = struct.unpack_from("<I", page, 4)[0]
    entries = page[directory:-4]
    chain = b"".join(entries + struct.pack("<I", directory + i * (len(entries) + 4)) for i in range(1, 3000))
    picture = decode(page[:directory] + chain + entries + bytes(4))
    np.testing.assert_array_equal(picture.rgb[..., 0], make.noise(2, 2, 1))
    assert picture.notes == ("1 of more than 1000 frames used.",)


def test_a_tiff_whose_pages_go_round_is_counted_once() -> None:
    page = bytearray(make.tiff(make.photo(2, 2), 2))
    directory = struct.unpack_from("<I", page, 4)[0]
    struct.pack_into("<I", page, directory + 2 + 12 * struct.unpack_from("<H", page, directory)[0], directory)
    np.testing.assert_array_equal(decode(bytes(page)).rgb, make.photo(2, 2))


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("a.png", "The file is a JPEG although its name ends in .png."),
        ("a.GIF", "The file is a JPEG although its name ends in .gif."),
        ("a.JPG", None),
        ("a.jpeg", None),
        ("holiday.2024", None),
        ("", None),
    ],
)
def test_a_name_that_lies_is_noted(name: str, note: str | None) -> None:
    assert decode(make.saved(make.photo(), "JPEG"), name=name).notes == (() if note is None else (note,))


@pytest.mark.parametrize("bands", [3, 4])
def test_encoded_png_round_trips_exactly(bands: int) -> None:
    samples = make.noise(17, 23, bands)
    alpha = samples[..., 3] if bands == 4 else None
    data = encode_png(samples[..., :3], alpha)
    picture = decode(data)
    np.testing.assert_array_equal(picture.rgb, samples[..., :3])
    assert (picture.alpha is None) == (alpha is None)
    if alpha is not None:
        np.testing.assert_array_equal(picture.alpha, alpha)
    assert encode_png(samples[..., :3], alpha) == data


def test_encoded_pictures_are_about_as_small_as_pillows_quickest() -> None:
    for pixels in (make.photo(400, 300), make.noise(200, 200, 3)):
        by_pillow = io.BytesIO()
        Image.fromarray(pixels).save(by_pillow, "PNG", compress_level=1)
        assert len(encode_png(pixels)) <= 1.1 * len(by_pillow.getvalue())


def test_outputs_carry_neither_exif_nor_profile(bad_inputs: Path) -> None:
    gps = (bad_inputs / "images" / "gps.jpg").read_bytes()
    assert 0x8825 in Image.open(io.BytesIO(gps)).getexif()
    profiled = make.saved(make.photo(), "JPEG", icc_profile=make.adobe_rgb_profile(), exif=make.exif(6))
    for source in (gps, profiled):
        data = encode_png(decode(source).rgb)
        kinds = re.findall(rb"(?:IHDR|IDAT|IEND|eXIf|iCCP|tEXt|zTXt|iTXt|sRGB|gAMA|cHRM|tIME|pHYs)", data)
        assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}
        assert not Image.open(io.BytesIO(data)).getexif()


def test_compositing_on_white_rounds_to_the_nearest_level() -> None:
    colour, opacity = (a.astype(np.uint8) for a in np.meshgrid(np.arange(256), np.arange(256)))
    exact = (colour.astype(np.int64) * opacity + 255 * (255 - opacity.astype(np.int64))) / 255
    result = on_white(np.stack([colour] * 3, axis=-1), opacity)
    np.testing.assert_array_equal(result, np.repeat(np.floor(exact + 0.5)[..., None], 3, axis=2))
    assert result.dtype == np.uint8
    rgb = make.noise(3, 3)
    assert on_white(rgb, None) is rgb


def test_the_output_limit_is_exact_and_names_both_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_MAX_OUTPUT_MP", "0.16")
    check_output_size(100, 100, 4)
    with pytest.raises(ImageError, match=r"^101.100 at scale 4 gives 404.400, 0\.2 MP; limit is 0\.16 MP\. "):
        check_output_size(101, 100, 4)
    check_output_size(320, 200, 1.5)
    with pytest.raises(ImageError, match=r"at scale 1\.51 gives"):
        check_output_size(320, 220, 1.51)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("photo.png", "photo"),
        ("my photo (1).final.jpeg", "my photo _1_.final"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot"),
        ("../..", "picture"),
        ("", "picture"),
        (".png", "picture"),
        ("a\0b.png", "a_b"),
        ("<script>alert(1)</script>.png", "script"),
        ('"><img src=x onerror=1>.png', "img src_x onerror_1"),
        ("-rf.png", "rf"),
        ("CON.png", "CON_"),
        ("nul.tar.gz", "nul.tar_"),
        ("Grüße 東京.png", "Grüße 東京"),
        ("\u202egnp.exe", "gnp"),
        ("a\nb\tc.png", "a_b_c"),
        ("x" * 300 + ".png", "x" * 60),
    ],
)
def test_any_upload_name_becomes_a_harmless_stem(name: str, stem: str) -> None:
    assert safe_stem(name) == stem


def test_stems_fit_every_file_system() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        name = "".join(chr(c) for c in rng.integers(0, 0x3000, rng.integers(0, 300)))
        stem = safe_stem(name)
        assert 0 < len(stem) <= 61
        assert len(stem.encode()) <= 201
        assert not re.search(r'[/\\:*?"<>|\x00-\x1f]', stem)
        assert stem == stem.strip(" .-")
    assert len(safe_stem("\U0001f600" * 100).encode()) <= 201
    assert len(safe_stem("東" * 100).encode()) <= 201


def test_a_file_is_decoded_like_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(make.saved(make.photo(), "JPEG"))
    picture = decode_file(path)
    np.testing.assert_array_equal(picture.rgb, decode(path.read_bytes()).rgb)
    assert picture.notes == ("The file is a JPEG although its name ends in .png.",)


def test_pillows_switches_and_the_warning_filters_stay_as_they_are(recwarn: pytest.WarningsRecorder, bad_inputs: Path) -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK, list(warnings.filters))
    for path in sorted((bad_inputs / "images").iterdir()):
        try:
            decode_file(path)
        except ImageError:
            continue
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK, list(warnings.filters))
    assert [str(w.message) for w in recwarn] == []


def test_threads_get_the_same_pictures() -> None:
    files = [
        make.saved(make.photo(200, 300), "JPEG", icc_profile=make.adobe_rgb_profile(), exif=make.exif(6)),
        make.png(make.noise(150, 150, 4, "uint16"), make.RGBA),
        make.saved(make.noise(100, 100), "TIFF", compression="tiff_lzw", icc_profile=make.linear_srgb_profile()),
        make.frames("WEBP", 3),
    ] * 6
    alone = [hashlib.sha256(decode(data).rgb.tobytes()).digest() for data in files]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: hashlib.sha256(decode(data).rgb.tobytes()).digest(), files))
    assert together == alone
    assert len(set(alone)) == 4
    assert zlib.crc32(files[0]) != zlib.crc32(files[1])
