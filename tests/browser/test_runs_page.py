"""The runs page in a real browser: a run is started, left alone, found again, stopped, gone on with, and seen in the leaderboard."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import settle
from page_driver import COMPARISON_S, ComparePage, Site, start_site
from playwright.sync_api import Locator, Page, expect
from test_accessibility import CORNERS, assert_no_faults

from benchmark.ranking.leaderboard import leaderboard
from benchmark.storage.store import Store
from tests.run_helpers import make_set

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]
LONG_MS = COMPARISON_S * 1000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`fake-noted` takes its time: 0.4 s a picture."""
    with start_site(
        tmp_path_factory.mktemp("home"),
        UPSCALE_BENCH_WARM_UP="0",
        UPSCALE_BENCH_WEIGHTS="",
        UPSCALE_BENCH_PLUGINS="tests.fakes,tests.run_faults",
        FAKE_NOTES=str(tmp_path_factory.mktemp("notes") / "notes"),
    ) as started:
        yield started


@pytest.fixture(scope="module")
def view(site: Site, visitor: Visit) -> ComparePage:
    opened = visitor(site)
    open_runs(opened.page)
    return opened


def open_runs(page: Page) -> None:
    page.get_by_test_id("stMain").get_by_role("link", name="Runs").click()
    expect(start_button(page)).to_be_visible()
    settle(page)


def start_button(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile(r"^(Start|Continue) run"))


def name_set(page: Page, text: str) -> None:
    field = page.get_by_role("textbox", name=re.compile("ata set$"))
    field.fill(text)
    field.press("Enter")
    settle(page)


def choose(page: Page, *names: str) -> None:
    """Choose upscalers by the beginnings of their labels."""
    box = page.get_by_role("combobox", name=re.compile("Upscalers"))
    for name in names:
        box.fill(name)
        page.get_by_role("option", name=re.compile(rf"^{name} ·")).click()
        settle(page)
    page.keyboard.press("Escape")


def card(page: Page, name: str) -> Locator:
    """The card of a run. While a page is drawn anew, what it had before is still there, and a card can be in two places."""
    title = page.locator("[data-stale=false] h2", has_text=re.compile(f"^{name}-"))
    return page.get_by_test_id("stMain").locator("[class*='st-key-run-']").filter(has=title)


def press_start(page: Page) -> None:
    expect(start_button(page)).to_be_enabled()
    start_button(page).click()


def started(page: Page, folder: Path, *upscalers: str) -> Locator:
    """Start a run of a folder on the page as it opens; returns its card."""
    open_runs(page)
    name_set(page, str(folder))
    choose(page, *upscalers)
    press_start(page)
    return card(page, folder.name)


def test_what_can_not_be_read_is_one_line_where_it_was_named(view: ComparePage, tmp_path: Path) -> None:
    page = view.page
    expect(page.get_by_text("No run yet.")).to_be_visible()
    for named, line in ((tmp_path / "missing", "There is no folder"), (tmp_path, "No picture lies in")):
        name_set(page, str(named))
        assert_refused(page, line)
    name_set(page, "owner/name")
    page.get_by_role("button", name="Fetch owner/name from Hugging Face").click()
    assert_refused(page, "UPSCALE_BENCH_OFFLINE is set")


def assert_refused(page: Page, line: str) -> None:
    alert = page.get_by_test_id("stAlertContentError")
    expect(alert).to_contain_text(line)
    expect(alert).to_have_count(1)
    expect(start_button(page)).to_be_disabled()


