"""From the original to the small picture that the upscalers get: crop, then downscale by a whole number.

The method matters more than most models do: each network expects the kind of small picture it was trained on.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import ImageError
from core.registry import Registry

CROP_RULE = "right and bottom to a multiple of the scale"
"""How `crop_to_multiple` crops, for the fingerprint of a score."""
DEFAULT_DOWNSCALE = "bicubic"

Pixels8 = NDArray[np.uint8]
"""uint8 of shape (H, W, 3), sRGB, or (H, W), such as an alpha channel; C-contiguous."""


@dataclass(frozen=True, kw_only=True)
class DownscaleMethod:
    """One way to make a picture smaller."""

    id: str
    """`bicubic`, `opencv-cubic`, ..."""
    label: str
    """For pickers."""
    description: str
    """One sentence for people."""
    library_version: Callable[[], str]
    """Gives the library and its version, such as `Pillow 13.0.0`: part of the fingerprint of a score."""
    resize: Callable[[Pixels8, tuple[int, int]], Pixels8]
    """`resize(pixels, (width, height))`."""


def crop_to_multiple(pixels: Pixels8, scale: int) -> Pixels8:
    """The picture without the columns at the right and rows at the bottom that `scale` doesn't divide.

    Parameters
    ----------
    pixels:
        `(H, W, 3)` or `(H, W)`, `uint8`; never written to.
    scale:
        A whole number of at least 1.

    Returns
    -------
    C-contiguous; `pixels` itself where nothing is cut.

    Raises
    ------
    ImageError
        A side is shorter than the scale.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < scale:
        raise ImageError(
            f"The picture is {width}x{height} pixels; a comparison at x{scale} needs at least {scale}x{scale}. "
            "Choose a larger picture or a smaller scale."
        )
    return np.ascontiguousarray(pixels[: height - height % scale, : width - width % scale])


def downscale(pixels: Pixels8, scale: int, method: str = DEFAULT_DOWNSCALE) -> Pixels8:
    """The picture at one `scale`-th of its width and height.

    Parameters
    ----------
    pixels:
        `(H, W, 3)` or `(H, W)`, `uint8`, of a size that `scale` divides (see `crop_to_multiple`); never written to.
    scale:
        A whole number of at least 1.
    method:
        Id of a method in `DOWNSCALERS`.

    Returns
    -------
    `uint8`, rounded, C-contiguous, a new array.

    Raises
    ------
    UnknownIdError
        There is no such method.
    ImageError
        The scale doesn't divide the size.
    """
    resize = DOWNSCALERS.get(method).resize
    height, width = pixels.shape[:2]
    if scale < 1 or not height or not width or height % scale or width % scale:
        raise ImageError(
            f"The picture is {width}x{height} pixels, which x{scale} does not divide. Crop it to a multiple of the scale first."
        )
    return np.ascontiguousarray(resize(pixels, (width // scale, height // scale)))


def _pillow(resampling: Image.Resampling) -> Callable[[Pixels8, tuple[int, int]], Pixels8]:
    def resize(pixels: Pixels8, size: tuple[int, int]) -> Pixels8:
        return np.array(Image.fromarray(pixels).resize(size, resampling))

    return resize


def _opencv(interpolation: str) -> Callable[[Pixels8, tuple[int, int]], Pixels8]:
    def resize(pixels: Pixels8, size: tuple[int, int]) -> Pixels8:
        import cv2

        return np.array(cv2.resize(pixels, size, interpolation=getattr(cv2, interpolation)), dtype=np.uint8)

    return resize


def _pillow_version() -> str:
    import PIL

    return f"Pillow {PIL.__version__}"


def _opencv_version() -> str:
    import cv2

    return f"OpenCV {cv2.__version__}"


DOWNSCALERS: Registry[DownscaleMethod] = Registry("downscale method", lambda method: method.id)
DOWNSCALERS.add(
    DownscaleMethod(
        id="bicubic",
        label="Bicubic",
        description="Bicubic with antialiasing, as papers use it: MATLAB's imresize to within rounding.",
        library_version=_pillow_version,
        resize=_pillow(Image.Resampling.BICUBIC),
    ),
    DownscaleMethod(
        id="area",
        label="Area",
        description="The mean of each block of pixels: what a sensor with larger pixels would see.",
        library_version=_pillow_version,
        resize=_pillow(Image.Resampling.BOX),
    ),
    DownscaleMethod(
        id="lanczos",
        label="Lanczos",
        description="Lanczos with antialiasing: sharp, as many photo programs do it.",
        library_version=_pillow_version,
        resize=_pillow(Image.Resampling.LANCZOS),
    ),
    DownscaleMethod(
        id="bilinear",
        label="Bilinear",
        description="Bilinear with antialiasing: soft.",
        library_version=_pillow_version,
        resize=_pillow(Image.Resampling.BILINEAR),
    ),
    DownscaleMethod(
        id="nearest",
        label="Nearest",
        description="One pixel of each block, the others dropped: fine patterns turn into false ones.",
        library_version=_pillow_version,
        resize=_pillow(Image.Resampling.NEAREST),
    ),
    DownscaleMethod(
        id="opencv-cubic",
        label="OpenCV cubic",
        description="Cubic without antialiasing: fine patterns turn into false ones. OpenCV's own networks were trained for it.",
        library_version=_opencv_version,
        resize=_opencv("INTER_CUBIC"),
    ),
    DownscaleMethod(
        id="opencv-linear",
        label="OpenCV linear",
        description="Linear without antialiasing, the default of OpenCV's resize.",
        library_version=_opencv_version,
        resize=_opencv("INTER_LINEAR"),
    ),
)
