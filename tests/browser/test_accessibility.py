"""What axe-core finds wrong with the pages for people with assistive technology: nothing serious, light or dark, wide or narrow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from chromium import settle
from page_driver import COMPARISON_S, ComparePage, Site
from playwright.sync_api import Page, expect

from benchmark import jobs
from benchmark.presentation import report
from tests.pictures import noise, png

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]
SCREENS = [(width, height, scheme) for width, height in ((1440, 900), (390, 844)) for scheme in ("light", "dark")]
CORNERS = [(1440, 900, "light"), (390, 844, "dark")]
"""Enough where a state adds little: colours differ by scheme, elements by width."""
GRAVE = ("serious", "critical")
AXE = Axe()


class Tolerated(NamedTuple):
    """A fault inside an element of Streamlit's own that can't be mended from here."""

    rule: str
    selector: str
    reason: str


TOLERATED: tuple[Tolerated, ...] = ()


@pytest.fixture(scope="module")
def view(plain_site: Site, visitor: Visit, tmp_path_factory: pytest.TempPathFactory) -> ComparePage:
    picture = tmp_path_factory.mktemp("pictures") / "small.png"
    picture.write_bytes(png(noise(64, 48)))
    opened = visitor(plain_site)
    assert_no_faults(opened.page, "the example")
    opened.compare_button.hover()
    assert_no_faults(opened.page, "the pointer on the button", SCREENS[1:2])
    opened.upload(picture)
    return opened


def faults(page: Page) -> list[str]:
    """Each serious or critical fault in one line: rule, element, what is wrong."""
    found: dict[str, Any] = AXE.run(page, options={"resultTypes": ["violations"], "preload": False}).response
    assert found["testEngine"]["name"] == "axe-core"
    return [
        f"{violation['id']} {node['target']} {(node['any'] or node['all'] or node['none'])[0]['message']} {node['html'][:200]}"
        for violation in found["violations"]
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
        if not any(each.rule == violation["id"] and each.selector in str(node["target"]) for each in TOLERATED)
    ]


def assert_no_faults(page: Page, state: str, screens: list[tuple[int, int, str]] = SCREENS) -> None:
    backgrounds = set()
    for width, height, scheme in screens:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)  # pyright: ignore[reportArgumentType]
        # Colours fade into each other.
        page.wait_for_timeout(250)
        backgrounds.add(
            (scheme, page.evaluate("() => getComputedStyle(document.querySelector('.stApp') ?? document.body).backgroundColor"))
        )
        assert faults(page) == [], f"{state}, {width} pixels wide, {scheme}"
    assert len({colour for _, colour in backgrounds}) == len({scheme for *_, scheme in screens}), "the page did not change its colours"
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light")


def test_the_rules_find_a_fault_in_the_viewer(view: ComparePage) -> None:
    """A check of the check: axe reads what stands in the component's shadow root."""
    unnamed = "button => { button.dataset.label = button.ariaLabel; button.removeAttribute('aria-label'); button.removeAttribute('title') }"
    button = view.page.locator(".tools .full")
    button.evaluate(unnamed)
    assert [fault.split()[0] for fault in faults(view.page)] == ["button-name"]
    button.evaluate("button => { button.ariaLabel = button.dataset.label }")


def test_the_compare_page_while_it_runs_when_it_failed_and_when_it_is_done(view: ComparePage, plain_site: Site) -> None:
    view.choose("Bicubic", "Lanczos", "fake-crash", "fake-good")
    view.set_slider("fake-good: sleep", "End")
    job_id = view.start()
    plain_site.wait_for(job_id, lambda _: plain_site.rows(job_id)["fake-good"]["stage"] == "running")
    expect(view.tile("Bicubic").locator(".picture")).to_be_visible()
    assert_no_faults(view.page, "running", CORNERS)
    view.cancel_button.click()
    plain_site.wait_for(job_id, lambda job: job["state"] == "cancelled")
    expect(view.row("fake-good")).to_contain_text("Stopped. Run again.")
    view.row("Bicubic").locator("summary").click()
    assert_no_faults(view.page, "failed", CORNERS)
    view.page.get_by_role("button", name="Hide names").click()
    expect(view.page.locator(".ub-table")).to_have_count(0)
    assert_no_faults(view.page, "names hidden", CORNERS[:1])
    view.page.get_by_role("button", name="Reveal").click()


def test_the_compare_page_with_what_opens_on_it(view: ComparePage) -> None:
    page = view.page
    for button, what in (("Choose upscalers", "None"), ("More", "Downscale method")):
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.get_by_test_id("stPopoverBody").get_by_text(what, exact=True).first).to_be_visible()
        assert_no_faults(page, f"{button} open", CORNERS)
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Keys and gestures").click()
    assert_no_faults(page, "keys open", CORNERS)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys and gestures")).to_be_hidden()


def test_the_compare_page_upscaling_as_is(view: ComparePage) -> None:
    view.segment("Upscale as is")
    view.segment("x2")
    view.choose("Bicubic", "Lanczos")
    view.compare()
    view.page.get_by_text("Use this model", exact=True).click()
    assert_no_faults(view.page, "upscaled as it is", CORNERS)


def test_the_saved_report(view: ComparePage, plain_site: Site, tmp_path: Path) -> None:
    example = jobs.load(jobs.EXAMPLE_FOLDER)
    report.write(jobs.EXAMPLE_FOLDER, example, tmp_path / "report.html")
    page = view.page.context.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    expect(page.locator(".strip .picture:not([hidden])")).to_have_count(2 + len(example.rows))
    page.locator("main > details").last.locator("summary").click()
    page.locator(".ub-table summary").first.click()
    assert_no_faults(page, "the report", CORNERS)
    page.close()


def test_the_models_page(view: ComparePage) -> None:
    page = view.page
    page.get_by_role("link", name="Models").click()
    expect(page.locator(".ub-crop").nth(1)).to_be_visible(timeout=COMPARISON_S * 1000)
    settle(page)
    assert_no_faults(page, "cards of models", CORNERS)
    page.get_by_role("radio", name="Table").click()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    assert_no_faults(page, "table of models", CORNERS[:1])
    page.get_by_role("button", name="Add a model file").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert_no_faults(page, "adding a model", CORNERS)
