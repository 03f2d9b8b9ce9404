"""The part of the set-up row that says what is compared: the picture, and the region of it."""

import base64

import streamlit as st

from benchmark.presentation.format import plain
from benchmark.regions import SIDE_PX, needs_region, region_at
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


def area_control(picture: Chosen, mode: Mode) -> Region | None:
    """The part of a large picture that is compared; None for the whole of it, as small pictures always are."""
    if not needs_region(picture.width, picture.height, mode):
        return None
    adopted: Region | None = st.session_state.get("adopted_region")
    side = SIDE_PX[mode]
    areas = {"region": f"Region {min(side, picture.width)}×{min(side, picture.height)}", "whole": "Whole picture"}
    area = st.segmented_control(
        "Area", list(areas), format_func=lambda key: areas[key], key="area", required=True, default="region", bind="query-params"
    )
    if area == "whole":
        return None
    name = f"region {hash(picture.source)} {mode}"
    center = st.session_state.get(f"{name} center")
    if center is None:
        center = (0.5, 0.5)
        if adopted:
            center = (adopted.x + adopted.width / 2) / picture.width, (adopted.y + adopted.height / 2) / picture.height
    region = region_at(center[0], center[1], picture.width, picture.height, mode)
    with st.popover(f"Move it (now at {region.x}, {region.y})", width="stretch"):
        thumbnail = f"data:image/webp;base64,{base64.b64encode(picture.thumbnail).decode()}"
        moved = region_picker(thumbnail, (picture.width, picture.height), region, key=name)
    if moved and moved != st.session_state.get(f"{name} center"):
        st.session_state[f"{name} center"] = moved
        st.rerun()
    return region
