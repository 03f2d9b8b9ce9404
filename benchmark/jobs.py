"""Stored comparisons: a directory each, with `job.json` and the pictures, named by the hash of their content.

The directory is the only state: whoever can read it, in whatever process, now or after a restart, sees the same comparison.
"""

import contextlib
import datetime
import hashlib
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
from filelock import FileLock
from pydantic import ValidationError

from benchmark import given_small, parts
from benchmark.given_small import Upload
from benchmark.plan import Plan
from benchmark.schema import Comparison
from core.errors import AppError, UsageError
from core.files import write_atomically
from core.image import ALPHA8, RGB8, Picture, decode, encode_png
from core.settings import settings

log = logging.getLogger(__name__)

JOB_ID = re.compile(r"[A-Za-z0-9_-]{16}")
PICTURE_NAME = re.compile(r"[0-9a-f]{32}\.png")
EXAMPLE = "example"
"""Id of the comparison that comes with the program: it can be seen as all others, and is never changed."""
EXAMPLE_FOLDER = Path(__file__).resolve().parent.parent / "assets" / "example"
EVERYBODY = "welcome"
"""The user of comparisons that are shown unasked: nobody's own, so nobody may delete them."""
GONE = "This comparison is no longer here. Start a new one."
SERVER_STOPPED = "The server was stopped. Run again."
SOURCE = "source"
"""The uploaded bytes, until they have been read."""
SOURCE_NAME = "source.name"
LOCK = ".lock"
"""Held in a finished comparison's directory by whoever changes it: its host no longer does."""


def create(plan: Plan, source: bytes, *, name: str, user: str, root: Path | None = None, small: Upload | None = None) -> Path:
    """Write a new comparison and return its directory. The id is hard to guess: it is the key to the pictures.

    Raises
    ------
    core.errors.UsageError
        A small picture is given to a plan that has no use for one.
    """
    rows = plan.rows()
    if small is not None:
        given_small.mark_rows(plan, rows)
    root = root or settings().comparisons
    job_id = secrets.token_urlsafe(12)
    directory = root / job_id
    directory.mkdir(parents=True)
    (directory / SOURCE).write_bytes(source)
    (directory / SOURCE_NAME).write_text(name, encoding="utf-8", errors="replace")
    if small is not None:
        given_small.write(directory, small)
    job = Comparison(
        id=job_id,
        user=user,
        created_at=now(),
        mode=plan.mode,
        scale=plan.scale,
        downscale=plan.downscale,
        lr_sha256=None if small is None else small.sha256,
        seed=plan.seed,
        region=plan.region,
        metrics=list(dict.fromkeys(plan.metrics)),
        repeats=plan.repeats,
        # Until the host takes it over, whoever made it answers for it.
        host_pid=os.getpid(),
        host_mark=process_mark(os.getpid()),
        rows=rows,
    )
    save(directory, job)
    return directory


def save(directory: Path, job: Comparison, *, durable: bool = True) -> None:
    """Replace `job.json`, whole or not at all; `durable` also waits until it is on the disk."""
    job.revision += 1
    if not job.active and job.finished_at is None:
        job.finished_at = now()
    write_atomically(directory / "job.json", job.model_dump_json(by_alias=True).encode(), durable=durable)


def now() -> str:
    """The time as documents hold it: UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def seconds_since(moment: str) -> float:
    """Seconds from a time of `now` until now."""
    return (datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(moment)).total_seconds()


def store_picture(directory: Path, png: bytes) -> str:
    """Keep a picture under the hash of its bytes; returns the file name."""
    name = f"{hashlib.sha256(png).hexdigest()[:32]}.png"
    if not (directory / name).exists():
        write_atomically(directory / name, png)
    return name


def keep_picture(directory: Path, rgb: RGB8, alpha: ALPHA8 | None = None) -> str:
    """Code pixels as PNG and keep them, a large picture also in the form that parts are cut from; returns the file name."""
    name = store_picture(directory, encode_png(rgb, alpha))
    try:
        parts.keep_levels(directory / name, rgb, alpha)
    except OSError as error:
        # They are made again when somebody looks at them; the picture itself is there.
        log.warning("The parts of %s could not be kept: %s", directory / name, error)
    return name


def read_picture(directory: Path, name: str | None, *, at_least: tuple[int, int] = (0, 0)) -> Picture:
    """A stored picture's pixels; one of this width and height is read whatever the limits are. Raises `UsageError` when it is gone."""
    try:
        data = (directory / (name or "")).read_bytes()
    except OSError as error:
        raise UsageError(GONE) from error
    return decode(data, at_least=at_least)


def picture_path(job_id: str, name: str) -> Path | None:
    """The file behind the address of a picture; None for anything that is not one of ours."""
    directory = directory_of(job_id)
    if directory is None or not PICTURE_NAME.fullmatch(name):
        return None
    path = directory / name
    return path if path.is_file() else None


