"""The parts of the leaderboard page: what is saved, which of it is shown, its chart, and the ways to take it away."""

import json
from collections.abc import Sequence
from typing import Any, cast

import altair as alt
import streamlit as st

import upscalers
from benchmark.presentation import rankings as written
from benchmark.presentation.table import KINDS
from benchmark.ranking.claim_evidence import evidence
from benchmark.ranking.claims import Verdict, judge, others, published
from benchmark.ranking.leaderboard import BASELINE, Entry, Ranking, leaderboard
from benchmark.storage.database import path
from benchmark.storage.store import Store

PICK = "pick"
"""Name of the chart's selection."""
CHART_HEIGHT_PX = 340
DOWNLOADS = {
    "CSV": ("csv", "text/csv", written.as_csv),
    "JSON": ("json", "application/json", lambda rankings: json.dumps(written.document(rankings), indent=2)),
    "Markdown": ("md", "text/markdown", written.as_markdown),
    "LaTeX": ("tex", "application/x-tex", written.as_latex),
}


def rankings() -> list[Ranking]:
    """All rankings, read anew only when the store has changed. Raises `core.errors.StoreError`."""
    return _rankings(_state_of_store())


def forget_rankings() -> None:
    """Have the store read again at the next call, as after a start of the server."""
    _rankings.clear()


def verdicts() -> list[Verdict]:
    """All published claims, judged by everything that was measured. Raises `core.errors.StoreError`."""
    return judge(published(), evidence(rankings()), others())


def _state_of_store() -> tuple[tuple[int, int], ...]:
    """Changes with every commit: SQLite appends to its log, or rewrites the file."""
    file = path()
    files = [each for each in (file, file.with_name(f"{file.name}-wal")) if each.exists()]
    return tuple((each.stat().st_mtime_ns, each.stat().st_size) for each in files)


@st.cache_resource(max_entries=1, show_spinner=False)
def _rankings(state: tuple[tuple[int, int], ...]) -> list[Ranking]:
    with Store.open() as store:
        return leaderboard(store)


def choose(found: Sequence[Ranking]) -> Ranking:
    """Controls for the data set, the scale and the protocol, and for the small pictures where there are several kinds."""
    left, middle, right = st.columns([3, 3, 4])
    names = list(dict.fromkeys(ranking.dataset for ranking in found))
    dataset = left.selectbox("Data set", names, key="leaderboard dataset")
    of_set = [ranking for ranking in found if ranking.dataset == dataset]
    scales = sorted({ranking.scale for ranking in of_set})
    # Where most was measured there is most to see.
    fullest = max(of_set, key=lambda ranking: len(ranking.entries)).scale
    scale = middle.segmented_control(
        "Scale", scales, format_func=lambda each: f"x{each}", default=fullest, required=True, key=f"scale of {dataset}"
    )
    of_scale = [ranking for ranking in of_set if ranking.scale == scale]
    kinds = list(dict.fromkeys(_conditions(ranking) for ranking in of_scale))
    kind = right.selectbox("Small pictures", kinds, key=f"small of {dataset} {scale}") if len(kinds) > 1 else kinds[0]
    same = [ranking for ranking in of_scale if _conditions(ranking) == kind]
    protocols = {ranking.protocol: ranking for ranking in same}
    default = "y" if "y" in protocols else next(iter(protocols))
    protocol = right.segmented_control(
        "Protocol", list(protocols), default=default, required=True, key=f"protocol of {dataset} {scale} {kind}"
    )
    return protocols[str(protocol)]


def _conditions(ranking: Ranking) -> str:
    made = "given with the set" if ranking.lr_source == "file" else f"shrunk by {ranking.lr_source}"
    return f"{made}, {ranking.dataset_pictures} pictures, {ranking.dataset_sha256[:8]}"


