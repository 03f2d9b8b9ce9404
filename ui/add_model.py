"""Adding a model file of one's own: the dialog that takes it, and the lines that say how its check goes."""

from html import escape
from typing import cast

import streamlit as st

import upscalers
from benchmark.additions import Addition
from benchmark.presentation.format import plain
from ui.state import additions
from upscalers.model_facts import FORMATS
from upscalers.spec import Aim

POLL_S = 0.5
MAX_UPLOAD_MB = 500
"""The same as `server.maxUploadSize` in `.streamlit/config.toml`, which holds for every upload."""
AIMS = {"faithful": "Faithful: made to be close to the original", "vivid": "Vivid: made to look sharp (GANs)"}
LARGER = "`upscale-bench models add FILE`"


def own_additions() -> list[Addition]:
    """What this visitor has added since the page was opened and has not dismissed."""
    return st.session_state.setdefault("additions", [])


@st.dialog("Add a model file")
def add_dialog() -> None:
    """Ask for the file, a name and an aim; the check goes on behind the page."""
    st.markdown(
        "A super-resolution network as `.pth` or `.safetensors` (any architecture that "
        "[spandrel](https://github.com/chaiNNer-org/spandrel) knows) or `.onnx`. It is checked in a process of its own, no code in it is "
        "run, and it stays on this machine."
    )
    uploaded = st.file_uploader(
        "Model file",
        type=[ending.removeprefix(".") for ending in FORMATS],
        max_upload_size=MAX_UPLOAD_MB,
        help=f"Up to {MAX_UPLOAD_MB} MB here; larger ones by {LARGER}.",
    )
    name = st.text_input("Name", placeholder="As the file is called", max_chars=60)
    aim = st.radio("Aim", list(AIMS), format_func=lambda key: AIMS[key], help="Scores are compared within an aim.")
    if st.button("Check and add", type="primary", disabled=uploaded is None, width="stretch") and uploaded is not None:
        own_additions().append(additions().start(uploaded.getvalue(), uploaded.name, name=name.strip() or None, aim=cast("Aim", aim)))
        st.rerun()


def additions_row() -> None:
    """One line for each file: being checked, refused, or added."""
    # The place is there even when it is empty, so that what stands below stays what it is.
    with st.container(key="additions"):
        polled = any(each.active for each in own_additions())
        st.fragment(_lines, run_every=POLL_S if polled else None)(polled=polled)


def _lines(*, polled: bool) -> None:
    for index, addition in enumerate(own_additions()):
        _line(index, addition)
    if polled and not any(each.active for each in own_additions()):
        # A new model belongs into the list below.
        st.rerun()


def _line(index: int, addition: Addition) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"addition {index}"):
        if addition.active:
            doing = "checking" if addition.state == "running" else "waiting for its turn"
            st.html(f"<p class='ub-status'>{escape(addition.file_name[:80])}: {doing}…</p>")
            st.button("Cancel", key=f"stop addition {index}", on_click=addition.cancel)
            return
        spec = upscalers.find(addition.upscaler_id) if addition.upscaler_id else None
        if addition.state == "failed":
            st.error(plain(f"{addition.file_name[:80]}: {addition.error}"), icon=":material/error:")
        elif spec is not None:
            st.success(f"{plain(spec.name)} is ready: x{spec.scales[0]}, id `{spec.id}`.", icon=":material/check:")
        else:
            st.info("Nothing was added.")
        st.button("Dismiss", key=f"drop addition {index}", on_click=own_additions().remove, args=(addition,))
