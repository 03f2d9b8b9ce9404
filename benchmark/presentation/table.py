"""The table of a comparison, as HTML: grouped by aim, the best within an aim marked."""

import itertools
from html import escape

from benchmark.labels import label_of
from benchmark.presentation.facts import definition_list
from benchmark.presentation.format import mebibytes, number, seconds
from benchmark.presentation.use_model import use_of
from benchmark.schema import Comparison, Row
from metrics import METRICS, MetricSpec

TIE_DB = 0.05
"""Upscalers whose PSNR differs by no more than this are equally good."""
PROTOCOLS = {"rgb": "Colour", "y": "Luma (papers)"}
KINDS = {"faithful": "Faithful", "vivid": "Vivid", "added": "Added by you"}
STAGES = {"waiting": "Waiting", "loading": "Loading model", "running": "Running", "timing": "Timing", "done": ""}


def table(job: Comparison, protocol: str) -> str:
    """The table as HTML: grouped by aim, best within an aim; below 700 pixels of width each row becomes a card.

    Added results stand apart: their aim is not known. The rows of a comparison that has ended open to everything that else only the
    mouse finds, as titles of their cells; those of a running one would close at its next step.
    """
    scored = job.mode == "restore"
    more = [metric for metric in METRICS if scored and metric.option in job.metrics and protocol in metric.protocols]
    scores = ["PSNR dB", "SSIM", "MSE", *(metric.short_name for metric in more)] if scored else ["Agrees with your picture", "Colour shift"]
    heads = ["Upscaler", *scores, "Per picture", "You waited", "Memory", "Runtime"]
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = ""
    for aim, heading in KINDS.items():
        rows = [row for row in job.rows if label_of(row).aim == aim]
        if not rows:
            continue
        body += f'<tr class="ub-aim"><th scope="colgroup" colspan="{len(heads)}">{heading}</th></tr>'
        best = set() if aim == "added" else _best(rows, protocol)
        body += "".join(
            _table_row(row, protocol, heads, more, scored=scored, best=row.upscaler in best, opens=not job.active) for row in rows
        )
    wide = " ub-wide" if more else ""
    return f'<table class="ub-table{wide}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


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


def _table_row(row: Row, protocol: str, heads: list[str], more: list[MetricSpec], *, scored: bool, best: bool, opens: bool) -> str:
    words = label_of(row)
    name = f'<span class="ub-name">{escape(words.name)}</span>'
    if opens:
        name = f"<details><summary>{name}</summary></details>"
    # A <details> gives no name to the cell that it stands in.
    spoken = ", ".join([words.name, *(["best"] if best else []), *(text for _, text, _ in _badge_texts(row))])
    head = f'<th scope="row" aria-label="{escape(spoken)}" title="{escape(words.summary)}">{name}{_badges(row, best=best)}</th>'
    if not row.output_path:
        text = row.reason if row.stage == "done" else STAGES[row.stage]
        cells, line = [], f'<td class="ub-reason" colspan="{len(heads) - 1}">{escape(text or "")}</td>'
    else:
        cells = [*_scores(row, protocol, more, scored=scored), *_costs(row)]
        line = "".join(_cell(head, text, title) for head, (text, title) in zip(heads[1:], cells, strict=True))
    if opens:
        # What there is to say about an added result stands in its summary, and about the scores that were asked for among the facts.
        told = {metric.short_name for metric in more}
        notes = [(head, title) for head, (_, title) in zip(heads[1:], cells, strict=False) if title and not row.given and head not in told]
        line += f'</tr><tr class="ub-more"><td colspan="{len(heads)}">{_more(row, notes, scored=scored)}</td>'
    return f"<tr>{head}{line}</tr>"


