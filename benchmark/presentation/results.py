"""What a comparison looks like: pictures for the viewer, the status line, the table."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Literal, TypedDict

from benchmark import given, jobs, maps
from benchmark.labels import label_of
from benchmark.presentation.format import day, mebibytes, number, seconds
from benchmark.presentation.viewer import Shown, State
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
TIE_DB = 0.05
"""Upscalers whose PSNR differs by no more than this are equally good."""
PROTOCOLS = {"rgb": "Colour", "y": "Luma (papers)"}
MEANING = (
    "PSNR and SSIM measure sameness with the original. *Vivid* models are made to look sharp and natural and score lower by design: "
    "compare scores within an aim, and judge across by eye."
)
MEANING_AS_IS = (
    "There is no original to score against: judge by eye. Each result is shrunk back to your picture's size by bicubic: "
    "*Agrees with your picture* is the PSNR between the two (higher is better), *Colour shift* their mean CIEDE2000 "
    "(lower is better; about 1 can just be seen). Both say whether a result is true to your picture, not whether it is sharp."
)
KINDS = {"faithful": "Faithful", "vivid": "Vivid", "added": "Added by you"}
SAMPLE = "A sample, restored by the interpolators. Choose a picture and upscalers, then press Compare."
Looks = Literal["pictures", "errors", "disagreement"]
LOOKS: dict[Looks, str] = {"pictures": "Pictures", "errors": "Error maps", "disagreement": "Where results disagree"}
STAGES = {"waiting": "Waiting", "loading": "Loading model", "running": "Running", "timing": "Timing", "done": ""}


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
    progress = row.tiles_done / row.tiles_total if row.tiles_total else None
    parts = [KINDS[words.aim].lower()]
    if row.scores:
        scores = row.scores["rgb"]
        parts.append("identical" if scores.identical else f"{number(scores.psnr_db, 2)} dB")
    if row.output_path and not row.given:
        parts.append(seconds(row.warm_p50_s or row.first_s))
    action = "Run again" if state == "failed" and row.status != "unavailable" else ""
    return Shown(row.upscaler, words.name, url, width, height, " · ".join(parts), state, message, progress, action=action)


def status_line(job: Comparison, ahead: int) -> str:
    """One sentence on where a comparison stands."""
    done = sum(row.stage in ("timing", "done") for row in job.rows)
    if job.state == "queued":
        return f"{ahead} job{'s' if ahead != 1 else ''} ahead." if ahead else "Starting."
    if job.state == "running":
        if done == len(job.rows):
            return "All pictures are here; measuring warm times."
        left = [row.remaining_s(jobs.seconds_since(row.started_at) if row.started_at else 0.0) for row in job.rows]
        about = f", about {seconds(max(1.0, sum(each or 0.0 for each in left)))} left" if None not in left else ""
        return f"{done} of {len(job.rows)} done{about}."
    if job.state in ("cancelled", "failed"):
        return job.reason or "Stopped."
    failed = sum(row.status != "ok" for row in job.rows)
    return f"Measured on {_machine(job)}." + (f" {failed} of {len(job.rows)} failed." if failed else "")


def page_line(job: Comparison, ahead: int) -> str:
    """The same on the page, which also says of what it shows unasked what that is."""
    if job.id == jobs.EXAMPLE:
        return f"Example, computed on {_machine(job)}, {day(job.created_at)}. Press Compare to measure here."
    status = status_line(job, ahead)
    return f"{SAMPLE} {status}" if job.user == jobs.EVERYBODY else status


def _machine(job: Comparison) -> str:
    return str(job.machine.get("gpu") or job.machine.get("processor"))


def table(job: Comparison, protocol: str) -> str:
    """The table as HTML: grouped by aim, best within an aim; below 700 pixels of width each row becomes a card.

    Added results stand apart: their aim is not known.
    """
    scored = job.mode == "restore"
    scores = ["PSNR dB", "SSIM", "MSE"] if scored else ["Agrees with your picture", "Colour shift"]
    heads = ["Upscaler", *scores, "Per picture", "You waited", "Memory", "Runtime"]
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = ""
    for aim, heading in KINDS.items():
        rows = [row for row in job.rows if label_of(row).aim == aim]
        if not rows:
            continue
        body += f'<tr class="ub-aim"><th scope="colgroup" colspan="{len(heads)}">{heading}</th></tr>'
        best = set() if aim == "added" else _best(rows, protocol)
        body += "".join(_table_row(row, protocol, heads, scored=scored, best=row.upscaler in best) for row in rows)
    return f'<table class="ub-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def order_note(job: Comparison) -> str | None:
    """A sentence where the two protocols of the page order two models of one aim differently; None where they agree."""
    for aim in ("faithful", "vivid"):
        rows = [row for row in job.rows if label_of(row).aim == aim and row.scores and row.status == "ok"]
        for first, second in itertools.combinations(rows, 2):
            colour, luma = (_lead_db(first, second, protocol) for protocol in PROTOCOLS)
            if min(abs(colour), abs(luma)) > TIE_DB and colour * luma < 0:
                ahead, behind = (first, second) if colour > 0 else (second, first)
                return f"By colour {label_of(ahead).name} is ahead of {label_of(behind).name}, by luma it is the other way round."
    return None


def _lead_db(first: Row, second: Row, protocol: str) -> float:
    """By how much the first is better; 0 where one of them has no PSNR."""
    values = [(row.scores or {})[protocol].psnr_db for row in (first, second)]
    return 0.0 if None in values else (values[0] or 0.0) - (values[1] or 0.0)


def _best(rows: list[Row], protocol: str) -> set[str]:
    """The upscalers within `TIE_DB` of the highest PSNR; nobody is best alone."""
    psnr_db = {}
    for row in rows:
        if row.scores and row.status == "ok":
            scores = row.scores[protocol]
            value = float("inf") if scores.identical else scores.psnr_db
            if value is not None:
                psnr_db[row.upscaler] = value
    if len(psnr_db) < 2:
        return set()
    top = max(psnr_db.values())
    return {upscaler_id for upscaler_id, value in psnr_db.items() if value == top or top - value <= TIE_DB}


def _table_row(row: Row, protocol: str, heads: list[str], *, scored: bool, best: bool) -> str:
    words = label_of(row)
    name = f'<th scope="row" title="{escape(words.summary)}">{escape(words.name)}{_badges(row, best=best)}</th>'
    if not row.output_path:
        text = row.reason if row.stage == "done" else STAGES[row.stage]
        return f'<tr>{name}<td class="ub-reason" colspan="{len(heads) - 1}">{escape(text or "")}</td></tr>'
    if scored and row.scores:
        scores = row.scores[protocol]
        cells = [
            ("identical" if scores.identical else number(scores.psnr_db, 2), scores.reason or _agreement_title(row)),
            (number(scores.ssim, 4), scores.reason or ""),
            (number(scores.mse, 2), scores.reason or ""),
        ]
    else:
        agreement, shift = agreement_cells(row)
        cells = [(agreement, _shrunk_title(row)), (shift, _shrunk_title(row))]
    cells += _costs(row)
    return f"<tr>{name}{''.join(_cell(head, text, title) for head, (text, title) in zip(heads[1:], cells, strict=True))}</tr>"


def agreement_cells(row: Row) -> tuple[str, str]:
    """The two scores that need no original, as people read them; dashes in rows of older versions."""
    agreement = "identical" if row.lr_identical else "–" if row.lr_consistency is None else f"{row.lr_consistency:.2f} dB"
    return agreement, number(row.colour_shift, 2)


def _shrunk_title(row: Row) -> str:
    method = row.lr_downscale
    return f"Shrunk again by {method} and compared with the picture that it was made from" if method else ""


def _agreement_title(row: Row) -> str:
    """The scores that need no original, where there is one: beside those that the table is about."""
    if row.lr_identical is None:
        return ""
    agreement, shift = agreement_cells(row)
    return f"{_shrunk_title(row)}: {agreement}, colour shift {shift}"


def _cell(head: str, text: str, title: str) -> str:
    tip = f' title="{escape(title)}"' if title else ""
    return f'<td data-head="{escape(head)}"{tip}>{escape(text)}</td>'


def _badges(row: Row, *, best: bool) -> str:
    badges = [("ub-best", "best", "Highest PSNR in its aim, ties within 0.05 dB together")] if best else []
    if row.trained_for_another:
        badges.append(
            ("ub-note", "trained for another downscale", f"Its weights were trained on pictures shrunk by {row.trained_for_another}")
        )
    if row.verified_weights is False:
        badges.append(("ub-note", "unverified weights", f"The file's sha256 is not the published one: {row.weights_sha256}"))
    if row.contended:
        badges.append(("ub-note", "contended", "Other programs used the machine while it was timed"))
    return "".join(f' <span class="ub-badge {kind}" title="{escape(title)}">{escape(text)}</span>' for kind, text, title in badges)


def _costs(row: Row) -> list[tuple[str, str]]:
    """Time, waiting, memory and runtime; an added result cost nothing here."""
    if row.given:
        unknown = ("–", "Added, not made here")
        return [unknown, unknown, unknown, ("added", f"sha256 of its file: {row.given.sha256}")]
    return [
        _per_picture(row),
        _waited(row),
        (mebibytes(row.peak_rss_mib), "Largest memory of the model's process during its first call"),
        _runtime(row),
    ]


def _per_picture(row: Row) -> tuple[str, str]:
    if row.stage == "timing":
        return "timing…", ""
    if row.warm_p50_s is None:
        return f"{seconds(row.first_s)} (once)", row.timing_note or "The first call; there are no warm ones."
    speed = f", {row.output_mp_per_s:.2f} output MP/s" if row.output_mp_per_s else ""
    return seconds(
        row.warm_p50_s
    ), f"Median of {row.repeats} warm calls; p95 {seconds(row.warm_p95_s)}{speed}. First call {seconds(row.first_s)}."


def _waited(row: Row) -> tuple[str, str]:
    warm = " It was in memory already." if row.was_warm else ""
    return seconds(
        row.waited_s
    ), f"Start of its process, import {seconds(row.import_s)}, load {seconds(row.load_s)}, first call {seconds(row.first_s)}.{warm}"


def _runtime(row: Row) -> tuple[str, str]:
    tiles = f", tiles of {row.tile}" if row.tile else ""
    return f"{row.runtime} {row.precision}", f"{row.device}, {row.threads} thread{'s' if row.threads != 1 else ''}{tiles}"
