"""The set-up of a dataset run: which pictures, which scales, which upscalers, and what that amounts to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

import upscalers
from benchmark.datasets.dataset import Dataset
from benchmark.datasets.reading import Reading
from benchmark.datasets.sources import Source, find_source, find_source_below, folders_on_offer
from benchmark.degradation import DEFAULT_DOWNSCALE, DOWNSCALERS
from benchmark.presentation.format import plain, seconds
from benchmark.presentation.runs import unusual_words
from benchmark.ray import cluster as ray_cluster
from benchmark.runs.forecast import Forecast, forecast
from benchmark.runs.overview import RunView
from benchmark.runs.plan import AUTO, GIVEN, RunPlan
from benchmark.storage.records import EngineName, Execution
from core.addresses import is_own
from core.errors import AppError
from core.settings import settings
from ui.run_options import more, upscaler_options
from ui.state import readings, runs
from upscalers.spec import SCORED_SCALES

NAMED = 3
"""At most so many upscalers are named in a sentence."""
OFFERED = 12
"""At most so many data sets are offered."""
PATIENCE_S = 0.4
"""A small folder is read while the page is drawn; for more than that, the page says what it waits for."""
POLL_S = 0.5
FORECAST_S = 60.0
"""So long an estimate holds: what runs and downloads teach meanwhile comes with the next."""
SMALLS = {AUTO: f"Given where there are any, else {DEFAULT_DOWNSCALE}", GIVEN: "Given with the set"}
SHARED = "Others can reach this server, so its folders can't be named here; the setting UPSCALE_BENCH_DATASETS opens some."
RESTRICTED = "Folders can be read below {}."


@dataclass(frozen=True)
class RunSetup:
    """What the visitor has set."""

    plan: RunPlan | None = None
    """None as long as something is missing."""
    forecast: Forecast | None = None
    before: RunView | None = None
    """The run of the same plan, where there is one."""
    execution: Execution = field(default_factory=Execution)
    problem: str | None = None
    """What is missing, in one line."""


def is_own_server() -> bool:
    """Whether only this machine reaches the server. Without an address Streamlit listens on all of them."""
    address = st.get_option("server.address")
    return address is not None and is_own(str(address))


def setup_row() -> RunSetup:
    """Draw the controls; returns what is set."""
    sets_column, how_column, upscaler_column = st.columns([6, 5, 5], gap="medium")
    with sets_column:
        datasets = _datasets()
    with how_column:
        scales = st.pills(
            "Scales", SCORED_SCALES, selection_mode="multi", default=[4], format_func=lambda scale: f"x{scale}", key="run scales"
        )
        lr, lacking = _small_pictures(datasets, scales)
    with upscaler_column:
        ids = _upscalers(scales)
        keep_images = st.checkbox("Keep pictures", key="run keeps", help="Every result as PNG, in the folder of the run.")
        with st.container(horizontal=True, key="run-popovers"):
            asked = upscaler_options(upscalers.registry().select(ids))
            also_asked, workers, engine = more()
    problem = _problem(datasets, scales, ids, engine) or lacking
    if problem is not None:
        return RunSetup(problem=problem)
    try:
        plan = RunPlan(datasets=tuple(datasets), scales=tuple(scales), upscaler_ids=ids, ready_only=True, lr=lr, **asked, **also_asked)
        execution = Execution(workers, keep_images, engine)
        # What is set lies in closed popovers.
        if words := unusual_words(plan.request, execution):
            upscaler_column.caption(plain(" · ".join(words)))
    except AppError as error:
        return RunSetup(problem=str(error))
    amount = _forecast(plan.request_sha256, plan)
    if not amount.cells:
        return RunSetup(problem="None of these upscalers can run so: choose others, or another scale, runtime or precision.")
    return RunSetup(plan, amount, runs().find(plan.default_name()), execution)


def _problem(datasets: Sequence[Dataset], scales: Sequence[int], ids: Sequence[str], engine: EngineName) -> str | None:
    if not datasets:
        return "Name a data set."
    if not scales:
        return "Pick at least one scale."
    if not ids:
        return "No upscaler is ready at this scale."
    return ray_cluster.unavailable_reason() if engine == "ray" else None


@st.cache_data(ttl=FORECAST_S, max_entries=32, show_spinner=False)
def _forecast(request_sha256: str, _plan: RunPlan) -> Forecast:
    return forecast(_plan)


def _datasets() -> list[Dataset]:
    """Those that were run before as pills, and a field for another."""
    roots = settings().dataset_directories
    restricted = bool(roots) or not is_own_server()
    named: list[str] = []
    if offered := _offered(roots, restricted=restricted):
        named += st.pills("Data sets", list(offered), selection_mode="multi", format_func=lambda key: offered[key], key="run sets")
    typed = st.text_input(
        "Another data set" if offered else "Data set",
        key="run set",
        placeholder="Folder, or owner/name at Hugging Face" if roots or not restricted else "owner/name at Hugging Face",
    )
    # Some file managers copy a path with quotation marks.
    if typed and (text := typed.strip().strip('"')) and text not in named:
        named.append(text)
    if restricted:
        st.caption(RESTRICTED.format(plain(", ".join(map(str, roots)))) if roots else SHARED)
    found = []
    for text in named:
        try:
            source = find_source_below(text, roots) if restricted else find_source(text)
        except AppError as error:
            st.error(plain(str(error)))
            continue
        dataset = _read(source, text)
        if dataset is not None:
            found.append(dataset)
    # With one of them missing, the run would not be what was asked for.
    return found if len(found) == len(named) else []


def _offered(roots: Sequence[Path], *, restricted: bool) -> dict[str, str]:
    """What is named by a pill, with the pill's text."""
    fetched = settings().home / "datasets"
    names: dict[str, str] = {}
    for each in runs().sets_run_before():
        hub_id = each.root.name.replace("--", "/", 1) if each.root.parent.absolute() == fetched.absolute() else None
        below = any(each.root.resolve().is_relative_to(root.resolve()) for root in roots)
        if each.root.is_dir() and (hub_id or below or not restricted):
            names[hub_id or str(each.root)] = each.name
    names |= {str(folder): folder.name for folder in folders_on_offer(roots) if str(folder) not in names}
    # The latest of them, in an order that stays when one of them is run.
    names = dict(sorted(list(names.items())[:OFFERED], key=lambda item: item[1].lower()))
    twice = {name for name, count in Counter(names.values()).items() if count > 1}
    return {key: plain(f"{name} ({Path(key).parent.name})" if name in twice else name) for key, name in names.items()}


