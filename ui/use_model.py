"""Below the table, "Use this model": how to get a result outside this page."""

import streamlit as st

from benchmark.presentation.facts import definition_list
from benchmark.presentation.format import plain
from benchmark.presentation.use_model import Use, use_of
from benchmark.schema import Comparison


def use_model(job: Comparison) -> None:
    """A closed part of the page with, for one upscaler at a time, the command, the Python and what decides about its use."""
    uses = {row.upscaler: use_of(row) for row in job.rows if not row.given}
    if not uses:
        return
    with st.expander("Use this model"):
        chosen = st.selectbox("Model", list(uses), format_func=lambda key: uses[key].name, key="use model", label_visibility="collapsed")
        _show(uses[chosen if chosen in uses else next(iter(uses))])


def _show(use: Use) -> None:
    st.caption(plain(use.summary))
    if use.command and use.python:
        st.code(use.command, language=None, wrap_lines=True)
        st.code(use.python, language=None, wrap_lines=True)
    st.html(definition_list(use.facts))
