"""The models page: every upscaler, what it is, whether it is here, how it looks and how fast it is on this machine."""

import streamlit as st

import upscalers
from benchmark.previews import Previews
from core.errors import AppError
from ui.add_model import add_dialog, additions_row
from ui.models import STATES, card, facts, matches, state_of
from ui.state import ROOT, downloads, engine
from upscalers.spec import UpscalerSpec

COLUMNS = 3
POLL_S = 1.0
PICTURE = ROOT / "assets" / "standard.png"


def filters(specs: list[UpscalerSpec]) -> tuple[list[UpscalerSpec], str]:
    """The row above the models: words, kinds, states, and the way to look; returns the models that are left."""
    words_column, kind_column, state_column, look_column = st.columns([3, 4, 3, 2])
    words = words_column.text_input("Search", key="words", placeholder="Name, kind, licence…", bind="query-params")
    kinds = kind_column.pills("Kind", list(dict.fromkeys(spec.group for spec in specs)), selection_mode="multi", key="kinds")
    states = state_column.pills("Status", list(STATES), format_func=lambda key: STATES[key], selection_mode="multi", key="states")
    look = look_column.segmented_control("Show as", ["Cards", "Table"], key="look", default="Cards", required=True)
    left = [
        spec
        for spec in specs
        if matches(spec, words or "") and (not kinds or spec.group in kinds) and (not states or state_of(spec) in states)
    ]
    return left, str(look)


def draw_missing(shown: Previews, specs: list[UpscalerSpec]) -> Previews:
    """Begin to draw the previews of models that became ready; returns how they stand then."""
    missing = [] if shown.active else shown.missing(specs)
    if not missing:
        return shown
    try:
        shown.start(missing)
    except AppError as error:
        # The queue is full of other people's comparisons; the next visit tries again.
        st.caption(f"Previews wait: {error}")
    return Previews(engine(), PICTURE)


def cards(specs: list[UpscalerSpec], *, polled: bool) -> None:
    """The grid; drawn again every second while something is downloaded or drawn."""
    shown = draw_missing(Previews(engine(), PICTURE), specs)
    for first in range(0, len(specs), COLUMNS):
        for column, spec in zip(st.columns(COLUMNS), specs[first : first + COLUMNS], strict=False):
            with column:
                card(spec, shown)
    if polled != busy(shown):
        st.rerun()


def busy(shown: Previews) -> bool:
    """Whether something on the page will change by itself."""
    return bool(downloads().active()) or shown.active


def table(specs: list[UpscalerSpec]) -> None:
    """All facts in a table that can be sorted."""
    st.dataframe(
        [facts(spec) for spec in specs],
        hide_index=True,
        height="content",
        placeholder="–",
        column_config={
            "Parameters": st.column_config.NumberColumn(format="compact"),
            "Weights": st.column_config.NumberColumn(format="bytes"),
            "Output MP/s here": st.column_config.NumberColumn(format="%.2f"),
            "Source": st.column_config.LinkColumn(display_text="open"),
        },
    )


everything = list(upscalers.registry())
left, look = filters(everything)
ready = sum(state_of(spec) == "ready" for spec in everything)
with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.caption(f"{len(left)} of {len(everything)} models; {ready} are ready.")
    if st.button("Add a model file", icon=":material/add:"):
        add_dialog()
additions_row()
if not left:
    st.info("No model has all these words and marks. Take one away.")
elif look == "Table":
    table(left)
else:
    polled = busy(Previews(engine(), PICTURE))
    st.fragment(cards, run_every=POLL_S if polled else None)(left, polled=polled)
