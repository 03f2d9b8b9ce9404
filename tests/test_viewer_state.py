"""What the viewer's Python side makes of what the browser reports; the browser's side is tested in tests/browser."""

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ui.viewer import Shown, viewer

GOOD = {
    "left": "dat",
    "right": "original",
    "zoom": 2.5,
    "split": 0.25,
    "box": [10, 20, 110, 80],
    "touched": True,
    "pick": "dat",
    "names_hidden": True,
}
ASKED = {
    "left": "original",
    "right": "dat",
    "zoom": None,
    "split": 0.5,
    "box": [0, 0, 200, 100],
    "touched": False,
    "pick": None,
    "names_hidden": False,
}


def page() -> None:
    import json
    from dataclasses import asdict

    import streamlit as st

    from ui.viewer import Shown, viewer

    pictures = [Shown(name, name, f"/pictures/{name}", 200, 100, "", "ready", "", None) for name in ("original", "dat")]
    st.text(json.dumps(asdict(viewer(pictures, frame=(200, 100), left="original", right="dat", key="viewer"))))


def state_after(view: object) -> dict[str, Any]:
    app = AppTest.from_function(page)
    if view is not None:
        app.session_state["viewer"] = {"view": view}
    app.run(timeout=20)
    assert not app.exception
    return json.loads(app.text[0].value)


def test_before_the_browser_reports_the_state_is_what_the_page_asked_for() -> None:
    assert state_after(None) == ASKED


def test_a_report_is_taken_over() -> None:
    assert state_after(GOOD) == GOOD


@pytest.mark.parametrize(
    "report",
    [
        "text",
        {"left": "unknown", "right": ["dat"], "pick": 7},
        {"zoom": "NaN", "split": 7, "touched": "yes", "names_hidden": 1},
        {"zoom": -1, "box": [0, 0, 201, 100]},
        {"box": [50, 0, 50, 10]},
        {"box": [0.5, 0, 10, 10]},
        {"box": None},
    ],
)
def test_a_report_that_cannot_be_right_changes_nothing(report: object) -> None:
    assert state_after(report) == ASKED


def test_two_pictures_with_one_id_are_a_mistake_of_the_page() -> None:
    picture = Shown("dat", "DAT", None, 200, 100, "", "waiting", "", None)
    with pytest.raises(ValueError, match="an id of its own, got dat, dat"):
        viewer([picture, picture], frame=(200, 100), left="dat", right="dat", key="viewer")


def test_an_unknown_state_is_a_mistake_of_the_page() -> None:
    state: Any = "done"
    with pytest.raises(ValueError, match="got 'done'"):
        Shown("dat", "DAT", None, 200, 100, "", state, "", None)
