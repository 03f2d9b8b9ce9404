"""What a visitor brings along, in a real browser: another tool's result, and the small version of the picture."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import settle
from page_driver import ComparePage, Site, start_site
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.pictures import noise, png, scene

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with start_site(tmp_path_factory.mktemp("home")) as started:
        yield started


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pictures")
    pictures = {"picture": scene(130, 98), "their result": noise(128, 96), "odd": noise(128, 97), "small": noise(32, 24)}
    for name, pixels in pictures.items():
        (folder / f"{name}.png").write_bytes(png(pixels))
    return {name: folder / f"{name}.png" for name in pictures}


def open_popover(view: ComparePage, button: str) -> Locator:
    view.page.get_by_role("button", name=button, exact=True).click()
    body = view.page.get_by_test_id("stPopoverBody")
    expect(body).to_be_visible()
    return body


def close_popover(view: ComparePage) -> None:
    view.page.keyboard.press("Escape")
    expect(view.page.get_by_test_id("stPopoverBody")).to_be_hidden()
    settle(view.page)


def compared(site: Site, visitor: Visit, files: dict[str, Path]) -> tuple[ComparePage, str]:
    view = visitor(site)
    view.upload(files["picture"])
    view.choose("Bicubic", "Lanczos")
    return view, view.compare()


def test_a_result_of_another_tool_joins_and_leaves_the_comparison(site: Site, visitor: Visit, files: dict[str, Path]) -> None:
    view, job_id = compared(site, visitor, files)
    # The table may still show what it showed before the last times came in.
    settle(view.page)
    before = view.table()
    body = open_popover(view, "Add a result")
    expect(body).to_contain_text("128×96 pixels")
    expect(body.get_by_role("button", name="Add", exact=True)).to_be_disabled()
    body.locator("input[type=file]").set_input_files(files["odd"])
    body.get_by_role("button", name="Add", exact=True).click()
    expect(body.get_by_test_id("stAlert")).to_contain_text("odd is 128×97 and the results here are 128×96: export it at exactly that size.")
    assert site.rows(job_id).keys() == {"bicubic", "lanczos"}

    body.get_by_role("button", name="Remove odd.png").click()
    body.locator("input[type=file]").set_input_files(files["their result"])
    body.get_by_role("textbox", name="Its name").fill("<b>Theirs</b>")
    # Leaving the field tells the server nothing: name and click come together, so none can overtake the other.
    expect(body.get_by_role("button", name="Add", exact=True)).to_be_enabled()
    settle(view.page)
    runs = len(view.sent)
    body.get_by_role("textbox", name="Its name").press("Tab")
    view.page.wait_for_timeout(500)
    assert not any("Theirs" in str(message) for message in view.sent[runs:])
    body.get_by_role("button", name="Add", exact=True).click()
    expect(view.row("<b>Theirs</b>")).to_be_visible()
    close_popover(view)
    rows = site.rows(job_id)
    added = rows["given-b-theirs-b"]
    cells = view.table()["<b>Theirs</b>"]
    assert cells["PSNR dB"] == f"{added['scores']['rgb']['psnr_db']:.2f}"
    assert [cells[head] for head in ("Per picture", "You waited", "Memory", "Runtime")] == ["–", "–", "–", "added"]
    assert {name: view.table()[name] for name in before} == before
    view.wait_for_pictures(job_id)
    expect(view.tile("<b>Theirs</b>").locator(".picture")).to_have_js_property("naturalWidth", 128)
    with view.page.expect_download() as coming:
        view.page.get_by_role("button", name="Pictures, CSV and JSON (ZIP)").click()
    with zipfile.ZipFile(coming.value.path()) as archive:
        pixels = np.asarray(Image.open(io.BytesIO(archive.read("given-b-theirs-b_x4_picture.png"))))
        np.testing.assert_array_equal(pixels, noise(128, 96))
        assert json.loads(archive.read("comparison.json"))["rows"][2]["name"] == "<b>Theirs</b>"

    view.page.reload()
    view.wait_for_pictures(job_id)
    assert view.table()["<b>Theirs</b>"] == cells
    body = open_popover(view, "Add a result")
    body.get_by_role("button", name="Remove <b>Theirs</b>").click()
    expect(view.row("<b>Theirs</b>")).to_have_count(0)
    expect(view.tile("<b>Theirs</b>")).to_have_count(0)
    assert site.rows(job_id).keys() == {"bicubic", "lanczos"}


def test_the_file_gives_the_name_where_none_is_typed(site: Site, visitor: Visit, files: dict[str, Path]) -> None:
    view, job_id = compared(site, visitor, files)
    for count in (1, 2):
        body = open_popover(view, "Add a result") if count == 1 else view.page.get_by_test_id("stPopoverBody")
        body.locator("input[type=file]").set_input_files(files["their result"])
        body.get_by_role("button", name="Add", exact=True).click()
        expect(view.page.locator(".ub-table th[scope=row]").filter(has_text="their result")).to_have_count(count)
        # The uploader is a new one now, as soon as it is drawn.
        settle(view.page)
    assert list(site.rows(job_id)) == ["bicubic", "lanczos", "given-their-result", "given-their-result-2"]


def test_nothing_is_added_to_the_sample_that_everybody_sees(site: Site, visitor: Visit) -> None:
    view = visitor(site)
    expect(view.page.get_by_role("button", name="Add a result")).to_have_count(0)


def test_the_small_version_is_used_shown_taken_over_and_removed(site: Site, visitor: Visit, files: dict[str, Path]) -> None:
    view = visitor(site)
    view.upload(files["picture"])
    view.choose("Bicubic")
    body = open_popover(view, "More")
    body.locator("input[type=file]").set_input_files(files["small"])
    expect(view.page.get_by_text("Small version: small · 32×24")).to_be_visible()
    close_popover(view)
    view.segment("x2")
    expect(view.page.get_by_text("at x2 the small one must be 65×49. They fit at x4.")).to_be_visible()
    expect(view.compare_button).to_be_disabled()
    view.segment("x4")
    job_id = view.compare()
    assert site.rows(job_id)["bicubic"]["lr_source"] == "file"
    expect(view.tile("Your small version").locator(".picture")).to_have_js_property("naturalWidth", 32)
    body = site.directory(job_id) / site.rows(job_id)["bicubic"]["output_path"]
    expected = Image.fromarray(noise(32, 24)).resize((128, 96), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(np.asarray(Image.open(body)), np.asarray(expected))

    # Only with an original: as it is, the picture has no small version.
    view.segment("Upscale as is")
    expect(view.page.get_by_text("Small version:")).to_have_count(0)
    view.segment("Shrink and restore")

    other = visitor(site, f"/?job={job_id}")
    expect(other.page.get_by_text("Small version: its small version · 32×24")).to_be_visible()
    again = other.compare()
    assert site.rows(again)["bicubic"]["lr_source"] == "file"
    open_popover(other, "More").get_by_role("button", name="Remove its small version").click()
    expect(other.page.get_by_text("Small version:")).to_have_count(0)
    close_popover(other)
    third = other.compare()
    assert site.rows(third)["bicubic"]["lr_source"] == "bicubic"


def test_a_small_version_that_is_no_picture_is_one_line(site: Site, visitor: Visit, files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    view = visitor(site)
    view.upload(files["picture"])
    body = open_popover(view, "More")
    body.locator("input[type=file]").set_input_files(tmp_path / "text.png")
    expect(body.get_by_test_id("stAlert")).to_contain_text("Not a supported image")
    body.get_by_role("button", name=re.compile("^Remove text")).click()
    expect(body.get_by_test_id("stAlert")).to_have_count(0)
    expect(view.compare_button).to_be_enabled()


def test_a_region_begins_where_a_pixel_of_the_small_version_does_and_the_whole_picture_uses_all_of_it(
    site: Site, visitor: Visit, tmp_path: Path
) -> None:
    small = noise(175, 150)
    (tmp_path / "large.png").write_bytes(png(scene(700, 600)))
    (tmp_path / "small.png").write_bytes(png(small))
    view = visitor(site)
    view.upload(tmp_path / "large.png")
    view.choose("Bicubic")
    open_popover(view, "More").locator("input[type=file]").set_input_files(tmp_path / "small.png")
    expect(view.page.get_by_text("Small version: small · 175×150")).to_be_visible()
    close_popover(view)
    job_id = view.compare()
    job = site.job(job_id)
    # The middle of 700x600 lies at 94,44: inside a pixel of the small version in one direction.
    assert job["region"] == {"x": 92, "y": 44, "width": 512, "height": 512}
    part = np.asarray(Image.open(site.directory(job_id) / job["downscaled_path"]))
    np.testing.assert_array_equal(part, small[11:139, 23:151])

    view.page.get_by_role("button", name=re.compile("^Bicubic: about")).click()
    view.page.wait_for_function("(old) => new URL(location).searchParams.get('job') !== old", arg=job_id)
    assert view.job_id is not None
    view.finish(view.job_id)
    whole = site.job(view.job_id)
    assert whole["region"] is None
    assert whole["rows"][0]["lr_source"] == "file"
    np.testing.assert_array_equal(np.asarray(Image.open(site.directory(view.job_id) / whole["downscaled_path"])), small)
