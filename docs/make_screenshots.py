"""Take the README's pictures: `python docs/make_screenshots.py` starts the app, compares the first sample, and writes docs/*.png."""

import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser.chromium import start_chromium  # noqa: E402 - the path is set above
from tests.browser.server import start_app  # noqa: E402

SHOTS: tuple[tuple[str, int, int, Literal["light", "dark"]], ...] = (
    ("compare.png", 1440, 900, "light"),
    ("compare-dark.png", 1440, 900, "dark"),
    ("compare-phone.png", 390, 844, "light"),
)


def compare(page: Page, url: str) -> str:
    """Run the comparison that the page offers; returns its address."""
    page.goto(url)
    page.get_by_role("button", name="Compare").click()
    page.wait_for_function("document.querySelector('.ub-status')?.textContent.startsWith('Measured on')", timeout=300_000)
    return page.url


def main() -> None:
    """Start, compare, take pictures, stop."""
    with (
        tempfile.TemporaryDirectory() as home,
        start_app(ROOT / "streamlit_app.py", {"UPSCALE_BENCH_HOME": home}) as app,
        start_chromium() as browser,
    ):
        address = compare(browser.new_page(viewport={"width": 1440, "height": 900}), app.url)
        for name, width, height, scheme in SHOTS:
            page = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
            page.goto(address)
            page.wait_for_selector(".ub-table")
            page.wait_for_load_state("networkidle")
            if width < 700:
                page.evaluate("document.querySelector('.ub-status').scrollIntoView()")
            page.wait_for_timeout(1000)
            page.screenshot(path=ROOT / "docs" / name)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{app.url}/models")
        # Each ready model is drawn once, unasked.
        page.wait_for_function("document.querySelectorAll('.ub-crop').length >= 18", timeout=300_000)
        page.wait_for_timeout(1000)
        page.screenshot(path=ROOT / "docs" / "models.png")


if __name__ == "__main__":
    main()
