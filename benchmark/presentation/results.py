"""What a comparison looks like: pictures for the viewer, and the status line."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypedDict

from benchmark import given, jobs, maps
from benchmark.labels import label_of
from benchmark.presentation.format import day, number, seconds
from benchmark.presentation.table import KINDS, STAGES
from benchmark.presentation.viewer import Shown, State
from benchmark.remedies import remedy_of
from benchmark.schema import Comparison, Row

Address = Callable[[str], str]
"""Gives the address under which a stored picture can be fetched, from its file name."""


class View(TypedDict):
    """Sides, zoom and centre as `viewer` takes them."""

    left: str
    right: str
    zoom: float | None
    center: tuple[float, float] | None


FRESH_S = 3.0
SHOWN_FIRST = "realesr-general-x4v3"
"""What the right side begins with, where it is there: beside bicubic it differs most at first sight."""
FACE = (225.0, 120.0)
"""The middle of the astronaut's face, in pixels."""
MEANING = (
    "PSNR and SSIM measure sameness with the original. *Vivid* models are made to look sharp and natural and score lower by design: "
    "compare scores within an aim, and judge across by eye."
)
MEANING_AS_IS = (
    "There is no original to score against: judge by eye. Each result is shrunk back to your picture's size by bicubic: "
    "*Agrees with your picture* is the PSNR between the two (higher is better), *Colour shift* their mean CIEDE2000 "
    "(lower is better; about 1 can just be seen). Both say whether a result is true to your picture, not whether it is sharp."
)
NAMES_HIDDEN = "Names are hidden, and the scores with them: judge by eye, then press Reveal."
SAMPLE = "A sample, restored by the interpolators. Choose a picture and upscalers, then press Compare."
Looks = Literal["pictures", "errors", "disagreement"]
LOOKS: dict[Looks, str] = {"pictures": "Pictures", "errors": "Error maps", "disagreement": "Where results disagree"}


def shown_maps(job: Comparison, directory: Path, kind: Looks, address: Address) -> list[Shown]:
    """The same pictures with maps of where they differ: each result's from the original, or one of all results from each other."""
    pictures = shown_pictures(job, address)
    if kind == "errors":
        names = {row.upscaler: maps.error_path(directory, job, row) for row in job.rows}
        return [replace(each, url=address(name)) if (name := names.get(each.id)) else each for each in pictures]
    name = maps.disagreement_path(directory, job) if kind == "disagreement" else None
    if name is None:
        return pictures
    width, height = frame(job)
    caption = f"black: all alike; brightest: {maps.FULL_LEVELS} levels apart or more"
    return [*pictures, Shown("disagreement", "Where results disagree", address(name), width, height, caption, "ready", "", None)]


def shown_pictures(job: Comparison, address: Address) -> list[Shown]:
    """Original, downscaled and all results, for the viewer."""
    pictures: list[Shown] = []
    image = job.image
    if image and job.original_path:
        label = "Original" if job.mode == "restore" else "Your picture"
        url = address(job.original_path)
        pictures.append(_given("original", label, url, image.width, image.height, pixelated=job.mode == "as-is"))
    if job.downscaled_path and job.downscaled_width and job.downscaled_height:
        label = "Your small version" if job.lr_sha256 else "Downscaled"
        url = address(job.downscaled_path)
        pictures.append(_given("downscaled", label, url, job.downscaled_width, job.downscaled_height, pixelated=True))
    return [*pictures, *(_result(job, row, address) for row in job.rows)]


def frame(job: Comparison) -> tuple[int, int]:
    """Width and height of the results."""
    if job.image is None:
        return (512, 512)
    return given.frame_of(job).size


def is_fresh(job: Comparison) -> bool:
    """Whether it ended just now: the viewer still has to be led to the last picture."""
    return job.finished_at is not None and jobs.seconds_since(job.finished_at) < FRESH_S


