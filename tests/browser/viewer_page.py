"""The page of the harness app: nothing but the viewer, and below it what it reports."""

import json
from dataclasses import asdict

import streamlit as st
from viewer_scene import ACTIONS, SCENE

from ui.viewer import Shown, viewer

st.set_page_config(page_title="Viewer", layout="wide")
st.html("<style>.stMainBlockContainer { padding: 3.5rem 1rem 1rem } .stAppHeader { display: none }</style>")


@st.fragment(run_every=0.2)
def show() -> None:
    """Poll the scene as the compare page polls a job."""
    if not SCENE:
        return
    scene = dict(SCENE)
    pictures = [Shown(**picture) for picture in scene.pop("pictures")]
    state = viewer(pictures, key="viewer", on_action=ACTIONS.append, **scene)
    st.text(json.dumps({**asdict(state), "actions": ACTIONS}))


show()
st.html("<div style='height: 900px'></div>")