def test_a_run_goes_on_without_its_visitor_and_its_numbers_are_in_the_leaderboard(
    view: ComparePage, site: Site, visitor: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = view.page
    name_set(page, str(make_set(tmp_path / "birds", 6)))
    expect(page.get_by_text("birds: 6 pictures")).to_be_visible()
    choose(page, "Bicubic", "Lanczos", "fake-noted")
    expect(page.get_by_text(re.compile("^6 pictures, 18 results"))).to_be_visible()
    press_start(page)
    running = card(page, "birds")
    expect(running.locator(".ub-badge")).to_have_text("Running", timeout=LONG_MS)
    expect(running).to_contain_text(re.compile(r"1[2-7] of 18, .* per second, .* left"), timeout=LONG_MS)
    assert_no_faults(page, "a run under way", CORNERS)
    page.close()
    later = visitor(site)
    open_runs(later.page)
    expect(card(later.page, "birds").locator(".ub-badge")).to_have_text("Done", timeout=LONG_MS)
    expect(card(later.page, "birds")).to_contain_text("18 of 18")
    card(later.page, "birds").get_by_role("link", name="See in leaderboard").click()
    monkeypatch.setenv("UPSCALE_BENCH_HOME", str(site.home))
    with Store.open() as store:
        ranking = next(each for each in leaderboard(store) if each.protocol == "y" and each.dataset == "birds")
    for entry in ranking.entries:
        assert entry.psnr_db is not None
        expect(later.row(entry.name)).to_contain_text(f"{entry.psnr_db.value:.2f}")
    assert {entry.upscaler for entry in ranking.entries} == {"bicubic", "lanczos", "fake-noted"}


def test_a_run_is_stopped_goes_on_and_is_deleted(site: Site, visitor: Visit, tmp_path: Path) -> None:
    page = visitor(site).page
    cats = started(page, make_set(tmp_path / "cats", 5), "Bicubic", "fake-noted")
    expect(cats).to_contain_text(re.compile(r"[67] of 10"), timeout=LONG_MS)
    cats.get_by_role("button", name="Stop").click()
    expect(cats.locator(".ub-badge")).to_have_text("Stopped", timeout=LONG_MS)
    expect(cats).to_contain_text(re.compile(r"[6-9] of 10 saved"))
    expect(start_button(page)).to_have_text(re.compile("^Continue run"))
    cats.get_by_role("button", name="Continue").click()
    expect(cats.locator(".ub-badge")).to_have_text("Done", timeout=LONG_MS)
    expect(cats).to_contain_text("10 of 10")
    expect(start_button(page)).to_be_disabled()
    # The folder is offered from now on.
    expect(page.get_by_role("button", name="cats", exact=True)).to_be_visible()
    cats.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("heading", name=re.compile("^cats-"))).to_have_count(0)


@pytest.mark.long
def test_a_run_is_there_and_goes_on_after_the_server_was_killed(visitor: Visit, tmp_path: Path) -> None:
    settings = {
        "UPSCALE_BENCH_WARM_UP": "0",
        "UPSCALE_BENCH_WEIGHTS": "",
        "UPSCALE_BENCH_PLUGINS": "tests.fakes,tests.run_faults",
        "FAKE_NOTES": str(tmp_path / "notes"),
    }
    with start_site(tmp_path / "home", **settings) as first:
        page = visitor(first).page
        birds = started(page, make_set(tmp_path / "birds", 8), "Bicubic", "fake-noted")
        expect(birds).to_contain_text(re.compile(r"(9|1[0-4]) of 16"), timeout=LONG_MS)
        page.close()
        os.kill(first.app.pid, signal.SIGKILL)
    with start_site(tmp_path / "home", **settings) as second:
        page = visitor(second).page
        open_runs(page)
        birds = card(page, "birds")
        expect(birds.locator(".ub-badge")).to_have_text("Interrupted", timeout=LONG_MS)
        expect(birds).to_contain_text(re.compile(r"(9|1[0-5]) of 16 saved"))
        birds.get_by_role("button", name="Continue").click()
        expect(birds).to_contain_text("16 of 16", timeout=LONG_MS)
        expect(birds.locator(".ub-badge")).to_have_text("Done")
        page.close()


def test_failures_have_their_reasons(site: Site, visitor: Visit, tmp_path: Path) -> None:
    page = visitor(site).page
    dogs = started(page, make_set(tmp_path / "dogs", 2), "Bicubic", "fake-nan")
    expect(dogs).to_contain_text("4 of 4, 2 of them failed", timeout=LONG_MS)
    expect(dogs.get_by_role("button", name="Retry failed")).to_be_enabled()
    dogs.get_by_text("What failed").click()
    rows = dogs.locator(".ub-table tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_have_text(re.compile(r"^dogs/0\.pngfake-nan x4.*NaN"))
    dogs.get_by_text("Upscalers", exact=True).click()
    expect(dogs.locator(".ub-table").first.locator("tbody tr")).to_have_text([re.compile(r"^Bicubic202"), re.compile(r"^fake-nan022")])
    assert_no_faults(page, "what failed", CORNERS[1:])


def test_a_phone_shows_all_of_it_without_scrolling_sideways(site: Site, visitor: Visit) -> None:
    page = visitor(site, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    header = page.locator(".st-key-header")
    for link in ("Runs", "Leaderboard", "Models", "Compare"):
        header.get_by_role("link", name=link).tap()
        settle(page)
        box = header.bounding_box()
        assert box is not None
        assert box["height"] < 40
        right = max(each.evaluate("link => link.getBoundingClientRect().right") for each in header.get_by_role("link").all())
        assert right <= 390 - 10
    open_runs(page)
    for element in ("document.scrollingElement", "document.querySelector('[data-testid=stMain]')"):
        room = page.evaluate(f"() => {{ const at = {element}; return [at.scrollWidth, at.clientWidth] }}")
        assert room[0] <= room[1], f"{element} scrolls sideways: {room}"
