"""The models page in a real browser: every upscaler is there, can be found, is seen at work, and fails to download in one line."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_driver import COMPARISON_S, ComparePage, Site, start_site
from playwright.sync_api import Locator, expect

import upscalers
from tests import networks

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Without any weights: only the interpolators are ready."""
    with start_site(
        tmp_path_factory.mktemp("home"), UPSCALE_BENCH_WARM_UP="0", UPSCALE_BENCH_PLUGINS="", UPSCALE_BENCH_WEIGHTS=""
    ) as started:
        yield started


@pytest.fixture(scope="module")
def view(site: Site, visitor: Visit) -> ComparePage:
    opened = visitor(site)
    opened.page.get_by_role("link", name="Models").click()
    expect(opened.page.get_by_text(re.compile(r"\d+ of \d+ models; \d+ are ready"))).to_be_visible()
    return opened


def cards(view: ComparePage) -> Locator:
    return view.page.locator(".ub-card h2")


def test_every_upscaler_has_a_card_and_the_ready_ones_are_seen_at_work(view: ComparePage, site: Site) -> None:
    total = len(list(upscalers.registry()))
    expect(cards(view)).to_have_count(total)
    expect(view.page.get_by_text(f"{total} of {total} models; 4 are ready.")).to_be_visible()
    button, card = (
        at.bounding_box() for at in (view.page.get_by_role("button", name="Add a model file"), view.page.locator(".ub-card").first)
    )
    assert button is not None
    assert card is not None
    # One gap of the page and the card's own padding: no room is kept for files that nobody added.
    assert card["y"] - (button["y"] + button["height"]) < 40
    halves = view.page.locator(".ub-crop")
    expect(halves).to_have_count(8, timeout=COMPARISON_S * 1000)
    address = halves.nth(1).evaluate("element => getComputedStyle(element).backgroundImage.slice(5, -2)")
    job_id, name = address.split("/")[-2:]
    assert view.page.request.get(address).body() == (site.directory(job_id) / name).read_bytes()


def test_words_find_models_and_the_table_shows_the_same(view: ComparePage) -> None:
    search = view.page.get_by_role("textbox", name="Search")
    search.fill("transformer dat")
    search.press("Enter")
    expect(cards(view)).to_have_text([re.compile(name) for name in ("DAT light", "DAT-S", "DAT-2", "DAT")])
    view.page.get_by_role("radio", name="Table").click()
    expect(view.page.get_by_test_id("stDataFrame")).to_be_visible()
    expect(cards(view)).to_have_count(0)
    view.page.get_by_role("radio", name="Cards").click()
    search.fill("no such thing")
    search.press("Enter")
    expect(view.page.get_by_text("No model has all these words and marks.")).to_be_visible()
    search.fill("")
    search.press("Enter")


def test_a_download_that_fails_says_why_in_its_card(view: ComparePage) -> None:
    search = view.page.get_by_role("textbox", name="Search")
    search.fill("2018")
    search.press("Enter")
    expect(cards(view)).to_have_text([re.compile("ESRGAN")])
    view.page.get_by_test_id("stMain").get_by_role("button", name=re.compile("Download$")).click()
    failure = view.page.get_by_test_id("stAlert")
    expect(failure).to_contain_text("ESRGAN.pth can't be fetched")
    expect(failure).to_contain_text("UPSCALE_BENCH_OFFLINE")


def test_a_model_file_is_added_seen_and_removed_and_a_bad_one_refused(view: ComparePage, tmp_path: Path) -> None:
    networks.write_rrdbnet(tmp_path / "4x-Lively.pth", scale=4)
    (tmp_path / "page.pth").write_bytes(b"<html>not here</html>")
    for name, outcome in (("page.pth", "page.pth: Model is damaged"), ("4x-Lively.pth", "4x-Lively is ready: x4, id custom-4x-lively")):
        view.page.get_by_role("button", name="Add a model file").click()
        dialog = view.page.get_by_role("dialog")
        dialog.locator("input[type=file]").set_input_files(tmp_path / name)
        dialog.get_by_role("button", name="Check and add").click()
        expect(dialog).to_have_count(0)
        expect(view.page.get_by_test_id("stAlert").filter(has_text=outcome)).to_be_visible(timeout=COMPARISON_S * 1000)
    search = view.page.get_by_role("textbox", name="Search")
    search.fill("custom")
    search.press("Enter")
    expect(cards(view)).to_have_text([re.compile("4x-Lively")])
    expect(view.page.locator(".ub-crop")).to_have_count(2, timeout=COMPARISON_S * 1000)
    view.page.get_by_role("button", name="Remove").click()
    view.page.get_by_role("button", name="Delete").click()
    expect(view.page.get_by_text("No model has all these words and marks.")).to_be_visible()
