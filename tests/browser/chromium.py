"""Start Chromium for tests: the system's when there is one, otherwise Playwright's own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

# Screenshots are compared with the PNG's own numbers, so no colour profile may come in between.
ARGS = ("--no-sandbox", "--force-color-profile=srgb", "--disable-background-networking", "--disable-component-update", "--disable-sync")


@contextmanager
def start_chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGS)
        try:
            yield browser
        finally:
            browser.close()


def settle(page: Page, timeout_ms: float = 20_000) -> None:
    """Wait until Streamlit has drawn the page and no script runs."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=timeout_ms)
