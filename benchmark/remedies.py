"""What a person can do about a row that gave no picture: one action that fits its reason."""

from dataclasses import dataclass
from typing import Literal

import upscalers
from benchmark.schema import Comparison, Row


@dataclass(frozen=True)
class Remedy:
    """The action that fits."""

    kind: Literal["again", "smaller-tiles", "download"]
    label: str
    """For a button: `Run again`, `Try smaller tiles`, `Download 5 MB`."""
    reason: str
    """Why there is no picture, in a few words without any advice."""
    tile_px: int | None = None
    """The side of the smaller tiles, in input pixels."""


def remedy_of(job: Comparison, row: Row) -> Remedy | None:
    """The action for a row; None for one that has its picture, still waits or runs, or can't be helped."""
    spec = upscalers.find(row.upscaler)
    if row.status in (None, "ok") or row.given is not None or job.image is None or spec is None:
        return None
    if row.status == "unavailable":
        status = spec.status(row.scale)
        if status.kind == "download":
            return Remedy("download", status.text, "Not downloaded.")
        # Fetched since, as long as it was only for its weights that it could not run.
        return Remedy("again", "Run it", "It was not downloaded.") if status.kind == "ready" and row.runtime in spec.runtimes else None
    if row.status == "oom":
        height, width = (job.image.height, job.image.width) if job.mode == "as-is" else (job.downscaled_height, job.downscaled_width)
        tiling = spec.with_tile(row.scale, row.tile_limit).cut(row.scale)
        smaller = tiling.halved(height, width) if tiling and height and width else None
        reason = f"Out of memory with tiles of {row.tile} px." if row.tile else "Out of memory."
        if smaller is not None:
            return Remedy("smaller-tiles", "Try smaller tiles", reason, smaller.tile_px)
        return Remedy("again", "Run again", reason)
    sentence, stop, _ = (row.reason or "No picture.").partition(". ")
    return Remedy("again", "Run again", f"{sentence}." if stop else sentence)
