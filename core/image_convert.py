"""From a decoded Pillow image of any mode to 8-bit sRGB and alpha. Every loss and every guess leaves a note for people."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from core.errors import ImageError
from core.image_header import DAMAGED

_UNREADABLE_PROFILE = (ImageCms.PyCMSError, OSError, ValueError, TypeError)
_PROFILE_SPACES = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}
_SAME_COLOUR_LEVELS = 2
"""Profiles called sRGB differ by up to this after rounding; converting between them would only add noise."""
_RAMP = np.arange(256, dtype=np.uint8)
_ALPHA_BANDS = {"LA": "A", "La": "a", "PA": "A", "RGBA": "A"}
_GREY_MODES = frozenset({"1", "L", "LA", "La"})
_EXPANSIONS = {
    "1": "Expanded from 1 to 8 bit.",
    "P": "Expanded from a palette.",
    "PA": "Expanded from a palette.",
    "LAB": "Converted from CIELAB to sRGB.",
    "YCbCr": "Converted from YCbCr to RGB.",
}


def to_rgb8(image: Image.Image, bits: int, white_is_zero: bool, notes: list[str]) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Convert a loaded image to sRGB and alpha.

    Colours hidden under alpha 0 are kept. Alpha that is 255 everywhere is no alpha.

    Parameters
    ----------
    image:
        A loaded image; its `info` may hold `icc_profile` and `transparency`.
    bits:
        Bits per sample in the file, which Pillow's mode may hide.
    white_is_zero:
        A 16-bit grey picture in which 0 is white (Pillow turns the other depths round itself).
    notes:
        Receives one sentence for each conversion.

    Returns
    -------
    rgb, alpha
        uint8 of shape (H, W, 3), C-contiguous, and uint8 of shape (H, W) or None.

    Raises
    ------
    ImageError
        The samples are floats or integers of 32 bits, or the palette is damaged.
    """
    if image.mode == "F":
        raise ImageError("Float images are not supported. Save the picture with 8 or 16 bits per channel.")
    if image.mode == "I":
        raise ImageError("Signed and 32-bit integer images are not supported. Save the picture with 8 or 16 bits per channel.")
    if image.mode in _EXPANSIONS:
        notes.append(_EXPANSIONS[image.mode])
    if image.mode == "P" and "transparency" in image.info:
        image = _transparent_palette_expanded(image)
    alpha = _alpha(image, bits, notes)
    colour = _colour(image, bits, white_is_zero, notes)
    if "icc_profile" in image.info and image.mode != "LAB":
        colour = _through_profile(colour, image.info["icc_profile"], notes)
    elif colour.mode == "CMYK":
        notes.append("Converted from CMYK without a colour profile; colours are approximate.")
    if alpha is not None and alpha.min() == 255:
        alpha = None
    if colour.mode == "L":
        return np.repeat(np.asarray(colour)[..., None], 3, axis=2), alpha
    return np.array(_in_mode(colour, "RGB")), alpha


def _transparent_palette_expanded(image: Image.Image) -> Image.Image:
    try:
        return image.convert("RGBA")
    except (ValueError, TypeError) as error:  # more alphas than a palette has entries
        raise ImageError(DAMAGED) from error


def _alpha(image: Image.Image, bits: int, notes: list[str]) -> NDArray[np.uint8] | None:
    if image.mode in _ALPHA_BANDS:
        return np.array(image.getchannel(_ALPHA_BANDS[image.mode]))
    key = image.info.get("transparency")
    # One transparent colour. Text chunks of a PNG share this dictionary, hence the look at the type.
    if isinstance(key, int) and image.mode == "1":
        matches = np.asarray(image.convert("L")) == key
    elif isinstance(key, int) and image.mode == "L":
        # Pillow stretches the pixels of a 2 or 4 bit picture to 0..255, but not the key.
        matches = np.asarray(image) == key * 255 // (2**bits - 1)
    elif isinstance(key, int) and image.mode.startswith("I;16"):
        matches = np.asarray(image) == key
    elif isinstance(key, tuple) and image.mode == "RGB":
        if bits > 8:
            notes.append("The transparent colour of a 16-bit picture was ignored.")
            return None
        matches = (np.asarray(image) == key).all(axis=2)
    else:
        return None
    return np.where(matches, 0, 255).astype(np.uint8)