def directory_of(job_id: str, root: Path | None = None) -> Path | None:
    """Where a comparison of this id lies if it exists; None for a text that is no id."""
    if job_id == EXAMPLE:
        return EXAMPLE_FOLDER
    return (root or settings().comparisons) / job_id if JOB_ID.fullmatch(job_id) else None


def load(directory: Path) -> Comparison:
    """Read a comparison.

    Raises
    ------
    core.errors.UsageError
        It is not there or can't be read.
    """
    try:
        return Comparison.model_validate_json((directory / "job.json").read_bytes())
    except OSError:
        raise UsageError(GONE) from None
    except ValidationError as error:
        raise AppError("This comparison was written by another version or is damaged. Start a new one.") from error


def load_finished(directory: Path) -> Comparison:
    """Read a comparison that is to be changed. Raises `core.errors.UsageError` when it is gone or still runs."""
    job = load(directory)
    if job.active:
        # Its host holds the whole document and would write over the change.
        raise UsageError("This comparison still runs. Wait until it has finished.")
    return job


def reopen(directory: Path, row_id: str, *, tile_px: int | None = None) -> None:
    """Queue a finished comparison again for one of its rows that gave no picture; the others keep their results.

    Parameters
    ----------
    row_id:
        The row's upscaler.
    tile_px:
        Side of the tiles to run it with; None: as before.

    Raises
    ------
    core.errors.UsageError
        The comparison is gone, still runs, has no pictures to run on, or no such row.
    """
    load_finished(directory)
    with FileLock(directory / LOCK):
        job = load_finished(directory)
        if job.image is None or not run_again(job, row_id, tile_px):
            raise UsageError("This can't be run again. Press Compare.")
        job.state, job.reason, job.finished_at, job.queued_at = "queued", None, None, now()
        job.host_pid, job.host_mark = os.getpid(), process_mark(os.getpid())
        save(directory, job)


def run_again(job: Comparison, row_id: str, tile_px: int | None) -> bool:
    """Put a waiting row in the place of one that gave no picture; False where there is none of this upscaler."""
    for index, row in enumerate(job.rows):
        if row.upscaler == row_id and row.given is None and row.status not in (None, "ok"):
            job.rows[index] = row.again(tile_px)
            return True
    return False


def find(job_id: str) -> Path | None:
    """The directory of a stored comparison, or None."""
    directory = directory_of(job_id)
    return directory if directory is not None and (directory / "job.json").is_file() else None


def process_mark(pid: int) -> str | None:
    """Something that no later process with the same number shares; None when there is no such process.

    Linux counts ticks since the machine's start, which no change of the clock moves.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        try:
            return f"{psutil.Process(pid).create_time():.0f}"
        except psutil.NoSuchProcess:
            return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def host_is_alive(job: Comparison) -> bool:
    """Whether the process that answers for it still runs."""
    return job.host_pid is not None and job.host_mark is not None and process_mark(job.host_pid) == job.host_mark


def close_interrupted(root: Path | None = None) -> None:
    """Finish the comparisons whose host has died: what was done stays, the rest is marked as stopped."""
    for job in all_jobs(root):
        if job.active and not host_is_alive(job):
            close_job((root or settings().comparisons) / job.id, job)


def close_job(directory: Path, job: Comparison) -> None:
    """Finish a comparison that nobody works on any more."""
    stop_rows(job, SERVER_STOPPED)
    save(directory, job)
    forget_source(directory)


def forget_source(directory: Path) -> None:
    """Remove the uploads, which may hold more than pixels (where a photo was taken), once they have been read or never will be."""
    for name in (SOURCE, SOURCE_NAME, *given_small.FILES):
        (directory / name).unlink(missing_ok=True)


def stop_rows(job: Comparison, reason: str) -> None:
    """Mark the comparison as cancelled; rows without a picture become `cancelled` with this reason."""
    job.state, job.reason = "cancelled", reason
    for row in job.rows:
        if row.status is None:
            row.status, row.reason = "cancelled", reason
            row.forget_result()
        elif row.stage == "timing":
            row.timing_note = "Stopped before its time was measured."
        row.stage = "done"


def delete(job_id: str) -> None:
    """Remove a finished comparison and its pictures; the example stays."""
    directory = find(job_id)
    if directory is not None and job_id != EXAMPLE:
        shutil.rmtree(directory)


def directories(root: Path) -> list[Path]:
    """Everything in a store that has the name of a comparison."""
    return [each for each in root.iterdir() if JOB_ID.fullmatch(each.name) and each.is_dir()] if root.is_dir() else []


def all_jobs(root: Path | None) -> Iterator[Comparison]:
    """Every comparison that can be read, in no order. One that is being deleted or comes from another version is left out."""
    for directory in directories(root or settings().comparisons):
        with contextlib.suppress(AppError):
            yield load(directory)
