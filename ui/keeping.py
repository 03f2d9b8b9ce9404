"""How long a comparison stays, and what a visitor can do about it: pin it, or delete it at once."""

import streamlit as st

from benchmark import keeping
from benchmark.presentation.format import day, mebibytes
from benchmark.schema import Comparison
from core.errors import AppError
from core.settings import settings
from ui.state import engine

_seen = {"pinned_mib": 0.0}
"""What the pinned comparisons of this server took when that was last looked at: at each clearing, and at each pin."""


def clear_away() -> None:
    """Remove what is too old or too much, and see what the pinned comparisons take."""
    keeping.expire()
    _seen["pinned_mib"] = keeping.pinned_mib()


def keeping_buttons(job: Comparison) -> None:
    """Pin or Unpin, and Delete, which asks before it removes what somebody pinned."""
    if job.pinned:
        st.button("Unpin", icon=":material/keep_off:", type="tertiary", on_click=_pin, args=(job, False))
        with st.popover("Delete this comparison", icon=":material/delete:", type="tertiary"):
            st.write("It is pinned. Delete it and its pictures for everybody who has the link?")
            delete = st.button("Delete", type="primary", key="delete pinned")
    else:
        st.button(
            "Pin", icon=":material/keep:", type="tertiary", on_click=_pin, args=(job, True), help="Kept until somebody unpins or deletes it"
        )
        delete = st.button("Delete this comparison", icon=":material/delete:", type="tertiary")
    if delete:
        engine().delete(job.id)
        st.query_params.pop("job", None)
        st.rerun()


def keeping_line(job: Comparison) -> None:
    """Until when the comparison is kept and, where the pinned ones leave no room for others, that."""
    until = keeping.kept_until(job)
    limit_mib = settings().max_store_mib
    line = "Pinned: kept until somebody unpins or deletes it." if until is None else f"Kept until {day(until)}."
    if _seen["pinned_mib"] > limit_mib:
        line += (
            f" Pinned comparisons take {mebibytes(_seen['pinned_mib'])}, more than the {mebibytes(limit_mib)} for all: "
            "others go an hour after their end. Unpin or delete some."
        )
    st.caption(line)
    if error := st.session_state.pop("pin_error", None):
        st.error(error)


def _pin(job: Comparison, pinned: bool) -> None:
    try:
        keeping.pin(engine().root / job.id, pinned=pinned)
    except AppError as error:
        st.session_state["pin_error"] = str(error)
    _seen["pinned_mib"] = keeping.pinned_mib()
