"""The choice between the pictures of a comparison and the maps of where they differ."""

from typing import cast

import streamlit as st

from benchmark.maps import FULL_LEVELS
from benchmark.presentation.results import LOOKS, Looks
from benchmark.schema import Comparison


def looks(job: Comparison) -> Looks:
    """What the viewer shows of a finished comparison: its pictures, or where they differ."""
    there = sum(row.output_path is not None for row in job.rows)
    offered: list[Looks] = ["pictures", *(["errors"] if job.mode == "restore" else []), *(["disagreement"] if there > 1 else [])]
    if job.active or not there or len(offered) < 2:
        return "pictures"
    chosen = st.segmented_control(
        "Show",
        offered,
        format_func=lambda key: LOOKS[key],
        key=f"looks {job.id}",
        default="pictures",
        required=True,
        label_visibility="collapsed",
        help=f"Error maps show how far each result is from the original, from black to {FULL_LEVELS} levels or more.",
    )
    return cast("Looks", chosen)
