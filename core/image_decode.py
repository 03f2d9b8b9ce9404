"""Opening and loading a file with Pillow: one plugin, chosen by content; every failure is one `ImageError`.

Pillow's switches and Python's warning filters are left alone. The plugins are called directly and not by `Image.open`, which
would warn about large pictures before their size can be refused, and would try other plugins.
"""

import io
import struct

from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from core.errors import ImageError
from core.image_header import DAMAGED, MAX_COUNTED_FRAMES, METADATA, NOT_AN_IMAGE, Container, mpo_pictures, png_bit_depth, tiff_frames

_PLUGINS: dict[Container, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}

FRAMES_USED = "frames used."
"""How the note ends that a file holds more than one frame."""

_UNIDENTIFIED = (SyntaxError, LookupError, TypeError, struct.error)
"""What Pillow's own `open` reads as "not this format"."""
_UNDECODABLE = (
    *_UNIDENTIFIED,
    OSError,  # truncated data, codec errors
    EOFError,  # a WebP without its first frame
    ValueError,  # text bombs, tiles outside the picture, bad text encodings
    ArithmeticError,  # offsets that overflow, rationals over zero
    AttributeError,  # a tag that holds another type than the plugin expects
    AssertionError,  # Pillow asserts what its own reader did not check
    Warning,  # where warnings have been turned into errors
)
"""What Pillow's plugins raise on damaged files. MemoryError is not among them: it is no property of the file."""
_TEXT_BOMBS = ("MAX_TEXT_CHUNK", "MAX_TEXT_MEMORY")

_ORIENTATION, _BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 274, 258, 262, 339
_SIGNED, _WHITE_IS_ZERO = 2, 0
_MAX_EXIF_BYTES = 1 << 20
_UPRIGHT: dict[object, tuple[Image.Transpose, str]] = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, "Mirrored"),
    3: (Image.Transpose.ROTATE_180, "Rotated"),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, "Mirrored"),
    5: (Image.Transpose.TRANSPOSE, "Rotated and mirrored"),
    6: (Image.Transpose.ROTATE_270, "Rotated"),
    7: (Image.Transpose.TRANSVERSE, "Rotated and mirrored"),
    8: (Image.Transpose.ROTATE_90, "Rotated"),
}


def open_lazily(container: Container, data: bytes) -> ImageFile.ImageFile:
    """Read the headers of a file; no pixels are decoded.

    Raises
    ------
    ImageError
        The headers are damaged, too large, or of a kind that Pillow can't read.
    """
    try:
        return _PLUGINS[container](io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise ImageError(str(error)) from error
    except _UNDECODABLE as error:
        # Two letters make a BMP: text that starts with them is not a damaged picture.
        if container == "BMP" or isinstance(error, _UNIDENTIFIED):
            hint = f"It starts like a {container}, but its header is damaged or of a kind that can't be read."
            raise ImageError(f"{NOT_AN_IMAGE} {hint}") from error
        raise _undecodable(error) from error


def load_upright(image: ImageFile.ImageFile, notes: list[str]) -> Image.Image:
    """Decode the pixels of the first frame and turn them as EXIF says.

    Raises
    ------
    ImageError
        The data is damaged or cut, or metadata behind the pixels is too large.
    """
    # Pillow turns a TIFF while it loads it, and removes the tag; a PNG may have its EXIF behind the pixels.
    turned_by_pillow = isinstance(image, TiffImagePlugin.TiffImageFile)
    orientation = _orientation(image, notes) if turned_by_pillow else None
    try:
        image.load()
    except Image.DecompressionBombError as error:
        raise ImageError(str(error)) from error
    except _UNDECODABLE as error:
        raise _undecodable(error) from error
    if not turned_by_pillow:
        orientation = _orientation(image, notes)
    if orientation not in _UPRIGHT:
        return image
    method, verb = _UPRIGHT[orientation]
    notes.append(f"{verb} by EXIF.")
    return image if turned_by_pillow else image.transpose(method)


def bits_per_sample(image: ImageFile.ImageFile, data: bytes) -> int:
    """Bits per sample in the file, which may be more than Pillow keeps."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        return png_bit_depth(data)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(_tiff_tag(image, _BITS_PER_SAMPLE), default=1)
    return 8


def is_signed(image: ImageFile.ImageFile) -> bool:
    """Whether the samples are signed integers, of which Pillow reads those of 8 bits as if they were not."""
    return isinstance(image, TiffImagePlugin.TiffImageFile) and _SIGNED in _tiff_tag(image, _SAMPLE_FORMAT)


def is_white_zero(image: ImageFile.ImageFile) -> bool:
    """Whether grey samples count from white to black."""
    return isinstance(image, TiffImagePlugin.TiffImageFile) and _WHITE_IS_ZERO in _tiff_tag(image, _PHOTOMETRIC)


def note_frames(image: ImageFile.ImageFile, data: bytes, notes: list[str]) -> None:
    """Note that a file holds more than the one picture that is used. No other frame is decoded."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        pictures = mpo_pictures(image.info.get("mp", b""))
        if pictures > 1:
            notes.append(f"The file holds {pictures} pictures (MPO); the first is used.")
        return
    is_tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
    frames = tiff_frames(data) if is_tiff else getattr(image, "n_frames", 1)
    if frames > 1:
        many = f"more than {MAX_COUNTED_FRAMES}" if is_tiff and frames > MAX_COUNTED_FRAMES else frames
        notes.append(f"1 of {many} {FRAMES_USED}")


def note_gamma(image: Image.Image, notes: list[str]) -> None:
    """Note a gAMA chunk that differs from sRGB's and that no profile or sRGB chunk overrules (PNG 3rd edition, 4.3)."""
    gamma = image.info.get("gamma")
    if not isinstance(gamma, float) or {"icc_profile", "srgb"} & image.info.keys():
        return
    if abs(gamma - 1 / 2.2) > 0.005:
        notes.append(f"The file's gamma of {gamma:g} was ignored.")


def _undecodable(error: Exception) -> ImageError:
    return ImageError(METADATA if any(bomb in str(error) for bomb in _TEXT_BOMBS) else DAMAGED)


def _orientation(image: ImageFile.ImageFile, notes: list[str]) -> object:
    if len(image.info.get("exif") or b"") > _MAX_EXIF_BYTES:
        notes.append("EXIF data is too large and was ignored.")
        return None
    try:
        return image.getexif().get(_ORIENTATION)
    except _UNDECODABLE:
        notes.append("EXIF data can't be read and was ignored.")
        return None


def _tiff_tag(image: TiffImagePlugin.TiffImageFile, tag: int) -> tuple[int, ...]:
    value = image.tag_v2.get(tag, ())
    return tuple(item for item in (value if isinstance(value, tuple) else (value,)) if isinstance(item, int))
