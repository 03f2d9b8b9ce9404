"""After a comparison: which of its models will be faster next time, and when."""

from collections.abc import Sequence
from typing import cast

import streamlit as st

from benchmark import jobs
from benchmark.labels import label_of
from benchmark.presentation.format import plain
from benchmark.schema import Comparison, Row
from runtimes.base import Precision
from ui.state import engine
from upscalers import find

POLL_S = 2.0


def faster_next_time(job: Comparison) -> None:
    """A line about the models that ran on PyTorch because their faster form did not exist yet; kept up to date until it does."""
    rows = [row for row in job.rows if row.status == "ok" and row.given is None and row.runtime == "torch"]
    if rows and job.user != jobs.EVERYBODY:
        awaited = any(_is_awaited(row) for row in rows)
        st.fragment(_lines, run_every=POLL_S if awaited else None)(rows, awaited=awaited)


def _lines(rows: Sequence[Row], *, awaited: bool) -> None:
    if awaited and not any(_is_awaited(row) for row in rows):
        # What the button above promises changes with it.
        st.rerun()
    converting = engine().conversions
    for text, chosen in (
        ("{} is being prepared for OpenVINO: the same picture, in less time.", [row for row in rows if row.upscaler == converting.now]),
        ("Prepared for OpenVINO when the machine has nothing else to do: {}.", [row for row in rows if row.upscaler in converting.next]),
        ("Ready on OpenVINO by now: {}. Compare again for the shorter time.", [row for row in rows if _is_faster_now(row)]),
    ):
        if chosen:
            st.caption(text.format(plain(", ".join(label_of(row).name for row in chosen))))


def _is_awaited(row: Row) -> bool:
    converting = engine().conversions
    return row.upscaler in (converting.now, *converting.next)


def _is_faster_now(row: Row) -> bool:
    """Whether the runtime that would be taken today is another one."""
    spec = find(row.upscaler)
    if spec is None or _is_awaited(row) or spec.status(row.scale).kind != "ready":
        return False
    return spec.runtime("auto", row.scale, row.options, cast("Precision", row.precision)) == "openvino"
