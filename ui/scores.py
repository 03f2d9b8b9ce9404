"""Below the viewer: what the scores mean, and the table."""

import streamlit as st

from benchmark.presentation.format import plain
from benchmark.presentation.results import MEANING, MEANING_AS_IS
from benchmark.presentation.table import PROTOCOLS, order_note, table
from benchmark.schema import Comparison


def scores(job: Comparison) -> None:
    """A sentence, the choice of the protocol, the table, and where the two protocols disagree."""
    st.caption(MEANING if job.mode == "restore" else MEANING_AS_IS)
    protocol = "rgb"
    if job.mode == "restore":
        protocol = st.segmented_control(
            "Scores",
            list(PROTOCOLS),
            format_func=lambda key: PROTOCOLS[key],
            key="protocol",
            default="rgb",
            required=True,
            label_visibility="collapsed",
        )
    st.html(table(job, str(protocol)))
    if note := order_note(job):
        st.caption(plain(note))
