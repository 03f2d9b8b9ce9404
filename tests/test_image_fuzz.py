"""Damage of any kind ends as a picture or as an `ImageError`."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from core.image import decode
from tests import awkward_images as make
from tests.test_bad_images import outcome


def seeds() -> dict[str, bytes]:
    photo = make.photo(24, 32)
    palette = make.chunk(b"PLTE", make.noise(1, 16).tobytes()) + make.chunk(b"tRNS", bytes(range(16)))
    profile = make.adobe_rgb_profile()
    frames = io.BytesIO()
    pages = [Image.fromarray(photo), Image.fromarray(255 - photo)]
    pages[0].save(frames, "PNG", save_all=True, append_images=pages[1:])
    mpo = io.BytesIO()
    pages[0].save(mpo, "MPO", save_all=True, append_images=pages[1:], exif=make.exif(6))
    rle_header = struct.pack("<2sIHHIIiiHHIIIIII", b"BM", 0, 0, 0, 1078, 40, 8, 8, 1, 8, 1, 0, 0, 0, 256, 0)
    text = make.chunk(b"eXIf", make.exif(6)[6:]) + make.compressed_text(zlib.compress(b"text")) + make.chunk(b"iTXt", b"k\0\0\0\0\0v")
    return {
        "png": make.png(photo, make.RGB, make.embedded_profile(profile) + text + make.chunk(b"gAMA", struct.pack(">I", 45455))),
        "png 16": make.png(make.noise(8, 8, 1, "uint16"), make.GREY, make.chunk(b"tRNS", b"\1\2")),
        "png palette": make.png(make.noise(8, 8, 1) % 16, make.PALETTE, palette, depth=4),
        "apng": frames.getvalue(),
        "jpeg": make.saved(photo, "JPEG", icc_profile=profile, exif=make.exif(6)),
        "jpeg progressive": make.saved(photo[..., 0], "JPEG", progressive=True),
        "mpo": mpo.getvalue(),
        "webp": make.saved(photo, "WebP", icc_profile=profile, exif=make.exif(6)),
        "webp lossless": make.saved(make.noise(8, 8, 4), "WebP", lossless=True),
        "tiff": make.saved(photo, "TIFF", icc_profile=profile, exif=make.exif(6)),
        "tiff lzw": make.saved(photo, "TIFF", compression="tiff_lzw"),
        "tiff jpeg": make.saved(photo, "TIFF", compression="jpeg"),
        "tiff big-endian": make.tiff(make.noise(8, 8, 1, "uint16").astype(">u2"), 1, {274: (3, (6,))}, order=">"),
        "bigtiff": make.saved(photo, "TIFF", big_tiff=True),
        "bmp": make.saved(photo[:8, :8], "BMP"),
        "bmp rle": rle_header + make.noise(256, 1, 4).tobytes() + b"\x08\x05\x00\x00" * 8 + b"\x00\x01",
    }


def mutated(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """`data` with bytes changed, a part cut off, doubled, or replaced by one of `other`."""
    kind = rng.integers(5)
    # Half of all damage goes where the headers are.
    reach = len(data) if rng.random() < 0.5 else min(len(data), 200)
    start = int(rng.integers(reach))
    length = int(rng.integers(1, 40))
    if kind == 0:
        return data[:start]
    if kind == 1:
        return data[:start] + data[start : start + length] * 2 + data[start + length :]
    if kind == 2:
        from_other = int(rng.integers(len(other)))
        return data[:start] + other[from_other : from_other + length] + data[start + length :]
    changed = bytearray(data)
    for offset in rng.integers(0, reach, rng.integers(1, 8)):
        changed[offset] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, changed[offset] ^ (1 << int(rng.integers(8)))])
    return bytes(changed)


def with_right_checksums(data: bytes) -> bytes:
    """A damaged PNG whose chunks have matching checksums again, so that the damage reaches their readers."""
    result, position = bytearray(data), 8
    while position + 12 <= len(result):
        length = int.from_bytes(result[position : position + 4], "big")
        end = position + 8 + length
        if end + 4 > len(result):
            break
        struct.pack_into(">I", result, end, zlib.crc32(result[position + 4 : end]))
        position = end + 4
    return bytes(result)


@pytest.mark.parametrize("name", seeds())
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damage_of_any_kind_ends_as_a_picture_or_an_image_error(name: str) -> None:
    files = seeds()
    assert decode(files[name]).notes is not None
    others = [files[other] for other in sorted(files) if other != name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    start = time.perf_counter()
    pictures, refusals = 0, 0
    for _ in range(300):
        data = mutated(files[name], others[rng.integers(len(others))], rng)
        if "png" in name and rng.random() < 0.7:
            data = with_right_checksums(data)
        result = outcome(data)
        if isinstance(result, str):
            refusals += 1
            assert result.isprintable()
        else:
            pictures += 1
            assert result.rgb.shape == (result.height, result.width, 3)
            assert result.rgb.dtype == np.uint8
            assert result.rgb.flags.c_contiguous
            assert result.alpha is None or result.alpha.shape == result.rgb.shape[:2]
    assert pictures > 0
    assert refusals > 0
    assert time.perf_counter() - start < 15


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tiff_tags_of_a_wrong_type_end_as_a_picture_or_an_image_error(kind: int) -> None:
    samples = make.photo(8, 8)
    refusals = 0
    for tag in [*range(254, 350), *range(512, 534), 700, 33723, 34377, 34665, 34675, 34853, 40965]:
        for values in ((6, 6), (6, 1, 6, 1), (1,) * 40):
            result = outcome(make.tiff(samples, 2, {tag: (kind, values)}))
            refusals += isinstance(result, str)
            assert result.isprintable() if isinstance(result, str) else result.rgb.shape == (result.height, result.width, 3)
    assert refusals > 0
