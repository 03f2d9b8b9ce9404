"""Awkward picture files, built byte by byte from the formats' specifications, so that tests do not ask Pillow about Pillow."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
GIB = 1 << 30


def noise(height: int, width: int, channels: int = 3, dtype: str = "uint8", seed: int = 7) -> NDArray:
    """Random samples over the whole range of `dtype`; shape (H, W) if `channels` is 1."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def saved(samples: NDArray, container: str, **options: object) -> bytes:
    """What Pillow writes."""
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, container, **options)
    return buffer.getvalue()


def photo(height: int = 64, width: int = 96) -> NDArray:
    """A smooth picture, different in every corner and channel."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), (x + y) * 255 // (height + width)], -1).astype(np.uint8)


def frames(container: str, count: int) -> bytes:
    """An animation or a file of several pages; the first frame is pure blue."""
    images = [Image.new("RGB", (8, 8), (40 * i, 0, 255 - 40 * i)) for i in range(count)]
    buffer = io.BytesIO()
    images[0].save(buffer, container, save_all=True, append_images=images[1:], **({"lossless": True} if container == "WEBP" else {}))
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int, depth: int = 8, colour: int = RGB) -> bytes:
    return PNG_SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png(samples: NDArray, colour: int, before: bytes = b"", after: bytes = b"", *, depth: int | None = None) -> bytes:
    """A PNG of 8 or 16 bit samples by dtype; `depth` below 8 packs grey or palette samples of that depth."""
    height, width = samples.shape[:2]
    if depth is None:
        depth = samples.dtype.itemsize * 8
    if depth < 8:
        bits = np.unpackbits(samples.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :].reshape(height, -1)
        rows = np.packbits(bits, axis=1)
    else:
        rows = samples.astype(samples.dtype.newbyteorder(">"))
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    body = chunk(b"IDAT", zlib.compress(raw))
    return png_header(width, height, depth, colour) + before + body + after + chunk(b"IEND", b"")


def deflated_zeros(size: int) -> bytes:
    """A zlib stream of `size` zeros (a multiple of 1 MiB), made without compressing them all."""
    mib = 1 << 20
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = compressor.compress(bytes(mib)) + compressor.flush(zlib.Z_FULL_FLUSH)
    adler = ((size % 65521) << 16) | 1
    return b"\x78\x9c" + block * (size // mib) + b"\x03\x00" + struct.pack(">I", adler)


def compressed_text(stream: bytes, key: bytes = b"Comment") -> bytes:
    return chunk(b"zTXt", key + b"\0\0" + stream)


def embedded_profile(profile: bytes, *, inflated: bool = True) -> bytes:
    return chunk(b"iCCP", b"p\0\0" + (zlib.compress(profile) if inflated else profile))


def exif(orientation: int) -> bytes:
    """An EXIF block (with its "Exif" prefix) of one tag."""
    return b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x112, 3, 1, orientation, 0) + bytes(4)


def jpeg_segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


Tags = dict[int, tuple[int, tuple[int, ...]]]
"""Type and values of TIFF tags by number."""


def tiff(samples: NDArray, photometric: int, changes: Tags | None = None, *, order: str = "<", depth: int | None = None) -> bytes:
    """An uncompressed TIFF of one strip; the tags in `changes` are added or replaced."""
    height, width = samples.shape[:2]
    bands = 1 if samples.ndim == 2 else samples.shape[2]
    data = samples.tobytes() if depth is None else _packed(samples, depth)
    depth = depth or samples.dtype.itemsize * 8
    tags: Tags = {256: (4, (width,)), 257: (4, (height,)), 258: (3, (depth,) * bands), 259: (3, (1,)), 262: (3, (photometric,))}
    tags |= {273: (4, (8,)), 277: (3, (bands,)), 278: (4, (height,)), 279: (4, (len(data),))}
    return _tiff_file(order, data, tags | (changes or {}))


def _packed(samples: NDArray, depth: int) -> bytes:
    bits = (samples[..., None].astype(np.uint32) >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(samples.shape[0], -1).astype(np.uint8), axis=1).tobytes()


def _tiff_file(order: str, data: bytes, tags: Tags) -> bytes:
    layouts = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 6: "b", 7: "B", 8: "h", 9: "i", 10: "i", 11: "f", 12: "d", 13: "I", 16: "Q"}
    data += b"\0" * (len(data) % 2)
    directory = 8 + len(data)
    overflow_at = directory + 2 + 12 * len(tags) + 4
    entries, overflow = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        field = struct.pack(f"{order}{len(values)}{layouts[kind]}", *values)
        if len(field) > 4:
            field, overflow = struct.pack(order + "I", overflow_at + len(overflow)), overflow + field
        entries += struct.pack(order + "HHI", tag, kind, len(values) // (2 if kind in {5, 10} else 1)) + field.ljust(4, b"\0")
    head = (b"II\x2a\0" if order == "<" else b"MM\0\x2a") + struct.pack(order + "I", directory)
    return head + data + struct.pack(order + "H", len(tags)) + entries + bytes(4) + overflow


def _s15(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _profile(space: bytes, device_class: bytes, connection: bytes, name: str, tags: dict[bytes, bytes]) -> bytes:
    """An ICC v2 profile (ICC.1:2001-04)."""
    white = b"XYZ \0\0\0\0" + _s15(0.9642, 1.0, 0.8249)
    ascii_name = name.encode() + b"\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(ascii_name)) + ascii_name + bytes(78)
    every = {b"desc": description, b"wtpt": white, b"cprt": b"text\0\0\0\0none\0"} | tags
    table, body = struct.pack(">I", len(every)), b""
    for signature, content in every.items():
        table += signature + struct.pack(">II", 132 + 12 * len(every) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = bytes(4) + b"test" + struct.pack(">I", 0x02400000) + device_class + space + connection + bytes(12) + b"acsp" + bytes(28)
    header += _s15(0.9642, 1.0, 0.8249) + bytes(48)
    whole = header + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


def _gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def _table_curve(values: NDArray) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">I", len(values)) + np.round(values * 65535).astype(">u2").tobytes()


ADOBE_RGB_TO_XYZ = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
SRGB_TO_XYZ = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
ADOBE_GAMMA = 563 / 256
"""Of Adobe RGB (1998); the matrices are adapted to D50."""


def srgb_decoded(values: NDArray) -> NDArray:
    """From sRGB in 0..1 to linear light (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_encoded(linear: NDArray) -> NDArray:
    """The reverse, clipped."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def _rgb_profile(matrix: NDArray, curve: bytes, name: str) -> bytes:
    columns = {f"{band}XYZ".encode(): b"XYZ \0\0\0\0" + _s15(*matrix[:, i]) for i, band in enumerate("rgb")}
    curves = {f"{band}TRC".encode(): curve for band in "rgb"}
    return _profile(b"RGB ", b"mntr", b"XYZ ", name, columns | curves)


def adobe_rgb_profile() -> bytes:
    return _rgb_profile(ADOBE_RGB_TO_XYZ, _gamma_curve(ADOBE_GAMMA), "Adobe RGB (1998)")


def srgb_profile(name: str = "sRGB IEC61966-2.1") -> bytes:
    """The sRGB curve as a table of 1024 values, as in the profile that most cameras embed."""
    return _rgb_profile(SRGB_TO_XYZ, _table_curve(srgb_decoded(np.linspace(0, 1, 1024))), name)


def linear_srgb_profile() -> bytes:
    return _rgb_profile(SRGB_TO_XYZ, _gamma_curve(1.0), "sRGB linear")


def grey_profile(gamma: float) -> bytes:
    return _profile(b"GRAY", b"mntr", b"XYZ ", f"Grey {gamma}", {b"kTRC": _gamma_curve(gamma)})


def cmyk_profile(lab_at_corners: NDArray) -> bytes:
    """A CMYK profile of 2 grid points a channel: `lab_at_corners` has shape (2, 2, 2, 2, 3), L in 0..100, a and b in -128..127."""
    scaled = np.round(lab_at_corners * [2.55, 1, 1] + [0, 128, 128]).astype(np.uint8)
    identity = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + _s15(1, 0, 0, 0, 1, 0, 0, 0, 1) + identity * 4 + scaled.tobytes() + identity * 3
    return _profile(b"CMYK", b"prtr", b"Lab ", "Test press", {b"A2B0": table, b"A2B1": table, b"A2B2": table})


def lab_profile() -> bytes:
    """A profile whose device space is Lab: valid, but of no use for RGB pixels."""
    return _profile(b"Lab ", b"abst", b"Lab ", "Lab", {})
