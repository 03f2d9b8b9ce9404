"""The runs page: whole data sets, computed by the server whether or not somebody watches."""

import streamlit as st

from benchmark.presentation.format import seconds
from core.errors import AppError
from ui.run_setup import RunSetup, forecast_line, setup_row
from ui.runs import run_list
from ui.state import runs

EMPTY = "No run yet. A run goes on when you close the page, and what it has is saved as it comes."


def start(setup: RunSetup) -> None:
    """Hand the plan to the server."""
    assert setup.plan is not None
    try:
        with st.spinner("Writing down the plan…"):
            runs().start(setup.plan, setup.execution)
    except AppError as error:
        st.error(str(error))
    else:
        st.rerun()


def button(setup: RunSetup) -> None:
    """What the plan amounts to, and the button that starts it."""
    before, amount = setup.before, setup.forecast
    expected_s = before.counts.expected_s if before else amount.expected_s if amount else 0.0
    about = f", about {seconds(expected_s)}" if expected_s >= 1 else ""
    over = before is not None and (before.active or not before.counts.waiting)
    label = f"Continue run{about}" if before and not over else f"Start run{about}"
    left, right = st.columns([11, 5], gap="medium", vertical_alignment="center")
    if right.button(label, type="primary", disabled=setup.plan is None or over, width="stretch"):
        start(setup)
    with left:
        if setup.problem:
            st.caption(setup.problem)
        elif before:
            st.caption(f"{forecast_line(setup)} This is the run {before.run.name} below.")
        elif amount:
            st.caption(forecast_line(setup))


try:
    button(setup_row())
    if not runs().all():
        st.info(EMPTY)
    run_list()
except AppError as error:
    st.error(str(error), icon=":material/error:")