def _scores(row: Row, protocol: str, more: list[MetricSpec], *, scored: bool) -> list[tuple[str, str]]:
    if scored and row.scores:
        scores = row.scores[protocol]
        texts = ("identical" if scores.identical else number(scores.psnr_db, 2), number(scores.ssim, 4), number(scores.mse, 2))
        asked = [
            (number(scores.more.get(metric.id), 4), scores.reasons.get(metric.id) or f"{metric.direction} is better".capitalize())
            for metric in more
        ]
        return [*((text, scores.reason or "") for text in texts), *asked]
    agreement, shift = agreement_cells(row)
    return [(agreement, _shrunk_title(row)), (shift, _shrunk_title(row))]


def _more(row: Row, notes: list[tuple[str, str]], *, scored: bool) -> str:
    """What a row opens to: its summary, the scores that need no original where others stand in the table, its cells' notes, its model."""
    facts = notes
    if scored and row.lr_identical is not None:
        agreement, shift = agreement_cells(row)
        facts = [("Agrees with the small picture", f"{agreement}, colour shift {shift}. {_shrunk_title(row)}."), *notes]
    badges = [(text, title) for _, text, title in _badge_texts(row)]
    return f"<p>{escape(label_of(row).summary)}</p>{definition_list([*badges, *facts, *use_of(row).facts])}"


def agreement_cells(row: Row) -> tuple[str, str]:
    """The two scores that need no original, as people read them; dashes in rows of older versions."""
    agreement = "identical" if row.lr_identical else "–" if row.lr_consistency is None else f"{row.lr_consistency:.2f} dB"
    return agreement, number(row.colour_shift, 2)


def _shrunk_title(row: Row) -> str:
    method = row.lr_downscale
    return f"Shrunk again by {method} and compared with the picture that it was made from" if method else ""


def _cell(head: str, text: str, title: str) -> str:
    tip = f' title="{escape(title)}"' if title else ""
    return f'<td data-head="{escape(head)}"{tip}>{escape(text)}</td>'


def _badges(row: Row, *, best: bool) -> str:
    badges = [("ub-best", "best", "Highest PSNR in its aim, ties within 0.05 dB together")] if best else []
    return "".join(
        f' <span class="ub-badge {kind}" title="{escape(title)}">{escape(text)}</span>'
        for kind, text, title in [*badges, *_badge_texts(row)]
    )


def _badge_texts(row: Row) -> list[tuple[str, str, str]]:
    """Class, text and explanation of what has to be said about a row's numbers."""
    badges = []
    if row.trained_for_another:
        title = f"Its weights were trained on pictures shrunk by {row.trained_for_another}"
        badges.append(("ub-note", "trained for another downscale", title))
    if row.tile_dependent:
        title = f"It looks at the whole picture and was run in tiles of {row.tile} pixels: run whole, its result is a little different"
        badges.append(("ub-note", "scored in tiles", title))
    if row.verified_weights is False:
        badges.append(("ub-note", "unverified weights", f"The file's sha256 is not the published one: {row.weights_sha256}"))
    if row.contended:
        badges.append(("ub-note", "contended", "Other programs used the machine while it was timed"))
    return badges


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
    calls = f"Median of {row.repeats} warm call{'s' if row.repeats != 1 else ''}; p95 {seconds(row.warm_p95_s)}{speed}."
    return seconds(row.warm_p50_s), f"{calls} First call {seconds(row.first_s)}."


def _waited(row: Row) -> tuple[str, str]:
    warm = " It was in memory already." if row.was_warm else ""
    return seconds(
        row.waited_s
    ), f"Start of its process, import {seconds(row.import_s)}, load {seconds(row.load_s)}, first call {seconds(row.first_s)}.{warm}"


def _runtime(row: Row) -> tuple[str, str]:
    tiles = f", tiles of {row.tile}" if row.tile else ""
    chosen = f", tiles of {row.tile}" if row.tile and row.tile_limit else ""
    note = f". {row.tile_note}" if row.tile_note else ""
    threads = f"{row.threads} thread{'s' if row.threads != 1 else ''}"
    return f"{row.runtime} {row.precision}{chosen}", f"{row.device}, {threads}{tiles}{note}"