def start_view(job: Comparison) -> View:
    """Where the viewer begins: bicubic against what was added, a vivid model or the last result; the first sample at its face."""
    added = [row.upscaler for row in job.rows if row.output_path and row.given]
    there = [row.upscaler for row in job.rows if row.output_path]
    left = "bicubic" if any(row.upscaler == "bicubic" for row in job.rows) else "original"
    right = SHOWN_FIRST if SHOWN_FIRST in there and not added else (added or there or ["original"])[-1]
    face = job.image and job.image.name == "astronaut" and (job.image.width, job.image.height) == (512, 512) and job.mode == "restore"
    return {"left": left, "right": right, "zoom": 2.0 if face else None, "center": FACE if face else None}


def _given(picture_id: str, label: str, url: str, width: int, height: int, *, pixelated: bool) -> Shown:
    caption = f"{width}×{height}" + (", enlarged by nearest" if pixelated else "")
    return Shown(picture_id, label, url, width, height, caption, "ready", "", None, pixelated)


def _result(job: Comparison, row: Row, address: Address) -> Shown:
    words = label_of(row)
    width, height = frame(job)
    url = address(row.output_path) if row.output_path else None
    state: State = "ready" if row.stage == "done" else row.stage
    message = STAGES[row.stage]
    if row.stage == "running" and row.tiles_total > 1:
        message = f"{row.progress_unit.capitalize()} {min(row.tiles_done + 1, row.tiles_total)} of {row.tiles_total}"
    if row.stage == "done" and not row.output_path:
        state, message = "failed", row.reason or "No picture"
    # Only while it is at work: a bar that is full says nothing, and would hide that the model is being timed.
    progress = row.tiles_done / row.tiles_total if row.tiles_total and row.stage == "running" else None
    parts = [KINDS[words.aim].lower()]
    if row.scores:
        scores = row.scores["rgb"]
        parts.append("identical" if scores.identical else f"{number(scores.psnr_db, 2)} dB")
    if row.output_path and not row.given:
        parts.append(seconds(row.warm_p50_s or row.first_s))
    shown = Shown(row.upscaler, words.name, url, width, height, " · ".join(parts), state, message, progress)
    remedy = remedy_of(job, row) if state == "failed" else None
    if remedy is not None:
        return replace(shown, message=remedy.reason, action=remedy.label)
    return shown


def status_line(job: Comparison, ahead: int) -> str:
    """One sentence on where a comparison stands."""
    done = sum(row.stage in ("timing", "done") for row in job.rows)
    if job.state == "queued":
        return f"{ahead} job{'s' if ahead != 1 else ''} ahead." if ahead else "Starting."
    if job.state == "running":
        if done == len(job.rows):
            if job.metrics and all(row.stage == "done" for row in job.rows):
                return "All pictures and times are here; computing more scores."
            return "All pictures are here; measuring warm times."
        left = [row.remaining_s(jobs.seconds_since(row.started_at) if row.started_at else 0.0) for row in job.rows]
        about = f", about {seconds(max(1.0, sum(each or 0.0 for each in left)))} left" if None not in left else ""
        return f"{done} of {len(job.rows)} done{about}."
    if job.state in ("cancelled", "failed"):
        return job.reason or "Stopped."
    stopped = sum(row.status == "cancelled" for row in job.rows)
    failed = sum(row.status != "ok" for row in job.rows) - stopped
    said = [f"{count} of {len(job.rows)} {what}." for count, what in ((failed, "failed"), (stopped, "were stopped")) if count]
    return " ".join([f"Measured on {_machine(job)}.", *said])


def page_line(job: Comparison, ahead: int) -> str:
    """The same on the page, which also says of what it shows unasked what that is."""
    if job.id == jobs.EXAMPLE:
        return f"Example, computed on {_machine(job)}, {day(job.created_at)}. Press Compare to measure here."
    status = status_line(job, ahead)
    return f"{SAMPLE} {status}" if job.user == jobs.EVERYBODY else status


def _machine(job: Comparison) -> str:
    return str(job.machine.get("gpu") or job.machine.get("processor"))
