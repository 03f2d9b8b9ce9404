"""Results that a person adds to a finished comparison: a picture from any other tool, scored like the models' own.

Such a row names its file and its hash instead of a runtime and weights, and has no times: nothing was run.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from benchmark import jobs
from benchmark.given_small import LR_SOURCE, Upload
from benchmark.labels import label_of
from benchmark.schema import Comparison, GivenFile, Mode, Region, Row
from benchmark.scoring import Layers, score_more, score_row
from benchmark.scoring_process import ScoringProcess
from core.errors import ImageError, UsageError
from core.image import Picture, decode, safe_stem
from core.settings import settings

RUNTIME = "given"
"""What `runtime` and `precision` say in a row that was added."""
MAX_RESULTS = 20
"""How many one comparison takes: each is stored."""
MAX_NAME_CHARACTERS = 60


@dataclass(frozen=True)
class Frame:
    """The sizes that an added result may have, each a width and a height in pixels."""

    size: tuple[int, int]
    """That of the comparison's own results."""
    whole: tuple[int, int] | None = None
    """Where a region is compared: that of a result of the whole picture, of which the region is then taken."""
    corner: tuple[int, int] = (0, 0)
    """Where the region lies in that."""

    @property
    def largest(self) -> tuple[int, int]:
        """Room for either."""
        return self.whole or self.size


def frame(mode: Mode, scale: float, size: tuple[int, int], region: Region | None) -> Frame:
    """The sizes of results of a picture.

    Parameters
    ----------
    size:
        Width and height of the whole picture.
    region:
        The part that is compared; None for the whole.
    """
    enlarged = scale if mode == "as-is" else 1

    def of(width: int, height: int) -> tuple[int, int]:
        if mode == "restore":
            width, height = (side - side % int(scale) for side in (width, height))
        return round(width * enlarged), round(height * enlarged)

    if region is None:
        return Frame(of(*size))
    part, whole = of(region.width, region.height), of(*size)
    corner = round(region.x * enlarged), round(region.y * enlarged)
    # At the right or lower edge the region may hold what the crop to a multiple takes from the whole picture.
    inside = corner[0] + part[0] <= whole[0] and corner[1] + part[1] <= whole[1]
    allowed = whole[0] * whole[1] <= settings().max_output_mp * 1e6
    return Frame(part, whole, corner) if inside and allowed else Frame(part)


def frame_of(job: Comparison) -> Frame:
    """The same for a comparison whose picture has been read. Raises `UsageError` if it has not."""
    if job.image is None:
        raise UsageError("This comparison has no picture yet. Wait until it has finished.")
    whole = job.image.whole_width or job.image.width, job.image.whole_height or job.image.height
    return frame(job.mode, job.scale, whole, job.region)


def read_result(upload: Upload, frame: Frame) -> Picture:
    """Decode a result and check its size; of a result of the whole picture, the region is taken.

    Raises
    ------
    ImageError
        It is no picture, or has another size; the message names both.
    """
    picture = decode(upload.source, name=upload.name, at_least=frame.largest)
    if (picture.width, picture.height) == frame.size:
        return picture
    if (picture.width, picture.height) != frame.whole:
        sizes = " or, of the whole picture, ".join(f"{width}×{height}" for width, height in filter(None, (frame.size, frame.whole)))
        raise ImageError(
            f"{safe_stem(upload.name)} is {picture.width}×{picture.height} and the results here are {sizes}: "
            "export it at exactly that size. Nothing is resized to make a score possible."
        )
    part = Region(x=frame.corner[0], y=frame.corner[1], width=frame.size[0], height=frame.size[1])
    alpha = None if picture.alpha is None else np.ascontiguousarray(part.cut(picture.alpha))
    notes = (*picture.notes, "The region of it is compared.")
    return dataclasses.replace(picture, rgb=np.ascontiguousarray(part.cut(picture.rgb)), alpha=alpha, notes=notes)


