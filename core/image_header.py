"""What a file's bytes say before Pillow decodes them: its type, and whether reading it is safe.

Pillow bounds the size of text in a PNG and of tag data in a TIFF. The limits here bound what it does not: files of a few
megabytes whose headers alone would take minutes or gigabytes. Each limit is far above what cameras and editors write.
"""

import re
import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from core.errors import ImageError

Container = Literal["PNG", "JPEG", "WebP", "TIFF", "BMP"]

NOT_AN_IMAGE = "Not a supported image (PNG, JPEG, WebP, TIFF, BMP)."
DAMAGED = "Image is damaged or incomplete."
METADATA = "Image metadata is too large."

MAX_COUNTED_FRAMES = 1000
"""A TIFF's frames are counted up to here."""

_SIGNATURES: dict[Container, re.Pattern[bytes]] = {
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "WebP": re.compile(rb"RIFF.{4}WEBPVP8[ LX]", re.DOTALL),
    "TIFF": re.compile(rb"(?:II|MM)(?:\x2a\x00|\x00\x2a|\x2b\x00|\x00\x2b)"),
    "BMP": re.compile(rb"BM"),
}

_MAX_PNG_CHUNKS = 100_000
_MAX_PNG_COMPRESSED_TEXTS = 200
_MAX_JPEG_SEGMENTS = 10_000
_MAX_JPEG_EXIF_SEGMENTS = 16
_MAX_JPEG_SCANS = 200
_MAX_JPEG_JUNK = 65_536
_MAX_TIFF_TAGS = 4096
_MAX_TIFF_VALUES = 262_144

# Segments that have a length: not stuffing, padding, restart markers, SOI, or the reserved ones that Pillow reads as bare.
_JPEG_SEGMENT = re.compile(rb"\xff([^\x00\x01\xc8\xd0-\xd8\xf0-\xfd\xff])")
_JPEG_EOI, _JPEG_SOS, _JPEG_APP1 = b"\xd9", b"\xda", b"\xe1"

_INTEGER_FORMATS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 16: "Q", 17: "q"}
_BLOB_TYPES = frozenset({2, 7})  # text and undefined bytes, which Pillow keeps as they are
_LAST_STRUCTURAL_TAG = 532
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_MPO_PICTURES = 0xB001


def container_of(data: bytes) -> Container | None:
    """The type of a file by its signature; None if it is none of the accepted ones."""
    return next((container for container, signature in _SIGNATURES.items() if signature.match(data)), None)


