"""What the bench writes down."""

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case
from numpy.typing import NDArray

from benchmark.environment import machine_facts
from perf.written import machine_name, results_path

REPEATABLE = 0.15
"""How far a ratio may move between two runs."""
HEAD = (
    "| Work | Way | Fastest | Median | Against the first | Of the roofline | Peak memory | Largest difference |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|\n"
)


@dataclass
class Measured:
    """What was seen of one contender."""

    name: str
    facts: dict[str, Any]
    first_s: float = 0.0
    """Of a call before the rounds, once it is warm."""
    seconds: list[float] = field(default_factory=list)
    peak_rss_mib: float = 0.0
    result: NDArray[np.uint8] | None = None
    failure: str | None = None


def document(case: Case, measured: list[Measured], matrix_gflops: float) -> dict[str, Any]:
    """A case as JSON holds it.

    Ratios, like shares of the roofline, are of the fastest calls: as undisturbed as they came. On a machine that others use too, medians
    moved twice as often by more than a sixth from one run to the next.
    """
    first, right = measured[0], measured[case.reference]
    gflop = case.gflop or next((seen.facts["gflop"] for seen in measured if seen.facts.get("gflop")), None)
    rows = []
    for seen in measured:
        row: dict[str, Any] = {"name": seen.name, "facts": seen.facts, "failure": seen.failure, "same_picture": None}
        if seen.seconds:
            median_s = statistics.median(seen.seconds)
            row |= {"median_s": median_s, "fastest_s": min(seen.seconds), "rounds": len(seen.seconds), "peak_rss_mib": seen.peak_rss_mib}
            if first.seconds:
                row["ratio"] = min(first.seconds) / min(seen.seconds)
            if gflop:
                row["roofline"] = gflop / min(seen.seconds) / matrix_gflops
        if seen.result is not None and right.result is not None and seen is not right:
            row |= _difference(case, seen, right.result)
        rows.append(row)
    return {
        "case": case.id,
        "title": case.title,
        "width": case.width,
        "height": case.height,
        "gflop": gflop,
        "matrix_gflops": matrix_gflops,
        "exact": case.exact,
        "contenders": rows,
    }


def _difference(case: Case, seen: Measured, reference: NDArray[np.uint8]) -> dict[str, Any]:
    assert seen.result is not None
    if seen.result.shape != reference.shape:
        return {"largest_levels": None, "same_picture": False}
    names = (seen.name, case.contenders[case.reference].name)
    frame_px = max(contender.frame_px for contender in case.contenders if contender.name in names)
    apart = np.abs(seen.result.astype(np.int16) - reference)
    if frame_px:
        apart = apart[frame_px:-frame_px, frame_px:-frame_px]
    largest = int(apart.max())
    # Rounding to 16 bits is meant to change pixels; whether that is good enough is a matter of calibration, not of this check.
    # Other packages have pixels of their own; only this project's have "runtime" among their facts.
    checked = case.exact and "runtime" in seen.facts and seen.facts["precision"] == "f32"
    return {
        "largest_levels": largest,
        "frame_px": frame_px,
        "share_above_1": float((apart > 1).mean()),
        "same_picture": largest <= case.max_levels if checked else None,
    }


def lines(found: dict[str, Any]) -> str:
    """A case's rows of the table."""
    size = f"{found['width']}x{found['height']}"
    work = f"{found['title']}, {size}" + (f", {found['gflop']:.3g} GFLOP" if found["gflop"] else "")
    rows = []
    for row in found["contenders"]:
        if row["failure"]:
            rows.append(f"| {work} | {row['name']} | failed: {row['failure']} | | | | | |")
            continue
        share = f"{row['roofline']:.0%}" if "roofline" in row else "-"
        levels = row.get("largest_levels")
        apart = "-" if levels is None else f"{levels}" + (f" ({row['share_above_1']:.1%} above 1)" if levels > 1 else "")
        if row.get("frame_px"):
            apart += f", within a frame of {row['frame_px']} px"
        took = f"{_time(row['fastest_s'])} | {_time(row['median_s'])} | {row.get('ratio', 1):.2f}x"
        rows.append(f"| {work} | {row['name']} | {took} | {share} | {row['peak_rss_mib']:.0f} MiB | {apart} |")
        work = ""
    return "\n".join(rows)


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


def write(found: list[dict[str, Any]], device: str) -> Path:
    """Write JSON and Markdown, in which cases that were not run keep what was seen of them before; returns the path of the Markdown."""
    facts = machine_facts()
    table = results_path(device=device)
    path = table.with_suffix(".json")
    if path.exists():
        now = {case["case"]: case for case in found}
        before = json.loads(path.read_text(encoding="utf-8"))["cases"]
        found = [now.pop(case["case"], case) for case in before] + list(now.values())
    path.write_text(json.dumps({"schema": 1, "machine": facts, "device": device, "cases": found}, indent=1) + "\n", encoding="utf-8")
    rates = [case["matrix_gflops"] for case in found]
    versions = ", ".join(f"{name} {facts[name]}" for name in ("torch", "opencv-contrib-python-headless") if facts.get(name))
    head = (
        f"{machine_name(device)}, {versions}; its matrix rate (f32) meanwhile {min(rates):.0f} to {max(rates):.0f} GFLOP/s. "
        "Calls were made in turn; ratios and shares are of the fastest. The difference is to the way that has none, in levels of 255. "
        "Memory that a process frees is kept by it, but for the rows “as it comes”: there glibc decides by what was freed before, and the "
        "same call can take 1.8 times as long in one process as in another.\n\n"
    )
    table.write_text(head + HEAD + "\n".join(lines(case) for case in found) + "\n", encoding="utf-8")
    return table


def agreement(cases: list[Case], first: list[dict[str, Any]], second: list[dict[str, Any]]) -> str:
    """How well the ratios of two runs agree; those of contenders whose speed is left to chance are not looked at."""
    moved = [
        (abs(b["ratio"] / a["ratio"] - 1), case.id, a["name"])
        for case, once, again in zip(cases, first, second, strict=True)
        for contender, a, b in zip(case.contenders, once["contenders"], again["contenders"], strict=True)
        if contender.keeps_memory and a.get("ratio") and b.get("ratio")
    ]
    worst = max(moved)
    within = sum(each[0] <= REPEATABLE for each in moved)
    return f"{within} of {len(moved)} ratios agree within {REPEATABLE:.0%}; the furthest moved by {worst[0]:.0%} ({worst[1]}, {worst[2]})"
