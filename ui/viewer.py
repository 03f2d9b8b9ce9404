"""The compare viewer: two pictures with a draggable split, and under it the same part of every picture.

One Streamlit component holds both, so that the strip follows the viewer without asking the server. The page sends addresses
of PNG files, never pixels; the browser keeps zoom, split and choice, and reports them back when they come to rest.

Under a fixed `key` new data changes only what differs: an <img> whose address stays is left alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import streamlit as st
from streamlit.components.v2 import component

from benchmark.parts import LARGE_PX
from benchmark.presentation import viewer as files
from benchmark.presentation.viewer import Shown

_mount = component("upscale_bench_viewer", html=files.html(), css=files.css(), js=f"{files.script()}\nexport default mount;\n")


@dataclass(frozen=True)
class ViewerState:
    """What the person sees and has chosen. Without a visit to the browser it is what the page asked for."""

    left: str | None
    """Id of the picture on the left; None while no picture is there."""
    right: str | None
    """Id of the picture on the right."""
    zoom: float | None
    """Screen pixels per frame pixel; None: fitted in, and not reported yet."""
    split: float
    """Where the split stands, 0 (left edge) to 1."""
    box: tuple[int, int, int, int]
    """The visible part: left, top, right, bottom in frame pixels."""
    touched: bool
    """Whether the person chose, moved or zoomed anything; the right side then stops to follow the newest result."""
    pick: str | None
    """Id of the picture starred as "My pick"."""
    names_hidden: bool
    """Whether names are replaced by letters, so that the page can hide what would give them away."""


def viewer(
    pictures: Sequence[Shown],
    *,
    frame: tuple[int, int],
    left: str,
    right: str,
    key: str,
    follow_newest: bool = False,
    zoom: float | None = None,
    center: tuple[float, float] | None = None,
    pick: str | None = None,
    parts_above_px: int | None = LARGE_PX,
    on_action: Callable[[str], None] | None = None,
) -> ViewerState:
    """Show `pictures` in the viewer and the strip.

    Parameters
    ----------
    pictures:
        In the order of the strip. Ids must differ.
    frame:
        Width and height that all pictures are drawn at, in pixels: those of the original, or of the result.
    left, right:
        Ids to begin with. While a picture is not there, another one stands in for it.
    key:
        Fixed name of this viewer. It keeps zoom and choice while the data changes.
    follow_newest:
        The right side shows the newest result until the person touches the viewer. Turning it on again, for a new run,
        forgets that touch.
    zoom, center:
        Where to begin, and again whenever `frame` changes: screen pixels per frame pixel (None: fit the picture in) and a
        frame point (None: the middle).
    pick:
        The starred picture to begin with.
    parts_above_px:
        Of pictures with more pixels the strip fetches parts (see `Shown.url`); None: it fetches all of every picture.
    on_action:
        Called with the picture's id when the button of a failed tile is pressed.

    Raises
    ------
    ValueError
        Two pictures have one id, or `frame` has no area.
    """
    ids = [picture.id for picture in pictures]
    if len(set(ids)) < len(ids):
        raise ValueError(f"Each picture needs an id of its own, got {', '.join(ids)}.")
    if min(frame) < 1:
        raise ValueError(f"frame must be a width and a height of at least 1 pixel, got {frame[0]}x{frame[1]}.")

    def act() -> None:
        picture_id = st.session_state[key]["action"]
        if on_action is not None and picture_id in ids:
            on_action(picture_id)

    result = _mount(
        key=key,
        data={
            "pictures": [asdict(picture) for picture in pictures],
            "frame": list(frame),
            "left": left,
            "right": right,
            "follow_newest": follow_newest,
            "zoom": zoom,
            "center": None if center is None else list(center),
            "pick": pick,
            "parts_above_px": parts_above_px,
        },
        on_view_change=_rerun_only,
        on_action_change=act,
    )
    asked = ViewerState(left, right, zoom, 0.5, (0, 0, *frame), touched=False, pick=pick, names_hidden=False)
    return _reported(result["view"], asked, ids, frame)


def _rerun_only() -> None:
    """A changed view needs no callback: the rerun that it causes reads it."""


def _reported(view: object, asked: ViewerState, ids: Sequence[str], frame: tuple[int, int]) -> ViewerState:
    """The state that the browser sent; whatever in it is not as it should be is taken from `asked`."""
    if not isinstance(view, Mapping):
        return asked

    def known(name: Literal["left", "right", "pick"], otherwise: str | None) -> str | None:
        value = view.get(name)
        return value if value in ids else otherwise

    zoom, split = view.get("zoom"), view.get("split")
    return ViewerState(
        left=known("left", asked.left),
        right=known("right", asked.right),
        zoom=float(zoom) if isinstance(zoom, int | float) and zoom > 0 else asked.zoom,
        split=float(split) if isinstance(split, int | float) and 0 <= split <= 1 else asked.split,
        box=_box(view.get("box"), frame),
        touched=view.get("touched") is True,
        pick=known("pick", None),
        names_hidden=view.get("names_hidden") is True,
    )


def _box(value: object, frame: tuple[int, int]) -> tuple[int, int, int, int]:
    """A box inside the frame; the whole frame if `value` is none, as after a change to another frame."""
    whole = (0, 0, *frame)
    if not isinstance(value, list) or len(value) != 4 or not all(isinstance(edge, int) for edge in value):
        return whole
    x0, y0, x1, y1 = value
    return (x0, y0, x1, y1) if 0 <= x0 < x1 <= frame[0] and 0 <= y0 < y1 <= frame[1] else whole
