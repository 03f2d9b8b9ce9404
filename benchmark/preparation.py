"""The pictures of a comparison, made ready before any model runs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import upscalers
from benchmark import estimates, given_small, jobs
from benchmark.degradation import crop_to_multiple, downscale
from benchmark.environment import machine_facts
from benchmark.regions import check_region
from benchmark.schema import Comparison, ImageFacts
from core.image import ALPHA8, RGB8, Picture, check_output_size, decode, safe_stem

SMALLEST_FOR_HALF_PX = 16


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the models read and what their results are compared with; `(H, W, 3)` uint8 sRGB, transparency apart as `(H, W)`."""

    original: RGB8
    """Cropped to a multiple of the scale; the picture itself where it is enlarged as it is."""
    original_alpha: ALPHA8 | None
    small: RGB8
    small_alpha: ALPHA8 | None


def prepare(directory: Path, job: Comparison) -> Prepared:
    """Read the picture of a comparison, make or read the small one, store both, and note in `job` what was done.

    Raises
    ------
    core.errors.AppError
        The picture can't be compared: damaged, too small, or smaller than its region.
    """
    if job.image is not None:
        return _prepared_before(directory, job)
    source = directory / jobs.SOURCE
    name = (directory / f"{jobs.SOURCE}.name").read_text(encoding="utf-8")
    picture = decode(source.read_bytes(), name=name)
    notes = list(picture.notes)
    rgb, alpha = _compared_part(directory, job, picture)
    if job.mode == "restore":
        scale = int(job.scale)
        original = crop_to_multiple(rgb, scale)
        if original.shape != rgb.shape:
            notes.append(f"Cropped to {original.shape[1]}×{original.shape[0]}, a multiple of {scale}.")
        alpha = None if alpha is None else crop_to_multiple(alpha, scale)
        if job.lr_sha256:
            small, small_alpha = _given_small(directory, job, picture, notes)
        else:
            small = downscale(original, scale, job.downscale)
            small_alpha = None if alpha is None else downscale(alpha, scale, job.downscale)
        if alpha is not None or small_alpha is not None:
            notes.append("Transparency is enlarged separately by bicubic; scores are taken on white.")
    else:
        check_output_size(rgb.shape[1], rgb.shape[0], job.scale)
        original, small, small_alpha = rgb, rgb, alpha
        if alpha is not None:
            notes.append("Transparency is enlarged separately by bicubic.")
    job.image = ImageFacts(
        name=safe_stem(name),
        sha256=picture.sha256,
        width=original.shape[1],
        height=original.shape[0],
        whole_width=picture.width if job.region else None,
        whole_height=picture.height if job.region else None,
        stored_channels=picture.stored_channels,
        has_alpha=alpha is not None,
        notes=notes,
    )
    job.original_path = jobs.keep_picture(directory, original, alpha)
    if job.mode == "restore":
        job.downscaled_path = jobs.keep_picture(directory, small, small_alpha)
        job.downscaled_height, job.downscaled_width = small.shape[:2]
    job.machine = machine_facts()
    _expect(job, small)
    jobs.forget_source(directory)
    return Prepared(original, alpha, small, small_alpha)


def _prepared_before(directory: Path, job: Comparison) -> Prepared:
    """The stored pictures of a comparison of which a part is run again. Raises `core.errors.UsageError` when they are gone."""
    original = jobs.read_picture(directory, job.original_path)
    small = original if job.mode == "as-is" else jobs.read_picture(directory, job.downscaled_path)
    _expect(job, small.rgb)
    return Prepared(original.rgb, original.alpha, small.rgb, small.alpha)


def _expect(job: Comparison, small: RGB8) -> None:
    """Note in each row that waits what a call is expected to take."""
    for row in job.rows:
        spec = upscalers.find(row.upscaler)
        if spec is not None and row.status is None:
            spec = spec.with_tile(row.scale, row.tile_limit)
            pixels = estimates.processed_pixels(spec, row.scale, *small.shape[:2])
            expected = estimates.estimate(spec, row.scale, row.runtime, row.precision, pixels, row.options)
            row.expected_s = expected.seconds if expected else None


def _compared_part(directory: Path, job: Comparison, picture: Picture) -> tuple[RGB8, ALPHA8 | None]:
    """The pixels that are compared; the whole picture is kept where they are a region of it."""
    region = job.region
    if region is None:
        return picture.rgb, picture.alpha
    check_region(region, picture.width, picture.height)
    job.whole_path = jobs.keep_picture(directory, picture.rgb, picture.alpha)
    alpha = None if picture.alpha is None else np.ascontiguousarray(region.cut(picture.alpha))
    return np.ascontiguousarray(region.cut(picture.rgb)), alpha


def _given_small(directory: Path, job: Comparison, picture: Picture, notes: list[str]) -> tuple[RGB8, ALPHA8 | None]:
    """The small picture that came with the original, or the region of it."""
    region, scale = job.region, int(job.scale)
    given = given_small.read(directory, (picture.width, picture.height), scale)
    notes += ["The small picture is your own.", *(f"Small picture: {note}" for note in given.notes)]
    if region is None:
        return given.rgb, given.alpha
    job.whole_downscaled_path = jobs.keep_picture(directory, given.rgb, given.alpha)
    part = given_small.part(region, scale)
    alpha = None if given.alpha is None else np.ascontiguousarray(part.cut(given.alpha))
    return np.ascontiguousarray(part.cut(given.rgb)), alpha


def needs_f32(small: RGB8) -> bool:
    """Whether a small picture is for f32 alone: of a few pixels, networks in half precision make colours that were never there."""
    return min(small.shape[:2]) < SMALLEST_FOR_HALF_PX
