"""The line at the top of every page: the product, its pages, the machine."""

from html import escape

import streamlit as st

from benchmark.environment import machine_label
from ui.state import ROOT

PAGES = (("compare.py", "Compare"), ("runs.py", "Runs"), ("leaderboard.py", "Leaderboard"), ("models.py", "Models"))
"""File below `pages/` and title; the first is shown at the bare address."""


def pages() -> list[st.Page]:
    """The pages as `st.navigation` takes them."""
    return [st.Page(ROOT / "pages" / file, title=title, default=index == 0) for index, (file, title) in enumerate(PAGES)]


def header() -> None:
    """Draw the line."""
    with st.container(horizontal=True, vertical_alignment="center", key="header"):
        st.html("<h1 class='ub-title'>Upscale Bench</h1>", width="content")
        for file, title in PAGES:
            st.page_link(ROOT / "pages" / file, label=title)
        st.html(f"<p class='ub-machine'>{escape(machine_label())}</p>")
