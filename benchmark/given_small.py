"""A small picture that a person gives beside the original: it is used instead of shrinking the original here."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark.degradation import DEFAULT_DOWNSCALE
from benchmark.plan import Plan
from benchmark.schema import Region, Row
from core.errors import ImageError, UsageError
from core.image import Picture, decode
from upscalers.spec import SCORED_SCALES

LR_SOURCE = "file"
"""What `lr_source` says in rows whose small picture was given."""
FILES = ("small", "small.name")
"""The upload in a comparison's directory, until it has been read."""


@dataclass(frozen=True)
class Upload:
    """A picture file as it came."""

    source: bytes
    name: str

    @cached_property
    def sha256(self) -> str:
        """Of the file, in hexadecimal."""
        return hashlib.sha256(self.source).hexdigest()


def check(small: tuple[int, int], original: tuple[int, int], scale: int) -> None:
    """Refuse a small picture that does not belong to the original.

    Parameters
    ----------
    small, original:
        Width and height. The original may be larger by less than `scale` pixels a side: it is cropped to a multiple of the
        scale, at the right and bottom, as when the small picture is made here.
    scale:
        How many times smaller the small picture is.

    Raises
    ------
    ImageError
        The sizes do not fit; the message names both.
    """
    if small == _fitting(original, scale):
        return
    width, height = _fitting(original, scale)
    other = next((f"They fit at x{each}." for each in SCORED_SCALES if small == _fitting(original, each)), "Choose the pair that fits.")
    raise ImageError(
        f"The small picture is {small[0]}×{small[1]} and the original {original[0]}×{original[1]}: "
        f"at x{scale} the small one must be {width}×{height}. {other}"
    )


def aligned(region: Region, scale: int) -> Region:
    """The region, moved to the left and up by less than the scale, to where a pixel of the small picture begins."""
    return region.model_copy(update={"x": region.x - region.x % scale, "y": region.y - region.y % scale})


def part(region: Region, scale: int) -> Region:
    """The part of a given small picture that belongs to a region of the original.

    Raises
    ------
    UsageError
        The region begins inside a pixel of the small picture.
    """
    if aligned(region, scale) != region:
        near = aligned(region, scale)
        raise UsageError(
            f"The region begins at {region.x},{region.y}: with a small picture of your own both are multiples of the scale, {scale}. "
            f"The nearest place is {near.x},{near.y}."
        )
    return Region(x=region.x // scale, y=region.y // scale, width=region.width // scale, height=region.height // scale)


def mark_rows(plan: Plan, rows: Sequence[Row]) -> None:
    """Note in the rows of a plan that the small picture is given; how it was made is then not known.

    Raises
    ------
    UsageError
        The plan has no use for a small picture.
    """
    if plan.mode != "restore":
        raise UsageError("A small picture is given beside its original: upscaling a picture as it is takes only the one.")
    if plan.downscale != DEFAULT_DOWNSCALE:
        raise UsageError(f"A small picture is given, so nothing is downscaled: leave the downscale method {plan.downscale!r} out.")
    if plan.region is not None:
        part(plan.region, int(plan.scale))
    for row in rows:
        row.lr_source, row.trained_for_another = LR_SOURCE, None


def write(directory: Path, small: Upload) -> None:
    """Put the upload into a comparison's directory."""
    upload, name = (directory / each for each in FILES)
    upload.write_bytes(small.source)
    name.write_text(small.name, encoding="utf-8", errors="replace")


def read(directory: Path, original: tuple[int, int], scale: int) -> Picture:
    """The small picture in a comparison's directory, checked against the original's width and height. Raises `ImageError`."""
    upload, name = (directory / each for each in FILES)
    small = decode(upload.read_bytes(), name=name.read_text(encoding="utf-8"))
    check((small.width, small.height), original, scale)
    return small


def _fitting(original: tuple[int, int], scale: int) -> tuple[int, int]:
    return original[0] // scale, original[1] // scale
