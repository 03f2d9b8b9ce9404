"""The region of a large picture in a real browser: moved by mouse and keys, compared, and followed by the whole picture."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import settle
from page_driver import ComparePage, Site, start_site
from PIL import Image
from playwright.sync_api import Locator, expect

from benchmark.maps import error_map
from tests.pictures import png, scene

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]
WIDTH, HEIGHT = 1400, 900


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with start_site(tmp_path_factory.mktemp("home"), UPSCALE_BENCH_WARM_UP="0", UPSCALE_BENCH_WEIGHTS="") as started:
        yield started


@pytest.fixture(scope="module")
def view(site: Site, visitor: Visit, tmp_path_factory: pytest.TempPathFactory) -> ComparePage:
    path = tmp_path_factory.mktemp("pictures") / "large.png"
    path.write_bytes(png(scene(WIDTH, HEIGHT)))
    opened = visitor(site)
    opened.upload(path)
    return opened


def area_button(view: ComparePage) -> Locator:
    return view.page.get_by_role("button", name=re.compile(r"^(Region \d+×\d+ at|Whole picture)"))


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_the_region_starts_in_the_middle_and_is_moved_by_mouse_and_keys(view: ComparePage) -> None:
    expect(area_button(view)).to_have_text(re.compile(f"at {(WIDTH - 512) // 2}, {(HEIGHT - 512) // 2}"))
    area_button(view).click()
    box = view.page.locator(".region .box")
    start = box.bounding_box()
    frame = view.page.locator(".region img").bounding_box()
    assert start is not None
    assert frame is not None
    view.page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    view.page.mouse.down()
    view.page.mouse.move(0, 0, steps=4)
    view.page.mouse.up()
    expect(area_button(view)).to_have_text(re.compile("at 0, 0"))
    assert start["width"] / frame["width"] == pytest.approx(512 / WIDTH, abs=0.01)
    for _ in range(3):
        box.press("ArrowRight")
    box.press("ArrowDown")
    # A key moves it by a fiftieth of the picture.
    expect(area_button(view)).to_have_text(re.compile(f"at {3 * WIDTH // 50}, {HEIGHT // 50}"))
    view.page.keyboard.press("Escape")


def test_the_region_is_compared_and_then_the_whole_picture_with_one_model(view: ComparePage, site: Site) -> None:
    view.choose("Bicubic", "Nearest")
    job_id = view.compare()
    job = site.job(job_id)
    assert job["region"] == {"x": 84, "y": 18, "width": 512, "height": 512}
    original = pixels(site.directory(job_id) / job["original_path"])
    assert np.array_equal(original, scene(WIDTH, HEIGHT)[18:530, 84:596])
    whole = view.page.get_by_role("button", name=re.compile(r"^Bicubic: about .+ (s|ms|min), \d+ MiB"))
    expect(whole).to_be_visible()
    whole.click()
    view.page.wait_for_function("(old) => ![null, old].includes(new URL(location).searchParams.get('job'))", arg=job_id)
    assert view.job_id is not None
    view.finish(view.job_id)
    after = site.job(view.job_id)
    assert after["region"] is None
    assert [row["upscaler"] for row in after["rows"]] == ["bicubic"]
    assert (after["rows"][0]["width"], after["rows"][0]["height"]) == (WIDTH, HEIGHT)
    expect(area_button(view)).to_have_text(re.compile("^Whole picture"))


def test_error_maps_and_disagreement_are_shown_in_place_and_the_zoom_stays(view: ComparePage, site: Site) -> None:
    job_id = next(path.name for path in (site.home / "comparisons").iterdir() if site.job(path.name)["region"])
    view.open(f"/?job={job_id}")
    rows = site.rows(job_id)
    picture = view.tile("Bicubic").locator(".picture")
    expect(picture).to_have_attribute("src", re.compile(rows["bicubic"]["output_path"]))
    view.segment("Error maps")
    expect(picture).not_to_have_attribute("src", re.compile(rows["bicubic"]["output_path"]))
    original, result = (
        pixels(site.directory(job_id) / name) for name in (site.job(job_id)["original_path"], rows["bicubic"]["output_path"])
    )
    name = str(picture.get_attribute("src")).rpartition("/")[2]
    assert np.array_equal(pixels(site.directory(job_id) / name), error_map(result, original))
    view.segment("Where results disagree")
    expect(view.tile("Where results disagree")).to_be_visible()
    expect(picture).to_have_attribute("src", re.compile(rows["bicubic"]["output_path"]))
    view.segment("Pictures")


def test_a_link_to_a_region_opens_with_the_whole_picture_and_the_region_at_its_place(view: ComparePage, site: Site, visitor: Visit) -> None:
    job_id = next(path.name for path in (site.home / "comparisons").iterdir() if site.job(path.name)["region"])
    other = visitor(site, f"/?job={job_id}")
    expect(area_button(other)).to_have_text(re.compile("at 84, 18"))
    expect(other.page.get_by_text(f"{WIDTH}×{HEIGHT}")).to_be_visible()
    settle(other.page)


def test_upscaling_as_is_takes_a_smaller_region_and_the_whole_on_demand(view: ComparePage) -> None:
    view.segment("Upscale as is")
    area_button(view).click()
    view.page.get_by_role("radio", name="Whole picture").click()
    expect(area_button(view)).to_have_text(re.compile("^Whole picture"))
    view.page.get_by_role("radio", name=re.compile("^Region 256×256")).click()
    expect(view.page.get_by_role("button", name=re.compile("^Region 256×256 at"))).to_be_visible()
    view.page.keyboard.press("Escape")
    view.segment("Shrink and restore")
    expect(area_button(view)).to_have_text(re.compile("^Region 512×512"))
