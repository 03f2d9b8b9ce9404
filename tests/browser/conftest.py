"""Fixtures of the browser tests: one Chromium and one harness app for the whole run, and tabs on the real app."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from chromium import start_chromium
from page_driver import WAIT_S, ComparePage, Site, new_page, start_site
from playwright.sync_api import Browser, BrowserContext, expect
from server import RunningApp, start_app
from viewer_driver import NUMBERS, Viewer, open_viewer, put_pictures, scene

Open = Callable[..., Viewer]
Visit = Callable[..., ComparePage]


@pytest.fixture(scope="session")
def viewer_app() -> Iterator[RunningApp]:
    with start_app(Path(__file__).with_name("viewer_app.py")) as running:
        yield running


@pytest.fixture(scope="session")
def picture_files(viewer_app: RunningApp) -> dict[str, bytes]:
    return put_pictures(viewer_app)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with start_chromium() as started:
        yield started


@pytest.fixture(scope="session")
def context_for(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Gives the browser context of a kind of screen. Tests share it, and with it the cache of Streamlit's own files."""
    contexts: dict[str, BrowserContext] = {}

    def one(width: int = 1200, height: int = 800, **options: Any) -> BrowserContext:
        name = repr((width, height, options))
        if name not in contexts:
            contexts[name] = browser.new_context(viewport={"width": width, "height": height}, **options)
        return contexts[name]

    yield one
    for context in contexts.values():
        context.close()


@pytest.fixture
def open_page(viewer_app: RunningApp, picture_files: dict[str, bytes], context_for: Callable[..., BrowserContext]) -> Iterator[Open]:
    """Opens the viewer; in the end nothing may have gone wrong in the page, and nothing may have left this machine."""
    with ExitStack() as stack:
        opened: list[Viewer] = []

        def open_one(arguments: dict[str, Any] | None = None, **screen: Any) -> Viewer:
            opened.append(stack.enter_context(open_viewer(viewer_app, context_for(**screen), arguments or scene())))
            return opened[-1]

        assert len(picture_files) == len(NUMBERS)
        yield open_one
        for view in opened:
            assert view.errors == []
            assert view.foreign_requests() == []


@pytest.fixture(scope="session")
def plain_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The real app without any weights, for tests that leave nothing behind which another could mind: starting one costs seconds."""
    with start_site(tmp_path_factory.mktemp("plain site"), UPSCALE_BENCH_WARM_UP="0", UPSCALE_BENCH_WEIGHTS="") as started:
        yield started


@pytest.fixture(scope="module")
def visitor(browser: Browser) -> Iterator[Visit]:
    """Opens the real app as a new visitor. In the end nothing may have gone wrong in any page, and nothing may have left this machine."""
    expect.set_options(timeout=WAIT_S * 1000)
    contexts: list[BrowserContext] = []
    opened: list[ComparePage] = []

    def visit(site: Site, address: str = "/", **screen: Any) -> ComparePage:
        contexts.append(browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **screen}))
        opened.append(new_page(site, contexts[-1]))
        opened[-1].open(address)
        return opened[-1]

    yield visit
    for context in contexts:
        context.close()
    for page in opened:
        assert page.errors == []
        assert page.foreign_requests() == []
