"""The first look at the compare page, and what a visitor takes along from it."""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_driver import ComparePage, Site, start_site
from playwright.sync_api import expect

from benchmark import jobs
from benchmark.samples import SAMPLES
from tests.pictures import noise, png

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]
FIRST_LOOK_S = 10.0
"""A cold server on a busy machine; it is mostly Streamlit's own start in the browser."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with start_site(tmp_path_factory.mktemp("home"), UPSCALE_BENCH_WARM_UP="0") as started:
        yield started


@pytest.fixture(scope="module")
def finished(site: Site, visitor: Visit, tmp_path_factory: pytest.TempPathFactory) -> ComparePage:
    """A page with a comparison of the visitor's own."""
    picture = tmp_path_factory.mktemp("pictures") / "small.png"
    picture.write_bytes(png(noise(64, 48)))
    view = visitor(site)
    view.upload(picture)
    view.choose("Bicubic", "Lanczos")
    view.compare()
    return view


def test_the_first_look_is_a_finished_example(site: Site, visitor: Visit) -> None:
    started = time.monotonic()
    view = visitor(site)
    example = jobs.load(jobs.EXAMPLE_FOLDER)
    names = [example.original_path, example.downscaled_path, *(row.output_path for row in example.rows)]
    for name in names:
        picture = view.page.locator(f".strip .picture[src$='/pictures/example/{name}']")
        expect(picture).to_have_js_property("complete", True)
        assert view.page.request.get(f"{site.app.url}/pictures/example/{name}").body() == (jobs.EXAMPLE_FOLDER / str(name)).read_bytes()
    assert time.monotonic() - started < FIRST_LOOK_S
    expect(view.status()).to_have_text(re.compile(r"^Example, computed on .+, \d+ \w+ \d{4}\. Press Compare to measure here\.$"))
    expect(view.page.locator(".hud")).to_have_text("200 %")
    expect(view.page.get_by_label("Left picture")).to_have_value("bicubic")
    expect(view.page.get_by_label("Right picture")).to_have_value("realesr-general-x4v3")
    assert view.job_id is None
    # No model has run and nothing was stored.
    assert not (site.home / "comparisons").exists()
    expect(view.page.get_by_role("button", name="Delete this comparison")).to_have_count(0)
    expect(view.page.get_by_role("button", name="Copy link")).to_be_hidden()


def test_every_sample_can_be_chosen(site: Site, visitor: Visit) -> None:
    view = visitor(site)
    for label in SAMPLES:
        view.page.get_by_role("radio", name=label, exact=True).click()
        expect(view.page.get_by_text(re.compile(rf"^{label} · \d+×\d+"))).to_be_visible()


def test_the_saved_report_holds_the_pages_pictures_and_numbers(site: Site, finished: ComparePage, tmp_path: Path) -> None:
    with finished.page.expect_download() as coming:
        finished.page.get_by_role("link", name="Save report").click()
    assert coming.value.suggested_filename == "upscale-bench_small_x4.html"
    coming.value.save_as(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    held = dict(re.findall(r'<script type="text/plain" id="([^"]+)">([^<]*)</script>', text))
    directory = site.directory(str(finished.job_id))
    assert {name: base64.b64decode(value) for name, value in held.items()} == {
        file.name: file.read_bytes() for file in directory.glob("*.png")
    }
    page = finished.page.context.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    expect(page.locator(".strip .picture:not([hidden])")).to_have_count(4)
    # The report has both tables at once, and shows one.
    page.locator("[data-protocol=y]").evaluate("hidden => hidden.remove()")
    assert ComparePage(site, page).table() == finished.table()
    page.close()


def test_the_link_leads_another_person_to_the_same_comparison(site: Site, visitor: Visit, finished: ComparePage) -> None:
    finished.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    finished.page.get_by_role("button", name="Copy link").click()
    expect(finished.page.get_by_role("button", name="Link copied")).to_be_visible()
    link = finished.page.evaluate("() => navigator.clipboard.readText()")
    assert link == f"{site.app.url}/?job={finished.job_id}"
    other = visitor(site, link.removeprefix(site.app.url))
    other.wait_for_pictures(str(finished.job_id))
    assert other.table() == finished.table()


def test_the_link_is_copied_where_the_browser_has_no_clipboard(site: Site, visitor: Visit, finished: ComparePage) -> None:
    """As at every address without TLS that is not the browser's own machine."""
    view = visitor(site, f"/?job={finished.job_id}")
    view.page.add_init_script("Object.defineProperty(Navigator.prototype, 'clipboard', { get: () => undefined })")
    view.page.reload()
    view.wait_for_pictures(str(finished.job_id))
    view.page.get_by_role("button", name="Copy link").click()
    expect(view.page.get_by_role("button", name="Link copied")).to_be_visible()
    view.page.evaluate("() => { document.body.append(document.createElement('textarea')); document.body.lastChild.focus() }")
    view.page.keyboard.press("Control+V")
    assert view.page.evaluate("() => document.body.lastChild.value") == f"{site.app.url}/?job={finished.job_id}"


def test_use_this_model_shows_the_command_of_the_chosen_one(finished: ComparePage) -> None:
    page = finished.page
    page.get_by_text("Use this model", exact=True).click()
    code = page.get_by_test_id("stExpander").get_by_test_id("stCode")
    expect(code.first).to_contain_text("upscale-bench upscale photo.png --upscaler bicubic --scale 4 -o result.png")
    page.get_by_test_id("stExpander").get_by_role("combobox").click()
    page.locator("div[role=option]", has_text="Lanczos").click()
    expect(code.first).to_contain_text("--upscaler lanczos")
    expect(code.nth(1)).to_contain_text('upscale(Image.open("photo.png"), "lanczos", scale=4)')
    job = json.loads((finished.site.directory(str(finished.job_id)) / "job.json").read_bytes())
    fingerprint = next(row["fingerprint"] for row in job["rows"] if row["upscaler"] == "lanczos")
    expect(page.get_by_test_id("stExpander")).to_contain_text(fingerprint)


def test_a_report_of_what_is_not_there_is_not_found(site: Site, finished: ComparePage) -> None:
    for job_id in ("AAAAAAAAAAAAAAAA", "..%2Fcomparisons", "example%00"):
        answer = finished.page.request.get(f"{site.app.url}/reports/{job_id}")
        assert answer.status in (400, 404)
    saved = finished.page.request.get(f"{site.app.url}/reports/{finished.job_id}")
    assert saved.headers["content-disposition"].startswith("attachment")
    assert saved.headers["x-content-type-options"] == "nosniff"
