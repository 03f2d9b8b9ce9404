"""The compare viewer as the browser gets it, and what it is told of a picture. Nothing here knows who serves it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

State = Literal["ready", "waiting", "loading", "running", "timing", "failed"]

_HERE = Path(__file__).parent
# One script for the browser, which can't import files from where it is mounted: the parts are joined in the order of their use.
_SCRIPTS = ("geometry.js", "pictures.js", "choice.js", "parts.js", "strip.js", "gestures.js", "viewer.js")


def html() -> str:
    """Its elements; they belong into a shadow root."""
    return _read("viewer.html")


def css() -> str:
    """Its styles, for the same shadow root. Colours come from Streamlit's variables `--st-...`, which a page without Streamlit sets."""
    return _read("viewer.css")


def script() -> str:
    """JavaScript that declares `mount`."""
    return "\n".join(_read(name) for name in _SCRIPTS)


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Shown:
    """One picture of a comparison, as the viewer shows it."""

    id: str
    """`original`, `downscaled`, or the id of a result."""
    label: str
    """Its name in the drop-downs and the strip."""
    url: str | None
    """Address of a PNG; None while there is none. Another picture needs another address. Where the viewer is told so, parts of a
    large one are at `{url}/parts/{level}/{left},{top},{width},{height}`: halved `level` times, then cut."""
    width: int
    """Width of the file, in pixels. The downscaled picture is smaller than the frame."""
    height: int
    """Height of the file, in pixels."""
    caption: str
    """Text below its tile, such as `faithful · 28.41 dB · 0.5 ms`."""
    state: State
    message: str
    """What goes on, such as `Tile 3 of 12`, or the reason of the failure. Empty: a word for the state."""
    progress: float | None
    """How much is done, 0 to 1; None while that is unknown."""
    pixelated: bool = False
    """Whether enlarging repeats pixels at every zoom. Others do so from 200 %, and are smooth below."""
    action: str = ""
    """Text of the button in a failed tile, such as `Try smaller tiles`; empty: no button."""

    def __post_init__(self) -> None:
        if self.state not in get_args(State):
            raise ValueError(f"state must be one of {', '.join(get_args(State))}, got {self.state!r}.")
