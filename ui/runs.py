"""The runs on the page: a card each, with what can be done about it."""

from collections.abc import Callable

import streamlit as st

from benchmark.presentation.runs import failures_table, run_card, shares_table
from benchmark.runs.overview import RunView
from core.errors import AppError
from ui.run_setup import is_own_server
from ui.state import ROOT, runs

LISTED_FAILURES = 50
POLL_S = 1.0
IDLE_POLL_S = 5.0
"""How soon a run is noticed that somebody starts elsewhere."""
SHOWN = 10
"""Of the runs on which nobody works; the others are shown when asked for."""


def run_list() -> None:
    """All runs: those being worked on are drawn again every second, the others when something has happened."""
    views = runs().all()
    active = tuple(view.run.name for view in views if view.active)
    with st.container(key="active-runs"):
        st.fragment(_active, run_every=POLL_S if active else IDLE_POLL_S)(active)
    idle = [view for view in views if not view.active]
    shown = idle if st.session_state.get("all runs") else idle[:SHOWN]
    for view in shown:
        _card(view)
    if len(shown) < len(idle):
        st.button(f"Show {len(idle) - len(shown)} more", on_click=st.session_state.update, args=({"all runs": True},))


def _active(drawn: tuple[str, ...]) -> None:
    """Those on which somebody works; the whole page when it is not the same ones any more."""
    try:
        views = [view for view in runs().all() if view.active]
    except AppError as error:
        st.error(str(error), icon=":material/error:")
        return
    if tuple(view.run.name for view in views) != drawn:
        st.rerun()
    for view in views:
        _card(view)


def _card(view: RunView) -> None:
    name, counts = view.run.name, view.counts
    with st.container(border=True, key=f"run {view.run.id}"):
        st.html(run_card(view))
        if problem := st.session_state.pop(f"problem of {name}", None):
            st.error(problem)
        with st.container(horizontal=True, vertical_alignment="center"):
            if view.is_own:
                _button(view, "Stop", ":material/stop_circle:", lambda: runs().stop(name), disabled=view.state == "stopping")
            elif not view.active:
                if counts.waiting:
                    _button(view, "Continue", ":material/play_arrow:", lambda: runs().go_on(name))
                if counts.failed:
                    _button(view, "Retry failed", ":material/replay:", lambda: runs().go_on(name, retry_failed=True))
            if counts.done:
                st.page_link(ROOT / "pages" / "leaderboard.py", label="See in leaderboard")
            if not view.active and is_own_server():
                _delete(view)
        _details(view)


def _button(view: RunView, label: str, icon: str, act: Callable[[], None], *, disabled: bool = False) -> None:
    st.button(label, key=f"{label} {view.run.id}", icon=icon, on_click=_try, args=(view.run.name, act), disabled=disabled)


def _try(name: str, act: Callable[[], None]) -> None:
    try:
        act()
    except AppError as error:
        st.session_state[f"problem of {name}"] = str(error)


def _delete(view: RunView) -> None:
    """Ask once."""
    asked = st.popover("Delete", icon=":material/delete:", key=f"delete {view.run.id}", on_change="rerun")
    if asked.open:
        with asked:
            st.write(f"Delete this run? Its {view.counts.done} results go, also from the leaderboard.")
            _button(view, "Delete for good", ":material/delete_forever:", lambda: runs().delete(view.run.name))


def _details(view: RunView) -> None:
    """How far each upscaler is and what failed, read while somebody looks."""
    by_upscaler = st.expander("Upscalers", key=f"shares {view.run.id}", on_change="rerun")
    if by_upscaler.open:
        by_upscaler.html(shares_table(runs().shares(view)))
    if not view.counts.failed:
        return
    failed = st.expander("What failed", key=f"failures {view.run.id}", on_change="rerun")
    if failed.open:
        failed.html(failures_table(runs().failures(view, LISTED_FAILURES)))
        if view.counts.failed > LISTED_FAILURES:
            failed.caption(f"The first {LISTED_FAILURES} of {view.counts.failed}.")