def clean_name(name: str) -> str:
    """A name on one line, without characters that can't be seen. Raises `UsageError` when nothing is left, or too much."""
    seen = "".join(" " if character.isspace() else character for character in unicodedata.normalize("NFC", name))
    plain = " ".join("".join(each for each in seen if unicodedata.category(each)[0] != "C").split())
    if not 0 < len(plain) <= MAX_NAME_CHARACTERS:
        raise UsageError(f"The name of a result has 1 to {MAX_NAME_CHARACTERS} characters; got {len(plain)}. Choose another one.")
    return plain


def add(directory: Path, upload: Upload, *, name: str) -> Row:
    """Add a result to a finished comparison: score it, store its pixels, and write its row.

    Parameters
    ----------
    directory:
        That of the comparison.
    upload:
        A picture file of the results' size or, where a region is compared, of the size of a whole result.
    name:
        For people. A name that is taken gets a number.

    Returns
    -------
    The new row. Its id begins with `given-`, and is no other row's.

    Raises
    ------
    UsageError
        The comparison is gone, still runs, or has no picture or enough results; or the name is none.
    ImageError
        The file is no picture of that size.
    """
    title = clean_name(name)
    job = jobs.load_finished(directory)
    picture = read_result(upload, frame_of(job))
    with FileLock(directory / jobs.LOCK):
        job = jobs.load_finished(directory)
        if sum(row.given is not None for row in job.rows) >= MAX_RESULTS:
            raise UsageError(f"A comparison takes {MAX_RESULTS} added results: remove one first.")
        row = Row(
            upscaler=_untaken(f"given-{_slug(title)}", "-{}", {row.upscaler for row in job.rows}),
            name=_untaken(title, " ({})", {label_of(row).name for row in job.rows}),
            given=GivenFile(name=safe_stem(upload.name), sha256=picture.sha256, notes=list(picture.notes)),
            scale=job.scale,
            runtime=RUNTIME,
            precision=RUNTIME,
            threads=0,
            workers=0,
            status="ok",
            lr_source="input" if job.mode == "as-is" else LR_SOURCE if job.lr_sha256 else job.downscale,
            width=picture.width,
            height=picture.height,
            stage="done",
        )
        original = _stored(directory, job.original_path, row)
        small = original if job.mode == "as-is" else _stored(directory, job.downscaled_path, row)
        result = Layers(picture.rgb, picture.alpha)
        score_row(job, row, result, small=small, original=None if job.mode == "as-is" else original)
        row.output_path = jobs.keep_picture(directory, picture.rgb, picture.alpha)
        with ScoringProcess() as process:
            score_more(directory, job, row, process)
        job.rows.append(row)
        jobs.save(directory, job)
    return row


def remove(directory: Path, row_id: str) -> None:
    """Take an added result out of its comparison again, with its picture; one that is no longer there is no error.

    Raises
    ------
    UsageError
        The comparison is gone, or the row is a model's.
    """
    jobs.load_finished(directory)
    with FileLock(directory / jobs.LOCK):
        job = jobs.load_finished(directory)
        row = next((row for row in job.rows if row.upscaler == row_id), None)
        if row is None:
            return
        if row.given is None:
            raise UsageError(f"{label_of(row).name} was computed here: only added results can be removed.")
        job.rows.remove(row)
        jobs.save(directory, job)
        pictures = {job.original_path, job.downscaled_path, job.whole_path, job.whole_downscaled_path}
        kept = pictures.union(other.output_path for other in job.rows)
        if row.output_path and row.output_path not in kept:
            (directory / row.output_path).unlink(missing_ok=True)


def _stored(directory: Path, name: str | None, row: Row) -> Layers:
    """A picture of the comparison. None is larger than its results."""
    picture = jobs.read_picture(directory, name, at_least=(row.width or 0, row.height or 0))
    return Layers(picture.rgb, picture.alpha)


def _slug(name: str) -> str:
    """Latin letters and digits of a name, without accents; `result` for a name without any."""
    latin = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", latin).strip("-") or "result"


def _untaken(wish: str, ending: str, taken: Container[str]) -> str:
    """The wish, or, where it is taken, the wish with the first number that is free."""
    names = (wish if number == 1 else wish + ending.format(number) for number in range(1, 10_000))
    return next(name for name in names if name not in taken)
