"""Pictures on their way in and out: from untrusted bytes to 8-bit sRGB, and back to PNG.

The type is told by content, not by name; only Pillow decodes; sizes are checked before pixels are decoded.
"""

import hashlib
import math
import re
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import ImageError
from core.image_convert import to_rgb8
from core.image_decode import bits_per_sample, is_signed, is_white_zero, load_upright, note_frames, note_gamma, open_lazily
from core.image_header import NOT_AN_IMAGE, check_cost, container_of, webp_size
from core.settings import MIB, settings

RGB8 = NDArray[np.uint8]
"""uint8 of shape (H, W, 3), sRGB, C-contiguous."""
ALPHA8 = NDArray[np.uint8]
"""uint8 of shape (H, W), 0 transparent, 255 opaque, not premultiplied."""

_TYPES_BY_SUFFIX = {
    **dict.fromkeys([".png", ".apng"], "PNG"),
    **dict.fromkeys([".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"], "JPEG"),
    **dict.fromkeys([".tif", ".tiff"], "TIFF"),
    **dict.fromkeys([".bmp", ".dib"], "BMP"),
    ".webp": "WebP",
    ".gif": "GIF",
    ".heic": "HEIC",
    ".avif": "AVIF",
}

_STEM_CHARACTERS, _STEM_BYTES = 60, 200
_RESERVED_ON_WINDOWS = re.compile(r"(?:CON|PRN|AUX|NUL|COM\d|LPT\d)(?:\..*)?", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes
    ----------
    rgb:
        uint8 of shape (H, W, 3), sRGB, C-contiguous. Grey is repeated.
    alpha:
        uint8 of shape (H, W); None where the picture is opaque. Colours under alpha 0 are those of the file.
    stored_channels:
        1 if the file stores one channel (Pillow modes 1, L and I;16), otherwise 3: grey with an alpha channel stores two, a
        palette three. The score protocols need it.
    notes:
        One sentence for each conversion that was made.
    sha256:
        Of the file's bytes, in hexadecimal.
    """

    rgb: RGB8
    alpha: ALPHA8 | None
    stored_channels: Literal[1, 3]
    notes: tuple[str, ...]
    sha256: str

    @property
    def width(self) -> int:
        """In pixels."""
        return self.rgb.shape[1]

    @property
    def height(self) -> int:
        """In pixels."""
        return self.rgb.shape[0]


def byte_limit(at_least: tuple[int, int] = (0, 0)) -> int:
    """How large a picture file may be, in bytes. `at_least` is that of `decode`: its pixels fit uncompressed, with alpha and headers."""
    return max(settings().max_input_bytes, 5 * at_least[0] * at_least[1])


def decode(data: bytes, *, name: str = "", at_least: tuple[int, int] = (0, 0)) -> Picture:
    """Decode the bytes of a PNG, JPEG, WebP, TIFF or BMP.

    The result is upright by EXIF, in sRGB by the embedded profile, and the first of several frames.

    Parameters
    ----------
    data:
        The whole file.
    name:
        The file's name; only its ending is read, for a note where it does not match the content.
    at_least:
        Width and height of a picture that is accepted even where it is over the limits for what is upscaled, such as a result.

    Raises
    ------
    ImageError
        Type, damage, size or metadata; one line without a path.
    """
    if not data:
        raise ImageError("File is empty.")
    limits = settings()
    max_mp = max(limits.max_input_mp, at_least[0] * at_least[1] / 1e6)
    max_side = max(limits.max_input_side, *at_least)
    _check_byte_count(len(data), byte_limit(at_least))
    container = container_of(data)
    if container is None:
        raise ImageError(NOT_AN_IMAGE)
    check_cost(container, data, max_mp * 1e6)

    notes: list[str] = []
    suffix = Path(name).suffix.lower()
    if _TYPES_BY_SUFFIX.get(suffix, container) != container:
        notes.append(f"The file is a {container} although its name ends in {suffix}.")
    if container == "WebP" and (size := webp_size(data)):
        _check_input_size(*size, max_mp, max_side)
    with open_lazily(container, data) as image:
        _check_input_size(*image.size, max_mp, max_side)
        if is_signed(image):
            raise ImageError("Signed integer images are not supported. Save the picture with 8 or 16 bits per channel.")
        note_frames(image, data, notes)
        upright = load_upright(image, notes)
        note_gamma(upright, notes)
        rgb, alpha = to_rgb8(upright, bits_per_sample(image, data), is_white_zero(image), notes)
        stored_channels = 1 if upright.mode in {"1", "L"} or upright.mode.startswith("I;16") else 3
    return Picture(rgb, alpha, stored_channels, tuple(notes), hashlib.sha256(data).hexdigest())


def read_file(path: Path, *, at_least: tuple[int, int] = (0, 0)) -> bytes:
    """The bytes of a picture file; no more than the accepted number of them is read. `at_least` is that of `decode`.

    Raises
    ------
    ImageError
        The path is missing, not readable, or not a file, or the file is too large.
    """
    limit = byte_limit(at_least)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for a writer
            raise ImageError(f"{path.name!r} is not a file. Name a picture.")
        _check_byte_count(status.st_size, limit)
        with path.open("rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError as error:
        raise ImageError(f"There is no file {path.name!r}. Check the path.") from error
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        raise ImageError(f"{path.name!r} can't be read: {getattr(error, 'strerror', None) or 'not a valid path'}.") from error


def decode_file(path: Path) -> Picture:
    """Read and decode a file: `read_file`, then `decode`. Raises `ImageError` as they do."""
    return decode(read_file(path), name=path.name)


def resize_alpha(alpha: ALPHA8, width: int, height: int) -> ALPHA8:
    """Enlarge a transparency plane by Pillow's bicubic, whatever model enlarges the colours.

    Parameters
    ----------
    alpha:
        uint8 of shape (H, W).
    width, height:
        Of the result, in pixels.
    """
    return np.asarray(Image.fromarray(alpha).resize((width, height), Image.Resampling.BICUBIC))


def encode_png(rgb: RGB8, alpha: ALPHA8 | None = None) -> bytes:
    """Encode as PNG: the pixels alone, without EXIF or profile, and the same bytes for the same pixels.

    Parameters
    ----------
    rgb:
        uint8 of shape (H, W, 3).
    alpha:
        uint8 of shape (H, W), or None for a PNG without alpha.
    """
    import cv2

    pixels = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR) if alpha is None else np.dstack([rgb[..., ::-1], alpha])
    # Half the time of Pillow's quickest way, which tries five filters for each row, and files of the same size.
    how = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH)
    return cv2.imencode(".png", pixels, how)[1].tobytes()


def on_white(rgb: RGB8, alpha: ALPHA8 | None) -> RGB8:
    """Composite sRGB values over white, rounded to the nearest level; `rgb` itself where `alpha` is None."""
    if alpha is None:
        return rgb
    opacity = alpha.astype(np.uint16)
    result = np.empty(rgb.shape, np.uint8)
    for channel in range(3):
        # At most 255² + 127, which 16 bits hold.
        result[..., channel] = (rgb[..., channel] * opacity + 255 * (255 - opacity) + 127) // 255
    return result


def check_output_size(width: int, height: int, scale: float) -> None:
    """Refuse a result that would be larger than `max_output_mp`.

    Parameters
    ----------
    width, height:
        Of the input, in pixels.
    scale:
        Magnification of each side.

    Raises
    ------
    ImageError
        The message names both sizes.
    """
    limit_mp = settings().max_output_mp
    result_width, result_height = math.ceil(width * scale), math.ceil(height * scale)
    if result_width * result_height > limit_mp * 1e6:
        raise ImageError(
            f"{_size(width, height)} at scale {scale:g} gives {_size(result_width, result_height)}, "
            f"{_rounded_up(result_width * result_height / 1e6)} MP; limit is {limit_mp:g} MP. Choose a smaller scale or picture."
        )


def safe_stem(name: str) -> str:
    """A short stem for display and for file names, from any name that an upload may carry.

    Letters, digits and `. _ - space` are kept; no directory, no ending, at most 60 characters and 200 bytes of UTF-8;
    `picture` if nothing is left.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFKC", name))[-1]
    stem = last[: last.rindex(".")] if "." in last else last
    kept = "".join(char if unicodedata.category(char)[0] in "LMN" or char in "._- " else "_" for char in stem)
    short = kept[:_STEM_CHARACTERS].encode()[:_STEM_BYTES].decode(errors="ignore").strip(" .-_")
    if not short:
        return "picture"
    return f"{short}_" if _RESERVED_ON_WINDOWS.fullmatch(short) else short


def _check_input_size(width: int, height: int, limit_mp: float, limit_side: int) -> None:
    if width * height > limit_mp * 1e6:
        pixels_mp = _rounded_up(width * height / 1e6)
        raise ImageError(f"{_size(width, height)} is {pixels_mp} MP; limit is {limit_mp:g} MP. Shrink or crop the picture.")
    if max(width, height) > limit_side:
        raise ImageError(f"{_size(width, height)} is too long; limit is {limit_side} pixels a side. Shrink or crop the picture.")


def _check_byte_count(count: int, limit: int) -> None:
    if count > limit:
        raise ImageError(f"File is {_rounded_up(count / MIB)} MiB; limit is {limit / MIB:g} MiB. Shrink or crop the picture.")


def _size(width: int, height: int) -> str:
    return f"{width}\N{MULTIPLICATION SIGN}{height}"


def _rounded_up(value: float) -> str:
    # Up to the next tenth: what is over a limit never reads as equal to it.
    return f"{math.ceil(round(value * 10, 6)) / 10:.10g}"
