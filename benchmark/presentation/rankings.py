"""Rankings as tables for people and papers, and as documents for programs."""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from benchmark.ranking.leaderboard import BASELINE, Entry, Ranking
from benchmark.ranking.statistics import Mean
from metrics import METRICS, MORE

HEADINGS = (
    *("rank", "upscaler", "aim", "n", "PSNR dB", "95 %", "SSIM", f"to {BASELINE}", "p50", "p95"),
    *("memory", "parameters", "licence", "runtime"),
)
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {char: f"\\{char}" for char in "&%$#_{}"}


def document(rankings: Iterable[Ranking]) -> dict[str, Any]:
    """The JSON document of `leaderboard`."""
    return {
        "schema": 1,
        "rankings": [
            {
                **{name: value for name, value in asdict(ranking).items() if name != "entries"},
                "fingerprint": ranking.fingerprint,
                "entries": [{name: value for name, value in asdict(entry).items() if name != "psnr_of"} for entry in ranking.entries],
            }
            for ranking in rankings
        ],
    }


def as_csv(rankings: Iterable[Ranking]) -> str:
    """A line per entry of every ranking, numbers in full."""
    lines = []
    for each in document(rankings)["rankings"]:
        entries = each.pop("entries")
        lines += [_flat({**each, **entry}) for entry in entries]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(dict.fromkeys(name for line in lines for name in line)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def as_markdown(rankings: Iterable[Ranking]) -> str:
    """A table per ranking, with its title and notes."""
    parts = []
    for ranking in rankings:
        heads, more = headings(ranking), metrics_of(ranking)
        lines = [heads, tuple("---" for _ in heads), *(cells(entry, more) for entry in ranking.entries)]
        table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        parts.append("\n\n".join([f"### {title(ranking)}", table, *notes(ranking)]))
    return "\n\n".join(parts) + "\n"


def as_latex(rankings: Iterable[Ranking]) -> str:
    """A `tabular` per ranking, with `booktabs` rules; the best PSNR and SSIM of each aim are bold."""
    parts = []
    for ranking in rankings:
        heads, more = headings(ranking), metrics_of(ranking)
        lines = [" & ".join(_tex(heading) for heading in heads) + r" \\", r"\midrule"]
        for entry in ranking.entries:
            line = [_tex(cell) for cell in cells(entry, more)]
            for place, best in ((4, entry.rank == 1), (6, _has_best_ssim(entry, ranking.entries))):
                line[place] = rf"\textbf{{{line[place]}}}" if best else line[place]
            lines.append(" & ".join(line) + r" \\")
        head = [
            f"% {title(ranking)}",
            *(f"% {note}" for note in notes(ranking)),
            rf"\begin{{tabular}}{{{'l' * len(heads)}}}",
            r"\toprule",
        ]
        parts.append("\n".join([*head, *lines, r"\bottomrule", r"\end{tabular}"]))
    return "\n\n".join(parts) + "\n"


def title(ranking: Ranking) -> str:
    """What is ranked, and the id of the conditions: `Set5 x4, y, given small pictures, 5 pictures, conditions ab91d02fa03a4e2c`."""
    made = "given small pictures" if ranking.lr_source == "file" else f"shrunk by {ranking.lr_source} ({ranking.downscale_library})"
    what = f"{ranking.dataset} x{ranking.scale}, {ranking.protocol}, {made}"
    return f"{what}, {ranking.dataset_pictures} pictures, conditions {ranking.fingerprint}"


def notes(ranking: Ranking) -> list[str]:
    """What a reader has to know beside the numbers, a sentence each."""
    said = []
    if any(entry.rank is None for entry in ranking.entries):
        said.append("Without a rank: results for some pictures are missing.")
    if any(entry.identical for entry in ranking.entries):
        said.append("Pictures without any difference have an infinite PSNR and are left out of its mean.")
    if any(entry.times and not entry.times.exclusive for entry in ranking.entries):
        said.append("* Times beside other workers or programs; they do not compare with those of a model alone.")
    if any(entry.times and not entry.times.warm for entry in ranking.entries):
        said.append("Times are of the one call that each picture had; runs with warm calls measure those too.")
    disturbed = [f"{entry.name} {entry.times.disturbed}" for entry in ranking.entries if entry.times and entry.times.disturbed]
    if disturbed:
        said.append(f"Times leave out the pictures whose calls were disturbed by other programs: {', '.join(disturbed)}.")
    if len({entry.aim for entry in ranking.entries}) > 1:
        said.append("Ranks are within an aim: vivid models score lower by design.")
    if any(entry.verified_weights is False for entry in ranking.entries):
        said.append("† Weights other than the published ones.")
    return said


def metrics_of(ranking: Ranking) -> tuple[str, ...]:
    """The ids of the metrics that were asked for in any run of a ranking."""
    return tuple(metric.id for metric in MORE if any(metric.id in entry.metrics for entry in ranking.entries))


def headings(ranking: Ranking) -> tuple[str, ...]:
    """`HEADINGS`, and a column for each metric that was asked for."""
    return (*HEADINGS, *(METRICS.get(name).short_name for name in metrics_of(ranking)))


def cells(entry: Entry, more: Sequence[str] = ()) -> tuple[str, ...]:
    """An entry as texts, in the order of `headings`; `more` is that of `metrics_of`."""
    times, difference = entry.times, entry.against_baseline
    mark = "" if times is None or times.exclusive else "*"
    return (
        "-" if entry.rank is None else str(entry.rank),
        entry.upscaler + ("†" if entry.verified_weights is False else ""),
        entry.aim or "-",
        f"{entry.pictures} ({entry.failed} missing)" if entry.failed else str(entry.pictures),
        _number(entry.psnr_db, 2),
        f"{entry.psnr_db.low:.2f} to {entry.psnr_db.high:.2f}" if entry.psnr_db else "-",
        _number(entry.ssim, 4),
        f"{difference.value:+.2f} {difference.opinion}" if difference else "-",
        _seconds(times.p50_s) + mark if times else "-",
        _seconds(times.p95_s) + mark if times else "-",
        f"{entry.peak_rss_mib:.0f} MiB" if entry.peak_rss_mib else "-",
        f"{entry.parameters / 1e6:.3g} M" if entry.parameters else "-",
        entry.license or "-",
        f"{entry.runtime}/{entry.precision}" + (f", tiles of {entry.tile_limit}" if entry.tile_limit else ""),
        *(_number(entry.metrics.get(name), 4) for name in more),
    )


def _number(mean: Mean | None, digits: int) -> str:
    return "-" if mean is None else f"{mean.value:.{digits}f}"


def _seconds(value: float) -> str:
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def _has_best_ssim(entry: Entry, entries: Sequence[Entry]) -> bool:
    best = max((each.ssim.value for each in entries if each.aim == entry.aim and each.ssim and each.rank), default=math.nan)
    return entry.rank is not None and entry.ssim is not None and entry.ssim.value == best


def _tex(text: str) -> str:
    return re.sub(r"[\\~^&%$#_{}]", lambda found: _LATEX[found[0]], text).replace("†", r"\dag{}")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as columns: `psnr_db_value`, `times_p50_s`."""
    line: dict[str, Any] = {}
    for name, value in values.items():
        if name == "options":
            line[prefix + name] = json.dumps(value) if value else ""
        elif isinstance(value, dict):
            line |= _flat(value, f"{prefix}{name}_")
        elif isinstance(value, list | tuple):
            line[prefix + name] = " ".join(map(str, value))
        elif value is not None:
            line[prefix + name] = value
    return line