def png_bit_depth(data: bytes) -> int:
    """Bits per sample of a PNG, from its IHDR chunk (PNG 3rd edition, 11.2.1)."""
    return data[24]


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP (RFC 9649); None if the header is damaged. Pillow reserves the canvas when it opens one."""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(data) >= 30:
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def tiff_frames(data: bytes) -> int:
    """Number of images in a TIFF, counted along the chain of directories and at most to `MAX_COUNTED_FRAMES` + 1."""
    seen: set[int] = set()
    header = _tiff_header(data)
    offset = header.first
    while offset and offset not in seen and len(seen) <= MAX_COUNTED_FRAMES:
        directory = _directory(data, offset, header)
        if directory is None:
            break
        seen.add(offset)
        offset = directory.next_offset
    return max(1, len(seen))


def mpo_pictures(index: bytes) -> int:
    """Number of pictures that the MP index of a JPEG names (CIPA DC-007); 1 if it is unreadable."""
    return next((entry.value for entry in _entries(index, _tiff_header(index)) if entry.tag == _MPO_PICTURES), None) or 1


def check_cost(container: Container, data: bytes, max_pixels: float) -> None:
    """Refuse a file whose headers would take too much time or memory to read.

    Parameters
    ----------
    container:
        The type of `data`.
    data:
        The whole file.
    max_pixels:
        The largest accepted picture; bounds the tiles of a TIFF, which Pillow decodes whole.

    Raises
    ------
    ImageError
        The metadata is too large, or the structure can't be that of a real picture.
    """
    if container == "PNG":
        _check_png(data)
    elif container == "JPEG":
        _check_jpeg(data)
    elif container == "TIFF":
        _check_tiff(data, max_pixels)


def _check_png(data: bytes) -> None:
    # Pillow reads chunks one by one in Python, and inflates up to 1 MiB for each of the compressed kinds.
    if data[12:16] != b"IHDR":
        return
    position, compressed = 8, 0
    for _ in range(_MAX_PNG_CHUNKS):
        if position + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IEND":
            return
        compressed += kind in {b"zTXt", b"iTXt", b"iCCP"}
        if compressed > _MAX_PNG_COMPRESSED_TEXTS:
            break
        position += 12 + length
    raise ImageError(METADATA)


def _check_jpeg(data: bytes) -> None:
    # Pillow steps over junk byte by byte and joins Exif segments in quadratic time; a progressive JPEG costs one pass over
    # all its pixels per scan, even if the scan holds no data.
    position, exif, scans = 2, 0, 0
    for _ in range(_MAX_JPEG_SEGMENTS):
        segment = _JPEG_SEGMENT.search(data, position)
        start = segment.start() if segment else len(data)
        if not scans and start - position > _MAX_JPEG_JUNK:
            raise ImageError(DAMAGED)
        kind = segment[1] if segment else _JPEG_EOI
        if segment is None or (kind == _JPEG_EOI and scans):
            return
        scans += kind == _JPEG_SOS
        exif += kind == _JPEG_APP1 and data.startswith(b"Exif\0\0", start + 4)
        if scans > _MAX_JPEG_SCANS:
            raise ImageError(f"JPEG has more than {_MAX_JPEG_SCANS} scans; save it again as an ordinary JPEG.")
        if exif > _MAX_JPEG_EXIF_SEGMENTS:
            break
        length = 0 if kind == _JPEG_EOI else int.from_bytes(data[start + 2 : start + 4], "big")
        position = start + 2 + length
    raise ImageError(METADATA)


def _check_tiff(data: bytes, max_pixels: float) -> None:
    # Every value of a numeric tag becomes a Python object, every strip several; a tile is decoded whole, however small the picture.
    tile_pixels = 1
    for number, entry in enumerate(_entries(data, _tiff_header(data))):
        many = entry.tag <= _LAST_STRUCTURAL_TAG and entry.kind not in _BLOB_TYPES and entry.value_count > _MAX_TIFF_VALUES
        if many or number >= _MAX_TIFF_TAGS:
            raise ImageError(METADATA if entry.value_count <= len(data) else DAMAGED)
        if entry.tag in {_TILE_WIDTH, _TILE_LENGTH}:
            tile_pixels *= max(1, abs(entry.value or 1))
    if tile_pixels > 2 * max_pixels:  # twice: the tile of a picture at the limit is padded to a multiple of 16
        raise ImageError(DAMAGED)


class _TiffHeader(NamedTuple):
    order: str
    big: bool
    first: int


class _Directory(NamedTuple):
    start: int
    entry_count: int
    next_offset: int


class _Entry(NamedTuple):
    tag: int
    kind: int
    value_count: int
    value: int | None


def _tiff_header(data: bytes) -> _TiffHeader:
    # As Pillow reads it: the third byte alone tells BigTIFF.
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:3] == b"\x2b"
    layout, position = ("Q", 8) if big else ("I", 4)
    first = struct.unpack_from(order + layout, data, position)[0] if len(data) >= 16 else 0
    return _TiffHeader(order, big, first)


def _directory(data: bytes, offset: int, header: _TiffHeader) -> _Directory | None:
    count_layout, entry_size, next_layout = ("Q", 20, "Q") if header.big else ("H", 12, "I")
    start = offset + struct.calcsize(count_layout)
    if not 0 < offset <= len(data) - struct.calcsize(count_layout):
        return None
    (count,) = struct.unpack_from(header.order + count_layout, data, offset)
    end = start + count * entry_size
    # A directory that the file cuts off has no successor.
    whole = end + struct.calcsize(next_layout) <= len(data)
    next_offset = struct.unpack_from(header.order + next_layout, data, end)[0] if whole else 0
    return _Directory(start, count, next_offset)


def _entries(data: bytes, header: _TiffHeader) -> Iterator[_Entry]:
    directory = _directory(data, header.first, header)
    if directory is None:
        return
    layout = struct.Struct(header.order + ("HHQ8s" if header.big else "HHI4s"))
    for position in range(directory.start, directory.start + directory.entry_count * layout.size, layout.size):
        if position + layout.size > len(data):
            return
        tag, kind, count, field = layout.unpack_from(data, position)
        integer = _INTEGER_FORMATS.get(kind)
        fits = integer is not None and struct.calcsize(integer) <= len(field)
        yield _Entry(tag, kind, count, struct.unpack_from(header.order + integer, field)[0] if fits and integer else None)