def _read(source: Source, named: str) -> Dataset | None:
    """The set, once it is read; until then, what is waited for."""
    reading = readings().find(source)
    if reading is None and not source.is_here:
        if not st.button(f"Fetch {plain(named)} from Hugging Face", icon=":material/download:"):
            return None
        reading = readings().start(source)
    reading = reading or readings().start(source)
    reading.wait(PATIENCE_S)
    if reading.error:
        st.error(plain(reading.error))
    elif reading.dataset is None:
        st.fragment(_watch, run_every=POLL_S)(reading, f"Reading {named}…" if source.is_here else f"Fetching {source.hub_id}…")
    else:
        found = reading.dataset
        left_out = f", {found.left_out} other files left out" if found.left_out else ""
        st.caption(f"{plain(found.name)}: {len(found)} picture{'s' if len(found) != 1 else ''}{left_out}")
    return reading.dataset


def _watch(reading: Reading, text: str) -> None:
    st.caption(plain(text))
    if not reading.active:
        st.rerun()


def _small_pictures(datasets: Sequence[Dataset], scales: Sequence[int]) -> tuple[str, str | None]:
    """Where they come from, and which are lacking."""
    lr = st.selectbox(
        "Small pictures",
        [*SMALLS, *DOWNSCALERS.ids()],
        format_func=lambda key: SMALLS.get(key) or f"Shrunk: {DOWNSCALERS.get(key).label}",
        key="run small",
        help="Scores from different small pictures are never ranked together.",
    )
    lacking = [f"{each.name} at x{scale}" for each in datasets for scale in scales if lr == GIVEN and not each.has_small(scale)]
    if not lacking:
        return lr, None
    problem = f"No small pictures come with {', '.join(lacking)}: choose a way to shrink."
    st.error(plain(problem))
    return lr, ""


def _upscalers(scales: Sequence[int]) -> tuple[str, ...]:
    ready = [spec for spec in upscalers.registry() if any(spec.status(scale).kind == "ready" for scale in scales)]
    names = {spec.id: spec for spec in ready}
    chosen = st.multiselect(
        "Upscalers",
        list(names),
        format_func=lambda key: f"{names[key].name} · {names[key].group} · {names[key].license}",
        key="run upscalers",
        placeholder=f"All {len(ready)} that are ready",
        help="Others become ready on the Models page.",
        wrap=True,
    )
    return tuple(chosen) or tuple(names)


def forecast_line(setup: RunSetup) -> str:
    """What the plan amounts to: `9 pictures, 54 results. Most of the time: DAT 9 min, SwinIR 3 min.`"""
    amount = setup.forecast
    assert amount is not None
    text = f"{amount.pictures} picture{'s' if amount.pictures != 1 else ''}, {amount.cells} result{'s' if amount.cells != 1 else ''}."
    slow = [f"{upscalers.get(name).name} {seconds(expected_s)}" for name, expected_s in amount.slowest[:NAMED] if expected_s >= 1]
    text += f" Most of the time: {', '.join(slow)}." if slow else ""
    text += f" Of {amount.unknown} results the time is not known." if amount.unknown else ""
    if amount.left_out:
        names = [upscalers.get(name).name for name in amount.left_out]
        others = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        text += f" Left out, as they can't run so: {', '.join(names[:NAMED])}{others}."
    return text
