"""The button of a failed tile: what it does, and what the tile shows while weights are fetched."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import streamlit as st

import upscalers
from benchmark.downloads import Download
from benchmark.presentation.viewer import Shown
from benchmark.remedies import remedy_of
from benchmark.schema import Comparison
from core.errors import AppError
from ui.state import downloads, engine

MB = 1e6


def act(job: Comparison, row_id: str) -> None:
    """Do what the button of a tile says. What prevents it is shown by `action_error`."""
    row = next((row for row in job.rows if row.upscaler == row_id), None)
    remedy = remedy_of(job, row) if row is not None else None
    if row is None or remedy is None:
        return
    try:
        if remedy.kind == "download":
            # In the background: it is run also when the person has left.
            run = partial(engine().run_again, job.id, row_id)
            downloads().start(row_id, upscalers.get(row_id).required_weights(row.scale), then=run)
        else:
            engine().run_again(job.id, row_id, tile_px=remedy.tile_px)
    except AppError as error:
        st.session_state["action_error"] = str(error)


def action_error() -> None:
    """Why the last button did nothing, once."""
    if error := st.session_state.pop("action_error", None):
        st.error(error)


def is_fetching(job: Comparison) -> bool:
    """Whether weights are on their way that one of the rows needs."""
    return any(_download(row.upscaler) for row in job.rows if row.status == "unavailable")


def with_downloads(pictures: Sequence[Shown], job: Comparison) -> list[Shown]:
    """The tiles, with the progress of downloads in those that wait for one, and the reason in those whose download failed."""
    missing = {row.upscaler for row in job.rows if row.status == "unavailable"}
    return [_with_download(picture) if picture.id in missing else picture for picture in pictures]


def _with_download(picture: Shown) -> Shown:
    download = downloads().get(picture.id)
    if download is not None and download.active:
        done = f"{download.done_bytes / MB:.1f}" + (f" of {download.total_bytes / MB:.1f}" if download.total_bytes else "")
        return replace(picture, state="loading", message=f"Downloading: {done} MB", progress=download.fraction, action="")
    if download is not None and download.error and picture.state == "failed":
        return replace(picture, message=download.error)
    return picture


def _download(upscaler_id: str) -> Download | None:
    download = downloads().get(upscaler_id)
    return download if download is not None and download.active else None
