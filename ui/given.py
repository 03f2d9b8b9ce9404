"""What a person brings along: the results of other tools, and the small picture that belongs to the original."""

import math

import streamlit as st

from benchmark import given, jobs
from benchmark.given_small import Upload
from benchmark.labels import label_of
from benchmark.presentation.format import plain
from benchmark.schema import Comparison
from core.errors import AppError
from core.image import byte_limit, safe_stem
from core.settings import MIB
from ui.picture_choice import MAX_UPLOAD_MB, UPLOAD_TYPES
from ui.state import Chosen, choose, put_small

SMALL_HELP = (
    "The picture's own small version is then upscaled, instead of one made here. The picture must be exactly as many times larger "
    "as the scale says. Scores are never ranked together with those of other small pictures."
)


def small_version(*, disabled: bool) -> Chosen | None:
    """Ask for the small picture that belongs to the original; one that can't be used leaves none, with one line below."""
    key = f"small upload {st.session_state.get('small_turn', 0)}"
    uploaded = st.file_uploader(
        "I have the small version too", UPLOAD_TYPES, key=key, help=SMALL_HELP, disabled=disabled, max_upload_size=MAX_UPLOAD_MB
    )
    upload_id = uploaded.file_id if uploaded else None
    if st.session_state.get("small_upload_id") != upload_id:
        st.session_state.update(small_upload_id=upload_id, small=None, small_error=None)
        try:
            st.session_state["small"] = choose(uploaded.getvalue(), uploaded.name) if uploaded else None
        except AppError as error:
            st.session_state["small_error"] = str(error)
    if error := st.session_state.get("small_error"):
        st.error(plain(error), icon=":material/error:")
    small: Chosen | None = st.session_state.get("small")
    if small is not None and uploaded is None:
        # Taken over from a comparison: there is nothing in the uploader that could be removed.
        label = f"Remove {plain(small.label)}"
        st.button(label, icon=":material/delete:", on_click=put_small, args=(None,), width="stretch", key="remove small")
    return None if disabled else small


def given_results(job: Comparison) -> None:
    """A button that adds another tool's result to a finished comparison, and takes it out again."""
    directory = jobs.find(job.id)
    if directory is None or job.image is None:
        return
    frame = given.frame_of(job)
    sizes = " or, for the whole picture, ".join(f"**{width}×{height}**" for width, height in filter(None, (frame.size, frame.whole)))
    source = "your picture" if job.mode == "as-is" else "the small picture, which is in the ZIP below"
    added = [row for row in job.rows if row.given is not None]
    with st.popover("Add a result", icon=":material/add_photo_alternate:"):
        st.markdown(
            f"What another tool made of {source}: {sizes} pixels. It gets the same scores, joins the viewer, the table "
            "and the downloads, and stays on this machine."
        )
        # The widgets for the next one are new, and empty.
        key = f"{job.id} {job.revision}"
        uploaded = st.file_uploader(
            "Its file", UPLOAD_TYPES, key=f"given file {key}", max_upload_size=math.ceil(byte_limit(frame.largest) / MIB)
        )
        stem = safe_stem(uploaded.name) if uploaded else ""
        try:
            # A form takes the name together with the click. Alone, a text is sent as soon as the field is left, and the run that
            # this causes may draw the button anew under the finger.
            with st.form(f"given form {key}", border=False):
                name = st.text_input(
                    "Its name", placeholder=stem or "As the file is called", max_chars=given.MAX_NAME_CHARACTERS, key=f"given {key}"
                )
                add = st.form_submit_button("Add", type="primary", disabled=uploaded is None, width="stretch", key="add given")
            if add and uploaded is not None:
                with st.spinner("Scoring"):
                    given.add(directory, Upload(uploaded.getvalue(), uploaded.name), name=name if name.strip() else stem)
                st.rerun()
            for row in added:
                label = f"Remove {plain(label_of(row).name)}"
                if st.button(label, icon=":material/delete:", type="tertiary", key=f"remove {job.id} {row.upscaler}"):
                    given.remove(directory, row.upscaler)
                    st.rerun()
        except AppError as error:
            st.error(plain(str(error)), icon=":material/error:")
