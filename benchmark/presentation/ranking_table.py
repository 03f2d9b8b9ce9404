"""Rankings, pictures and claims as HTML tables for the pages."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from benchmark.presentation.claims import numbers
from benchmark.presentation.rankings import cells, headings, metrics_of
from benchmark.presentation.table import KINDS
from benchmark.ranking.claims import Verdict
from benchmark.ranking.leaderboard import Entry, Ranking
from benchmark.storage.kept_pictures import worst_first

HIDDEN = ("aim",)
"""Columns that the page does not show: its rows stand under their aim."""


def ranking_table(ranking: Ranking, entries: Sequence[Entry]) -> str:
    """The entries of a ranking under their aims, the best of each aim marked."""
    # The name leads, so that a row is called by it.
    heads = [head for head in headings(ranking) if head not in (*HIDDEN, "upscaler")]
    body = []
    for aim in dict.fromkeys(entry.aim for entry in ranking.entries):
        members = [entry for entry in entries if entry.aim == aim]
        if members and aim:
            body.append(f'<tr class="ub-aim"><th colspan="{len(heads) + 1}" scope="rowgroup">{escape(KINDS[aim])}</th></tr>')
        body += [_row(entry, dict(zip(headings(ranking), cells(entry, metrics_of(ranking)), strict=True)), heads) for entry in members]
    head = "".join(f'<th scope="col">{escape(text[0].upper() + text[1:])}</th>' for text in ["Upscaler", *heads])
    return f'<table class="ub-table ub-wide"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


def _row(entry: Entry, texts: Mapping[str, str], names: Sequence[str]) -> str:
    best = '<span class="ub-badge ub-best">best</span>' if entry.rank == 1 else ""
    columns = "".join(f'<td data-head="{escape(name)}">{escape(texts[name])}</td>' for name in names)
    return f'<tr><th scope="row">{escape(entry.name)}{best}</th>{columns}</tr>'


def pictures_table(entry: Entry, baseline: Entry) -> str:
    """Each picture that both have, those where the entry falls back the furthest first."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{_cell(entry.name, entry.psnr_of[name])}{_cell(baseline.name, baseline.psnr_of[name])}'
        f'<td data-head="Difference">{entry.psnr_of[name] - baseline.psnr_of[name]:+.2f}</td></tr>'
        for name in worst_first(entry, baseline)
        if name in baseline.psnr_of
    )
    heads = "".join(f'<th scope="col">{escape(text)}</th>' for text in ("Picture", entry.name, baseline.name, "Difference, dB"))
    return f'<table class="ub-table"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def _cell(name: str, psnr_db: float) -> str:
    return f'<td data-head="{escape(name)}">{psnr_db:.2f}</td>'


def claims_table(verdicts: Iterable[Verdict]) -> str:
    """Published numbers, what was measured, and what is to be thought of them."""
    heads = ("System", "Data set", "Scale", "Score", "Claimed", "Measured", "Difference", "Protocol", "Verdict")
    rows = []
    for verdict in verdicts:
        claim = verdict.claim
        texts = (claim.dataset, f"x{claim.scale}", *numbers(verdict), claim.protocol)
        columns = "".join(f'<td data-head="{escape(head)}">{escape(text)}</td>' for head, text in zip(heads[1:-1], texts, strict=True))
        badge = '<span class="ub-badge ub-best">reproduced</span>' if verdict.status == "reproduced" else escape(verdict.status)
        doubts = "".join(f'<span class="ub-badge" title="{escape(doubt)}">suspicious</span>' for doubt in verdict.suspicions[:1])
        why = escape("; ".join([verdict.reason, *verdict.suspicions, f"Source: {claim.source}"]).lstrip("; "))
        columns += f'<td data-head="Verdict" title="{why}">{badge}{doubts}</td>'
        rows.append(f'<tr><th scope="row">{escape(claim.system)}</th>{columns}</tr>')
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    return f'<table class="ub-table ub-wide"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