def _colour(image: Image.Image, bits: int, white_is_zero: bool, notes: list[str]) -> Image.Image:
    """The colour channels, in mode L, RGB or CMYK."""
    mode = image.mode
    if bits > 8:
        notes.append(f"Reduced from {bits} to 8 bit.")
    if mode.startswith("I;16"):
        # Pillow's own conversion clips at 255.
        top = 2**bits - 1
        samples = np.asarray(image).astype(np.uint32)
        samples = top - samples if white_is_zero else samples
        return Image.fromarray(((samples * 255 + top // 2) // top).astype(np.uint8))
    if mode == "La":
        image = image.convert("LA")
    if mode in _GREY_MODES:
        return _in_mode(image, "L")
    return image if mode == "CMYK" else _in_mode(image, "RGB")


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    # Pillow would copy an image that already has the mode.
    return image if image.mode == mode else image.convert(mode)


def _through_profile(colour: Image.Image, data: object, notes: list[str]) -> Image.Image:
    """`colour` (mode L, RGB or CMYK) brought to sRGB in mode L or RGB; as it is where the profile can't be used."""
    approximate = " Colours are approximate." if colour.mode == "CMYK" else ""
    try:
        if not isinstance(data, bytes):
            raise ImageCms.PyCMSError("The profile could not be joined or inflated.")
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        name = _printable(ImageCms.getProfileDescription(profile)) or "of the file"
        space = data[16:20]  # ICC.1:2022, 7.2.6
        if space != _PROFILE_SPACES[colour.mode]:
            # Editors tag grey pictures as sRGB: the greys mean the same, nothing is lost.
            if not (colour.mode == "L" and space == _PROFILE_SPACES["RGB"] and _is_srgb(profile, "RGB")):
                notes.append(f"The colour profile {name} does not fit the picture's channels and was ignored.{approximate}")
            return colour
        if colour.mode != "CMYK" and _is_srgb(profile, colour.mode):
            return colour
        converted = _to_srgb(colour, profile)
    except _UNREADABLE_PROFILE:
        notes.append(f"The colour profile is damaged and was ignored.{approximate}")
        return colour
    notes.append(f"Converted from the profile {name} to sRGB.")
    return converted


def _to_srgb(colour: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """Convert mode RGB or CMYK to RGB, and L to L."""
    if colour.mode == "L":
        # LittleCMS's own table for grey is off by up to 10 levels in the shadows. Equal channels: any of them will do.
        table = _transformed(Image.fromarray(_RAMP[None]), profile, ImageCms.Flags.NOOPTIMIZE).getchannel("G")
        return colour.point(np.asarray(table).ravel().tolist())
    return _transformed(colour, profile, ImageCms.Flags.HIGHRESPRECALC)


def _transformed(colour: Image.Image, profile: ImageCms.ImageCmsProfile, accuracy: ImageCms.Flags) -> Image.Image:
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        colour.mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=accuracy | ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    converted = ImageCms.applyTransform(colour, transform)
    assert converted is not None, "only a conversion in place returns nothing"
    return converted


def _is_srgb(profile: ImageCms.ImageCmsProfile, mode: str) -> bool:
    """Whether the profile moves no colour visibly. Its name is no proof: linear ones are called sRGB too."""
    greys = np.repeat(_RAMP[None, :, None], 3, axis=2)
    cube = np.stack(np.meshgrid(*[_RAMP[::15]] * 3), axis=-1).reshape(1, -1, 3)
    probe = _RAMP[None] if mode == "L" else np.concatenate([greys, cube], axis=1)
    moved = np.abs(np.asarray(_to_srgb(Image.fromarray(probe), profile)).astype(int) - probe)
    return int(moved.max()) <= _SAME_COLOUR_LEVELS


def _printable(text: str) -> str:
    """`text` on one line, without control or formatting characters, at most 60 characters."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable())[:60]
