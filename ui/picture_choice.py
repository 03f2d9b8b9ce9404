"""The part of the set-up row that says what is compared: the picture, and the region of it."""

import base64

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from benchmark.presentation.format import plain
from benchmark.regions import needs_region, region_at
from benchmark.schema import Mode, Region
from core.errors import AppError
from ui.region import region_picker
from ui.state import OWN, SAMPLES, Chosen, choose, sample

UPLOAD_TYPES = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp"]
MAX_UPLOAD_MB = 50
UPLOAD_HELP = f"PNG, JPEG, WebP, TIFF or BMP; up to 25 megapixels and {MAX_UPLOAD_MB} MB. It stays on this machine."


def picture_control() -> Chosen:
    """Upload or sample. A file that can't be used leaves what was there, with one line below."""
    thumbnail, controls = st.columns([1, 4], gap="small", vertical_alignment="bottom")
    with controls:
        uploaded = st.file_uploader("Picture", type=UPLOAD_TYPES, key="upload", help=UPLOAD_HELP, max_upload_size=MAX_UPLOAD_MB)
    if uploaded is not None and st.session_state.get("upload_id") != uploaded.file_id:
        st.session_state["upload_id"] = uploaded.file_id
        st.session_state.pop("upload_error", None)
        try:
            st.session_state["own_picture"] = choose(uploaded.getvalue(), uploaded.name)
            st.session_state["sample"] = OWN
        except AppError as error:
            st.session_state["upload_error"] = str(error)
    own: Chosen | None = st.session_state.get("own_picture")
    labels = [*([OWN] if own else []), *SAMPLES]
    if st.session_state.get("sample") not in labels:
        st.session_state["sample"] = labels[0]
    with controls:
        label = st.pills("Samples", labels, key="sample", required=True, label_visibility="collapsed")
    picture = own if own and label == OWN else sample(label)
    data = base64.b64encode(picture.thumbnail).decode()
    thumbnail.html(f'<img class="ub-thumbnail" alt="The chosen picture" src="data:image/webp;base64,{data}">')
    if error := st.session_state.get("upload_error"):
        st.error(error, icon=":material/error:")
    notes = f" · {' '.join(picture.notes)}" if picture.notes else ""
    st.caption(f"{plain(picture.label)} · {picture.width}×{picture.height}{notes}")
    return picture


def area_control(picture: Chosen, mode: Mode) -> tuple[Region | None, DeltaGenerator]:
    """The part of a large picture that is compared, None for the whole of it, as small pictures always are; and a place for a remark."""
    if not needs_region(picture.width, picture.height, mode):
        return None, st.empty()
    name = f"region {hash(picture.source)} {mode}"
    region = region_at(*_center(picture, f"{name} center"), picture.width, picture.height, mode)
    size = f"{region.width}×{region.height}"
    areas = {"region": f"Region {size}", "whole": "Whole picture"}
    # A key of its own for each picture and each comparison that was opened: a value that is set from here does not reach a widget
    # that the browser has not mounted, as those in a closed popover.
    key = f"area {hash(picture.source)} {st.session_state.get('adopted')}"
    default = "whole" if st.session_state.get("adopted_whole") == hash(picture.source) else "region"
    is_whole = st.session_state.get(key, default) == "whole"
    with st.popover("Whole picture" if is_whole else f"Region {size} at {region.x}, {region.y}", width="stretch"):
        area = st.segmented_control("Area", list(areas), format_func=lambda each: areas[each], key=key, required=True, default=default)
        moved = None
        if area != "whole":
            thumbnail = f"data:image/webp;base64,{base64.b64encode(picture.thumbnail).decode()}"
            moved = region_picker(thumbnail, (picture.width, picture.height), region, key=name)
        remark = st.empty()
    if moved and moved != st.session_state.get(f"{name} center"):
        st.session_state[f"{name} center"] = moved
        st.rerun()
    return (None if area == "whole" else region), remark


def _center(picture: Chosen, key: str) -> tuple[float, float]:
    """Where the middle of the region stands: where it was moved to, else where an opened comparison has it, else in the middle."""
    moved: tuple[float, float] | None = st.session_state.get(key)
    adopted: Region | None = st.session_state.get("adopted_region")
    if moved or adopted is None:
        return moved or (0.5, 0.5)
    return (adopted.x + adopted.width / 2) / picture.width, (adopted.y + adopted.height / 2) / picture.height
