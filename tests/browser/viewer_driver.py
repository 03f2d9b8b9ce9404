"""Drive the harness app: set its scene, open it, and read what it shows and reports."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from chromium import settle
from coded_pictures import RGB8, Seen, coded_picture, decode_pixel, pixels_of, png
from playwright.sync_api import BrowserContext, Page
from server import RunningApp

NUMBERS = {"original": 1, "downscaled": 2, "bicubic": 3, "lanczos": 4, "dat": 5}
LABELS = {"original": "Original", "downscaled": "Downscaled", "bicubic": "Bicubic", "lanczos": "Lanczos", "dat": "DAT light"}
WAIT_S = 8.0


def put(app: RunningApp, path: str, body: bytes) -> None:
    """PUT to the harness app."""
    with urllib.request.urlopen(urllib.request.Request(f"{app.url}{path}", data=body, method="PUT")) as answer:
        assert answer.status == 200


def put_pictures(app: RunningApp) -> dict[str, bytes]:
    """Give the app the coded pictures; their files by id."""
    files = {name: png(coded_picture(number, (256, 192) if name == "downscaled" else (1024, 768))) for name, number in NUMBERS.items()}
    for name, file in files.items():
        put(app, f"/pictures/{name}", file)
    return files


def shown(name: str, **changes: Any) -> dict[str, Any]:
    """A finished picture of the scene, as `ui.viewer.Shown` takes it."""
    width, height = (256, 192) if name == "downscaled" else (1024, 768)
    facts = {"id": name, "label": LABELS.get(name, name), "url": f"/pictures/{name}", "width": width, "height": height}
    rest = {"caption": f"caption of {name}", "state": "ready", "message": "", "progress": None, "pixelated": name == "downscaled"}
    return {**facts, **rest, **changes}


def scene(*pictures: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Arguments of the viewer: all coded pictures, bicubic against DAT, unless told otherwise."""
    shown_pictures = list(pictures) or [shown(name) for name in NUMBERS]
    return {"pictures": shown_pictures, "frame": [1024, 768], "left": "bicubic", "right": "dat", **changes}


@dataclass
class Viewer:
    """The open harness page."""

    app: RunningApp
    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def set_scene(self, arguments: dict[str, Any]) -> None:
        """Change what Python sends; the page polls it."""
        put(self.app, "/scene", json.dumps(arguments).encode())

    def state(self) -> dict[str, Any]:
        """What the viewer has reported to Python."""
        return json.loads(self.page.get_by_test_id("stText").inner_text())

    def wait_for_state(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The reported state as soon as `holds`."""
        deadline = time.monotonic() + WAIT_S
        while not holds(state := self.state()):
            assert time.monotonic() < deadline, f"The viewer still reports {state}"
            self.page.wait_for_timeout(50)
        return state

    def wait_for_pictures(self) -> None:
        """Wait until every picture of the scene is decoded and drawn."""
        self.page.wait_for_function(
            """() => {
              const root = [...document.querySelectorAll('[data-testid=stBidiComponentIsolated]')].at(-1)?.shadowRoot;
              const images = [...(root?.querySelectorAll('.strip .picture:not([hidden])') ?? [])];
              const layers = ['.left-layer', '.right-layer'].map((name) => root?.querySelector(`${name} img`));
              return images.length > 0 && images.every((image) => image.complete) && layers.every((image) => image);
            }"""
        )
        self.next_frame()

    def next_frame(self) -> None:
        """Wait until what was asked for is drawn."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def stage_box(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the stage in the window, in CSS pixels."""
        box = self.page.locator(".stage").bounding_box()
        assert box is not None
        return box["x"], box["y"], box["width"], box["height"]

    def point(self, across: float, down: float) -> tuple[float, float]:
        """A window point, given as shares of the stage's width and height."""
        left, top, width, height = self.stage_box()
        return round(left + across * width), round(top + down * height)

    def drag(self, start: tuple[float, float], dx: float, dy: float = 0) -> None:
        """Drag with the left mouse button."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(start[0] + dx / 2, start[1] + dy / 2)
        mouse.move(start[0] + dx, start[1] + dy)
        mouse.up()
        self.next_frame()

    def screenshot(self, x: float, y: float, width: float, height: float) -> RGB8:
        """Screen pixels of a part of the window, given in CSS pixels."""
        clip: Any = {"x": x, "y": y, "width": width, "height": height}
        return pixels_of(self.page.screenshot(clip=clip))

    def seen_at(self, point: tuple[float, float]) -> Seen:
        """What the coded picture under a window point says."""
        self.next_frame()
        return decode_pixel(self.screenshot(*point, 2, 2)[0, 0])

    def seen(self, across: float, down: float) -> Seen:
        """The same at a point given as shares of the stage."""
        return self.seen_at(self.point(across, down))

    def wait_until_seen(self, left: int, right: int) -> None:
        """Wait until the two sides show the pictures of these numbers: a change shows once the new picture is decoded."""
        deadline = time.monotonic() + WAIT_S
        while (shown := (self.seen(0.4, 0.3).number, self.seen(0.6, 0.3).number)) != (left, right):
            assert time.monotonic() < deadline, f"The sides still show {shown}"
            self.page.wait_for_timeout(50)

    def zoom_percent(self) -> int:
        """The zoom that the viewer itself displays."""
        self.next_frame()
        return int(self.page.locator(".hud").inner_text().split()[0])

    def options(self, side: str) -> list[str]:
        """Texts of a drop-down."""
        return self.page.locator(f".{side}-side option").all_inner_texts()

    def tile(self, name: str) -> Any:
        """The strip's tile with this label."""
        return self.page.locator(".tile").filter(has=self.page.locator(".name", has_text=name))

    def foreign_requests(self) -> list[str]:
        """Requests that went elsewhere than to the app."""
        own = urlsplit(self.app.url).netloc
        return [url for url in self.requests if urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).netloc != own]


@contextmanager
def open_viewer(app: RunningApp, context: BrowserContext, arguments: dict[str, Any]) -> Iterator[Viewer]:
    """Open the harness page on a scene; wait until its pictures are drawn."""
    put(app, "/scene", json.dumps(arguments).encode())
    page = context.new_page()
    page.set_default_timeout(WAIT_S * 1000)
    view = Viewer(app, page)
    page.on("console", lambda message: view.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: view.errors.append(str(error)))
    page.on("request", lambda request: view.requests.append(request.url))
    page.on("websocket", lambda socket: view.requests.append(socket.url))
    try:
        page.goto(app.url)
        page.wait_for_selector(".stage")
        settle(page)
        view.wait_for_pictures()
        yield view
    finally:
        page.close()
