"""Take the pictures of the README: `python docs/make_screenshots.py [NAME ...]` writes docs/NAME.png, of all names or of those given.

Starts the app with a store of its own and the models that are at hand; the starter weights should be. Each picture needs some seconds
beside the one comparison that most of them show.
"""

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

from chromium import settle, start_chromium  # noqa: E402 - the path is set above
from page_driver import ComparePage, Site, new_page, start_site  # noqa: E402

LARGEST_BYTES = 300_000
"""A picture whose file would be larger is coded with 256 colours."""
DESK, PHONE = (1440, 900), (390, 844)
WAIT_MS = 300_000
SCARCE_MIB = "8"
"""What a call may use beside its model where one is to run out of memory."""


class Studio:
    """A running app, a browser, and the comparison that most pictures show."""

    def __init__(self, browser: Browser, home: Path, **env: str) -> None:
        self.browser = browser
        self._starting = start_site(home, UPSCALE_BENCH_PLUGINS="", **env)
        self._compared: str | None = None
        self.site: Site = self._starting.__enter__()

    def close(self) -> None:
        """Stop the app."""
        self._starting.__exit__(None, None, None)

    def visit(self, address: str = "/", size: tuple[int, int] = DESK, *, dark: bool = False) -> ComparePage:
        """A new visitor's page."""
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light", accept_downloads=True
        )
        view = new_page(self.site, context)
        view.open(address)
        return view

    def finished(self, size: tuple[int, int] = DESK, *, dark: bool = False) -> ComparePage:
        """The comparison that the page offers, run at the first call."""
        if self._compared is None:
            self._compared = self.visit().compare()
        view = self.visit(f"/?job={self._compared}", size, dark=dark)
        view.wait_for_pictures(self._compared)
        return view


def example(studio: Studio) -> Page:
    """What greets a visitor."""
    return studio.visit().page


def running(studio: Studio) -> Page:
    """A comparison under way: some results are there, a model is at work."""
    view = studio.visit()
    view.segment("Upscale as is")
    job_id = view.start()
    view.page.locator(f".tile.loaded .picture[src*='/{job_id}/']").nth(2).wait_for(timeout=WAIT_MS)
    view.page.locator(".tile[data-state=running]").first.wait_for(timeout=WAIT_MS)
    return view.page


def compare(studio: Studio) -> Page:
    """A finished comparison."""
    return studio.finished().page


def dark(studio: Studio) -> Page:
    """The same in the dark."""
    return studio.finished(dark=True).page


def phone(studio: Studio) -> Page:
    """The same on a phone."""
    page = studio.finished(PHONE).page
    page.locator(".ub-status").evaluate("(line) => line.scrollIntoView()")
    return page


def report(studio: Studio) -> Page:
    """The saved report, opened from the disk."""
    view = studio.finished()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_bytes(view.page.request.get(f"{studio.site.app.url}/reports/{view.job_id}").body())
        view.page.goto(path.as_uri())
        view.page.locator(".tile.loaded").nth(2).wait_for(timeout=WAIT_MS)
        view.page.wait_for_timeout(1000)
    return view.page


def failure(studio: Studio) -> Page:
    """Failed tiles, each with its action, beside results: one lacks its weights, one its memory."""
    view = studio.visit()
    view.choose("Bicubic", "Lanczos", "LapSRN", "EDSR")
    view.compare()
    return view.page


def models(studio: Studio) -> Page:
    """The models page, when each model that is ready has been drawn, as it is unasked."""
    page = studio.browser.new_page(viewport={"width": DESK[0], "height": DESK[1]})
    page.goto(f"{studio.site.app.url}/models")
    page.wait_for_function("document.querySelectorAll('.ub-crop').length >= 18", timeout=WAIT_MS)
    return page


SHOTS: dict[str, Callable[[Studio], Page]] = {
    "example": example,
    "running": running,
    "compare": compare,
    "compare-dark": dark,
    "compare-phone": phone,
    "report": report,
    "failure": failure,
    "models": models,
}


def take(name: str, studio: Studio) -> None:
    """Write docs/NAME.png."""
    page = SHOTS[name](studio)
    if name not in ("running", "report", "models"):
        settle(page)
    if name != "running":
        page.wait_for_timeout(1000)
    picture = page.screenshot()
    page.context.close()
    with Image.open(io.BytesIO(picture)) as image:
        data = _png(image.convert("RGB"))
        if len(data) > LARGEST_BYTES:
            data = _png(image.convert("RGB").quantize(256))
    (ROOT / "docs" / f"{name}.png").write_bytes(data)
    print(f"docs/{name}.png: {len(data) / 1000:.0f} kB", flush=True)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def main() -> None:
    """Take all pictures, or those that are named."""
    names = sys.argv[1:] or list(SHOTS)
    if unknown := set(names) - set(SHOTS):
        sys.exit(f"No picture is called {', '.join(sorted(unknown))}; there are {', '.join(SHOTS)}.")
    with tempfile.TemporaryDirectory() as folder, start_chromium() as browser:
        for scarce in (False, True):
            chosen = [name for name in names if (name == "failure") == scarce]
            if not chosen:
                continue
            env = {"UPSCALE_BENCH_MODEL_MEMORY_MIB": SCARCE_MIB} if scarce else {}
            studio = Studio(browser, Path(folder) / str(scarce), **env)
            try:
                for name in chosen:
                    take(name, studio)
            finally:
                studio.close()


if __name__ == "__main__":
    main()
