"""The part of the set-up row that says which upscalers are compared: a list of all, with what each costs and whether it can run."""

from itertools import groupby
from typing import get_args

import streamlit as st

import upscalers
from benchmark.presentation.format import seconds
from ui.expected import expected_call_s
from ui.state import downloads, picked, put_picks
from upscalers.spec import Group, UpscalerSpec

PICKS = ("bicubic", "lanczos", "opencv-lapsrn", "opencv-espcn", "realesr-general-x4v3", "dat-light")
"""What is chosen when nobody has chosen; ESPCN only where LapSRN has no weights."""
OPENER = "Choose upscalers"
"""The button's label. It must not change: Streamlit would take it for another one, and close it."""
ROW_SHARES = (5, 3)
"""Of the width of the list: what an upscaler is, and whether it can run."""
DOWNLOAD_POLL_S = 0.5
SLOW_S = 60.0
"""Models that are expected to take longer are not chosen unasked."""


def upscaler_choice(scale: int, size: tuple[int, int]) -> tuple[str, ...]:
    """The picker: a button that opens the families, each with its members, their price and whether they can run."""
    # A family may hold members of several kinds, so one kind does not stand together in the registry.
    everything = sorted(upscalers.registry(), key=lambda spec: get_args(Group).index(spec.group))
    specs = [spec for spec in everything if spec.supports(scale)]
    picks, unasked = picked(), _picks(scale, size)
    if st.session_state.get("unasked_at", scale) not in (scale, None):
        # Nobody has chosen anything yet: another scale begins with its own.
        put_picks({spec.id: unasked.get(spec.id, False) for spec in specs})
    for spec in specs:
        picks[spec.id] = st.session_state.get(_pick_key(spec), picks.get(spec.id, unasked.get(spec.id, False)))
    chosen = [spec for spec in specs if picks[spec.id]]
    is_unasked = all(picks[spec.id] == unasked.get(spec.id, False) for spec in specs)
    st.session_state["unasked_at"] = scale if is_unasked else None
    st.html(f'<p class="ub-label">Upscalers: {len(chosen)} of {len(specs)}</p>')
    active = [download.upscaler_id for download in downloads().active() if upscalers.find(download.upscaler_id)]
    # The list costs more than the rest of the page, so it is drawn for those who look at it.
    chooser = st.popover(OPENER, key="upscalers", on_change="rerun", width="stretch")
    if chooser.open or active:
        with chooser:
            _list(everything, specs, scale, size)
            if active:
                st.fragment(_watch_downloads, run_every=DOWNLOAD_POLL_S)(active)
    st.caption(", ".join(spec.name for spec in chosen) or "None chosen")
    return tuple(spec.id for spec in chosen)


def _list(everything: list[UpscalerSpec], specs: list[UpscalerSpec], scale: int, size: tuple[int, int]) -> None:
    """What the button opens: all upscalers by their families; `specs` are those that can do this scale."""
    ready, none = st.columns(2)
    ready.button("Ready ones", on_click=_pick_all, args=(specs, scale, True), width="stretch")
    none.button("None", on_click=_pick_all, args=(specs, scale, False), width="stretch")
    for group, members in groupby(everything, key=lambda spec: spec.group):
        st.markdown(f"**{group}**")
        for spec in members:
            if spec.supports(scale):
                _upscaler_row(spec, scale, size)
            else:
                _row_without_scale(spec, scale)


def _upscaler_row(spec: UpscalerSpec, scale: int, size: tuple[int, int]) -> None:
    status = spec.status(scale)
    call_s = expected_call_s(spec, scale, size)
    about = f"about {seconds(call_s)}" if call_s is not None else "time unknown"
    name, action = st.columns(ROW_SHARES, vertical_alignment="center")
    with name.container(gap=None):
        st.checkbox(spec.name, value=picked()[spec.id], key=_pick_key(spec), help=spec.summary)
        st.caption(f"{about} · {spec.license} · {spec.aim}")
    download = downloads().get(spec.id)
    if download is not None and download.error:
        st.error(download.error, icon=":material/error:")
    if download is not None and download.active:
        action.caption("Downloading")
    elif status.kind == "download":
        if action.button(status.text, key=f"fetch {spec.id}", width="stretch"):
            downloads().start(spec.id, spec.required_weights(scale))
            st.rerun()
    else:
        action.caption(status.text, help=status.reason)


def _row_without_scale(spec: UpscalerSpec, scale: int) -> None:
    name, action = st.columns(ROW_SHARES, vertical_alignment="center")
    # The visitor's choice at other scales is kept elsewhere, and comes back with them.
    name.checkbox(spec.name, value=False, key=f"not at {scale} {spec.id}", disabled=True, help=spec.summary)
    action.caption(f"Not at x{scale}")


def _watch_downloads(active: list[str]) -> None:
    """What is being fetched, drawn again every second; the whole page when one has come to its end."""
    for upscaler_id in active:
        download = downloads().get(upscaler_id)
        if download is None or not download.active:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(download.fraction, f"{upscalers.get(upscaler_id).name}: {download.file_name or 'waiting'}")
            st.button("Stop", key=f"stop fetch {upscaler_id}", on_click=download.cancel)


def _picks(scale: int, size: tuple[int, int]) -> dict[str, bool]:
    """The upscalers that are chosen unasked: ready, varied, and none that would make a person wait."""
    picks: dict[str, bool] = {}
    for spec in upscalers.registry().select(PICKS):
        call_s = expected_call_s(spec, scale, size) if spec.supports(scale) else None
        quick = call_s is not None and call_s <= SLOW_S
        picks[spec.id] = quick and spec.status(scale).kind == "ready" and not (spec.id == "opencv-espcn" and picks.get("opencv-lapsrn"))
    return picks


def _pick_all(specs: list[UpscalerSpec], scale: int, ready: bool) -> None:
    put_picks({spec.id: ready and spec.status(scale).kind == "ready" for spec in specs})


def _pick_key(spec: UpscalerSpec) -> str:
    return f"pick {spec.id} {st.session_state.get('picks_put', 0)}"