def filtered(ranking: Ranking) -> list[Entry]:
    """The entries that the filters leave."""
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    licences = sorted({entry.license for entry in ranking.entries if entry.license})
    wanted = left.multiselect("Licence", licences, key="leaderboard licences", placeholder="Any")
    fits = right.toggle("Fits this machine", key="leaderboard fits", help="Only models whose weights and runtime are ready here.")
    return [entry for entry in ranking.entries if (not wanted or entry.license in wanted) and (not fits or _is_ready(entry, ranking.scale))]


def _is_ready(entry: Entry, scale: int) -> bool:
    spec = upscalers.find(entry.upscaler)
    return spec is not None and spec.status(scale).kind == "ready"


def pareto(entries: Sequence[Entry]) -> str | None:
    """Time against PSNR, of entries whose times may be compared; returns the key of the entry that was clicked."""
    points = [
        {
            "key": key_of(entry),
            "upscaler": entry.name,
            "aim": KINDS[entry.aim] if entry.aim else "",
            "seconds": entry.times.p50_s,
            "psnr": entry.psnr_db.value,
            "label": f"{entry.runtime} {entry.precision}",
        }
        for entry in entries
        if entry.times and entry.times.exclusive and entry.psnr_db
    ]
    if len(points) < 2:
        return None
    front = _front(points)
    pick = alt.selection_point(name=PICK, fields=["key"])
    x = alt.X("seconds:Q", scale=alt.Scale(type="log", nice=False, padding=24), title="Seconds per picture, median (log)")
    y = alt.Y("psnr:Q", scale=alt.Scale(zero=False, padding=16), title="PSNR, dB")
    base = alt.Chart(alt.Data(values=points))
    dots = base.mark_point(filled=True, size=110).encode(
        x=x,
        y=y,
        color=alt.Color("aim:N", title=None, legend=alt.Legend(orient="top")),
        opacity=alt.condition(pick, alt.value(1.0), alt.value(0.35)),
        tooltip=[
            alt.Tooltip("upscaler:N", title="Upscaler"),
            alt.Tooltip("psnr:Q", title="PSNR, dB", format=".2f"),
            alt.Tooltip("seconds:Q", title="Seconds", format=".3g"),
            alt.Tooltip("label:N", title="Runtime"),
        ],
    )
    names = base.mark_text(align="left", dx=9, dy=-7, color="#777").encode(x=x, y=y, text="upscaler:N")
    line = alt.Chart(alt.Data(values=front)).mark_line(strokeDash=[4, 4], color="#777", opacity=0.7).encode(x=x, y=y)
    chart = (line + dots.add_params(pick) + names).properties(height=CHART_HEIGHT_PX)
    event = cast("dict[str, Any]", st.altair_chart(chart, on_select="rerun", selection_mode=PICK, key="pareto", width="stretch"))
    chosen = event.get("selection", {}).get(PICK) or []
    return str(chosen[0]["key"]) if chosen else None


def _front(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those than which nothing is both quicker and better."""
    best, front = float("-inf"), []
    for point in sorted(points, key=lambda each: (each["seconds"], -each["psnr"])):
        if point["psnr"] > best:
            best = point["psnr"]
            front.append(point)
    return front


def key_of(entry: Entry) -> str:
    """One text for an entry of a ranking."""
    return f"{entry.upscaler} {entry.runtime} {entry.precision} {json.dumps(dict(entry.options), sort_keys=True)} {entry.run}"


def baseline_of(ranking: Ranking) -> Entry | None:
    """What the others are compared with."""
    return next((entry for entry in ranking.entries if entry.upscaler == BASELINE and entry.psnr_of), None)


def downloads(found: Sequence[Ranking]) -> None:
    """A button for each form; every ranking is in it."""
    with st.container(horizontal=True):
        for name, (ending, mime, write) in DOWNLOADS.items():
            st.download_button(
                name,
                data=lambda write=write: write(found),
                file_name=f"leaderboard.{ending}",
                mime=mime,
                # A rerun would forget the file that the click asks for, often before the request for it arrives.
                on_click="ignore",
                key=f"as {ending}",
            )
