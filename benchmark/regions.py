"""The part of a picture that is raced before the whole of it: small enough that every model answers within a minute or so."""

from benchmark.schema import Mode, Region
from core.errors import UsageError

SIDE_PX: dict[Mode, int] = {"restore": 512, "as-is": 256}
"""Side of a region: the same number of pixels is looked at in both modes, where a picture is enlarged as it is by 2."""


def needs_region(width: int, height: int, mode: Mode) -> bool:
    """Whether a picture has more pixels than a region; another one is compared whole, however long it is."""
    return width * height > SIDE_PX[mode] ** 2


def region_at(center_x: float, center_y: float, width: int, height: int, mode: Mode) -> Region:
    """The region around a point, moved into the picture.

    Parameters
    ----------
    center_x, center_y:
        Its middle as a share of the picture's width and height, 0 to 1.
    width, height:
        Of the picture, in pixels. A region is no larger.
    """
    region_width, region_height = min(SIDE_PX[mode], width), min(SIDE_PX[mode], height)
    x = round(center_x * width - region_width / 2)
    y = round(center_y * height - region_height / 2)
    return Region(
        x=min(max(0, x), width - region_width), y=min(max(0, y), height - region_height), width=region_width, height=region_height
    )


def parse_region(text: str) -> Region:
    """The region that a person wrote as `X,Y,WIDTH,HEIGHT`. Raises `core.errors.UsageError`."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) < 7 for part in parts) or "0" in parts[2:]:
        raise UsageError(f"Expected a region as X,Y,WIDTH,HEIGHT in pixels, such as 100,50,512,512; got {text[:60]!r}.")
    x, y, width, height = map(int, parts)
    return Region(x=x, y=y, width=width, height=height)


def check_region(region: Region, width: int, height: int) -> None:
    """Raises `core.errors.UsageError` when a region is not inside a picture."""
    if region.x + region.width > width or region.y + region.height > height:
        raise UsageError(
            f"The region ends at {region.x + region.width},{region.y + region.height}, and the picture has {width}×{height} pixels: "
            "choose one inside."
        )
