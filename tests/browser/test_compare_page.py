"""The compare page in a real browser, from the upload to the download: what is shown is what was computed."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from page_driver import NAMES, ComparePage, Site, start_site
from PIL import Image
from playwright.sync_api import expect
from server import ROOT

import upscalers
from tests.pictures import noise, png

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]
SCORES = {"PSNR dB": ("psnr_db", 2), "SSIM": ("ssim", 4), "MSE": ("mse", 2)}


@dataclass(frozen=True)
class Finished:
    """A page that shows a finished comparison."""

    view: ComparePage
    job_id: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, weights_at_hand: list[Path]) -> Iterator[Site]:
    with start_site(tmp_path_factory.mktemp("home"), UPSCALE_BENCH_WEIGHTS=os.pathsep.join(map(str, weights_at_hand))) as started:
        yield started


@pytest.fixture(scope="module")
def tiger(published_sets: Path) -> Path:
    return published_sets / "photos" / "tiger_image.jpg"


@pytest.fixture(scope="module")
def finished(site: Site, visitor: Visit, tiger: Path) -> Finished:
    """A JPEG and four upscalers, chosen and compared by hand."""
    view = visitor(site)
    view.upload(tiger)
    view.choose(*NAMES.values())
    return Finished(view, view.compare())


@pytest.fixture(scope="module")
def from_command_line(tiger: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, float]]]:
    """The scores that the command line gives the same comparison, by upscaler and protocol."""
    command = [
        sys.executable,
        "-m",
        "cli",
        "compare",
        str(tiger),
        "--scale",
        "4",
        "--upscalers",
        ",".join(NAMES),
        "--repeats",
        "0",
        "--json",
    ]
    environment = {**os.environ, "UPSCALE_BENCH_HOME": str(tmp_path_factory.mktemp("command line"))}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return {row["upscaler"]: row["scores"] for row in json.loads(done.stdout)["rows"]}


def get(url: str) -> tuple[bytes, dict[str, str]]:
    with urllib.request.urlopen(url) as answer:
        return answer.read(), {name.lower(): value for name, value in answer.headers.items()}


def small_and_original(path: Path, scale: int) -> tuple[Image.Image, Image.Image]:
    """The picture cropped to a multiple of the scale, and shrunk, by Pillow alone."""
    picture = Image.open(path).convert("RGB")
    original = picture.crop((0, 0, picture.width // scale * scale, picture.height // scale * scale))
    return original.resize((original.width // scale, original.height // scale), Image.Resampling.BICUBIC), original


# -- one comparison -------------------------------------------------------------------------------------------------


def test_a_photo_is_compared_and_every_picture_is_on_the_page(finished: Finished) -> None:
    view = finished.view
    expect(view.page.locator(".tile .name span")).to_have_text(["Original", "Downscaled", *NAMES.values()])
    sizes = view.page.locator(".strip .picture").evaluate_all("images => images.map((image) => [image.naturalWidth, image.naturalHeight])")
    assert sizes == [[500, 436], [125, 109], *[[500, 436]] * 4]
    expect(view.status()).to_contain_text("Cropped to 500×436, a multiple of 4.")
    assert set(view.table()) == set(NAMES.values())


def test_the_delivered_pictures_are_the_stored_files(site: Site, finished: Finished) -> None:
    addresses = finished.view.page.locator(".strip .picture").evaluate_all("images => images.map((image) => image.currentSrc)")
    assert len(set(addresses)) == 6
    for address in addresses:
        body, headers = get(address)
        assert body == (site.directory(finished.job_id) / address.rsplit("/", 1)[1]).read_bytes()
        assert headers["content-type"] == "image/png"
        assert headers["x-content-type-options"] == "nosniff"
        assert "immutable" in headers["cache-control"]


@pytest.mark.parametrize("upscaler_id", NAMES)
def test_the_delivered_result_has_the_pixels_that_the_upscaler_gives(site: Site, finished: Finished, tiger: Path, upscaler_id: str) -> None:
    small, _ = small_and_original(tiger, 4)
    body, _ = get(f"{site.app.url}{finished.view.tile(NAMES[upscaler_id]).locator('.picture').get_attribute('src')}")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(body))), np.asarray(upscalers.upscale(small, upscaler_id, 4)))


def test_original_and_downscaled_are_delivered_as_pillow_makes_them(finished: Finished, tiger: Path) -> None:
    for label, expected in zip(("Downscaled", "Original"), small_and_original(tiger, 4), strict=True):
        src = finished.view.tile(label).locator(".picture").get_attribute("src")
        body, _ = get(f"{finished.view.site.app.url}{src}")
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(body))), np.asarray(expected))


@pytest.mark.parametrize(("label", "protocol"), [("Luma (papers)", "y"), ("Colour", "rgb")])
def test_the_table_has_the_command_lines_scores(
    finished: Finished, from_command_line: dict[str, dict[str, dict[str, float]]], label: str, protocol: str
) -> None:
    view = finished.view
    view.segment(label)
    expected = {
        NAMES[upscaler_id]: {head: f"{scores[protocol][name]:.{digits}f}" for head, (name, digits) in SCORES.items()}
        for upscaler_id, scores in from_command_line.items()
    }
    expect(view.row("Bicubic").locator("td").first).to_have_text(expected["Bicubic"]["PSNR dB"])
    assert {name: {head: cells[head] for head in SCORES} for name, cells in view.table().items()} == expected


def test_the_split_is_dragged_and_the_picture_zoomed(finished: Finished) -> None:
    page = finished.view.page
    handle, stage = page.get_by_role("slider", name="Split between left and right"), page.locator(".stage")
    page.get_by_role("button", name="400 %").click()
    expect(page.locator(".hud")).to_contain_text("400 %")
    # Tests before this one may have scrolled the page away from it.
    stage.scroll_into_view_if_needed()
    box, at = stage.bounding_box(), handle.bounding_box()
    assert box is not None
    assert at is not None
    y = at["y"] + at["height"] / 2
    page.mouse.move(at["x"] + at["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], y, steps=4)
    page.mouse.up()
    expect(handle).to_have_attribute("aria-valuenow", re.compile("^(29|30|31)$"))


def test_the_archive_holds_all_pictures_and_the_stored_numbers(site: Site, finished: Finished) -> None:
    with finished.view.page.expect_download() as coming:
        finished.view.page.get_by_role("button", name="Pictures, CSV and JSON (ZIP)").click()
    assert coming.value.suggested_filename == "upscale-bench_tiger_image_x4.zip"
    job, rows = site.job(finished.job_id), site.rows(finished.job_id)
    stored = {"original_tiger_image.png": job["original_path"], "downscaled_tiger_image.png": job["downscaled_path"]}
    stored |= {f"{name}_x4_tiger_image.png": row["output_path"] for name, row in rows.items()}
    with zipfile.ZipFile(coming.value.path()) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {*stored, "strip_x4_tiger_image.png", "comparison.csv", "comparison.json"}
        for name, path in stored.items():
            assert archive.read(name) == (site.directory(finished.job_id) / path).read_bytes()
        exported = json.loads(archive.read("comparison.json"))
        lines = list(csv.DictReader(io.StringIO(archive.read("comparison.csv").decode())))
    for row in exported["rows"]:
        kept = rows[row["upscaler"]]
        assert {name: value for name, value in row.items() if name != "output_path"} == {
            name: value for name, value in kept.items() if name in row and name != "output_path"
        }
    assert {line["upscaler"]: float(line["rgb_psnr_db"]) for line in lines} == {
        name: pytest.approx(row["scores"]["rgb"]["psnr_db"]) for name, row in rows.items()
    }


def test_the_keyboard_reaches_the_button_and_moves_the_split(finished: Finished) -> None:
    page = finished.view.page
    focused = "() => { let at = document.activeElement; while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement; return %s }"
    page.mouse.click(2, 2)
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focused % "`${at.role || at.tagName} ${at.ariaLabel ?? at.textContent}`"))
        if reached[-1] == "slider Split between left and right":
            break
    assert any(text.startswith("BUTTON Compare") for text in reached), reached
    handle = page.get_by_role("slider", name="Split between left and right")
    before = int(str(handle.get_attribute("aria-valuenow")))
    for key, change in (("ArrowLeft", -1), ("ArrowRight", 0)):
        page.keyboard.press(key)
        expect(handle).to_have_attribute("aria-valuenow", str(before + change))


def test_a_reload_shows_the_same_comparison_and_its_set_up(finished: Finished) -> None:
    view = finished.view
    before = view.table()
    view.page.reload()
    view.wait_for_pictures(finished.job_id)
    assert view.job_id == finished.job_id
    assert view.table() == before
    expect(view.page.get_by_text(", ".join(NAMES.values()), exact=True)).to_be_visible()
    expect(view.page.get_by_text(re.compile("^tiger_image · 500×436"))).to_be_visible()
    again = view.compare()
    assert again != finished.job_id
    assert view.site.job(again)["image"]["width"] == 500
    assert view.table().keys() == before.keys()


# -- other pictures and other screens -------------------------------------------------------------------------------


def test_choices_survive_the_opening_of_the_list(site: Site, visitor: Visit, finished: Finished) -> None:
    view = visitor(site, f"/?job={finished.job_id}")
    view.segment("x2")
    expect(view.chosen).to_have_text(re.compile(": 4 of "))
    view.opener.click()
    for name in NAMES.values():
        expect(view.page.get_by_role("checkbox", name=name, exact=True)).to_be_checked()
    view.page.keyboard.press("Escape")
    view.segment("x4")
    expect(view.page.get_by_text(", ".join(NAMES.values()), exact=True)).to_be_visible()


def test_upscale_as_is_gives_the_scaled_size_and_the_scores_that_need_no_original(site: Site, visitor: Visit, tmp_path: Path) -> None:
    picture = tmp_path / "small.png"
    picture.write_bytes(png(noise(60, 40)))
    view = visitor(site)
    view.upload(picture)
    view.segment("Upscale as is")
    view.segment("x2")
    view.choose("Bicubic", "ESPCN")
    view.compare()
    expect(view.tile("ESPCN").locator(".picture")).to_be_visible()
    heads = view.page.locator(".ub-table thead th").all_inner_texts()
    assert heads == ["Upscaler", "Agrees with your picture", "Colour shift", "Per picture", "You waited", "Memory", "Runtime"]
    small = Image.open(picture).convert("RGB")
    back = small.resize((120, 80), Image.Resampling.BICUBIC).resize((60, 40), Image.Resampling.BICUBIC)
    mse = np.mean((np.asarray(back).astype(float) - np.asarray(small)) ** 2)
    assert view.table()["Bicubic"]["Agrees with your picture"] == f"{10 * np.log10(255**2 / mse):.2f} dB"
    for name in ("Bicubic", "ESPCN"):
        expect(view.tile(name).locator(".picture")).to_have_js_property("naturalWidth", 120)
        expect(view.tile(name).locator(".picture")).to_have_js_property("naturalHeight", 80)
    expect(view.tile("Downscaled")).to_have_count(0)


def test_two_visitors_get_their_own_results_and_an_address_shows_them_to_a_third(
    site: Site, visitor: Visit, tiger: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(png(noise(64, 48)))
    first, second = visitor(site), visitor(site)
    first.upload(tiger)
    second.upload(other)
    for view in (first, second):
        view.choose("Bicubic", "Lanczos")
    ids = [view.start() for view in (first, second)]
    for view, job_id in zip((first, second), ids, strict=True):
        view.finish(job_id)
        assert set(view.table()) == {"Bicubic", "Lanczos"}
    assert [site.job(job_id)["image"]["name"] for job_id in ids] == ["tiger_image", "other"]
    assert not any(ids[1] in url for url in first.requests)
    assert not any(ids[0] in url for url in second.requests)
    third = visitor(site, f"/?job={ids[0]}")
    third.wait_for_pictures(ids[0])
    assert third.table() == first.table()
    assert not any(ids[1] in url for url in third.requests)


def test_on_a_phone_one_line_stands_for_the_set_up_and_opens_it(site: Site, visitor: Visit) -> None:
    view = visitor(site, viewport={"width": 390, "height": 844})
    scale = view.page.get_by_role("radio", name="x4", exact=True)
    line = view.page.get_by_role("button", name=re.compile(r"^.*Astronaut, x4, \d+ upscalers?: Edit$"))
    expect(line).to_be_visible()
    expect(scale).to_be_hidden()
    expect(view.page.locator(".strip")).to_be_in_viewport()
    expect(view.compare_button).to_be_in_viewport()
    line.click()
    expect(scale).to_be_visible()
    view.segment("x2")
    view.page.get_by_role("button", name=re.compile("Done$")).click()
    expect(view.page.get_by_role("button", name=re.compile("Astronaut, x2"))).to_be_visible()
    expect(scale).to_be_hidden()


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1440, 900)])
def test_light_and_dark_fit_the_screen(site: Site, visitor: Visit, finished: Finished, width: int, height: int) -> None:
    backgrounds = []
    for scheme in ("light", "dark"):
        view = visitor(site, f"/?job={finished.job_id}", viewport={"width": width, "height": height}, color_scheme=scheme)
        view.wait_for_pictures(finished.job_id)
        for element in ("document.scrollingElement", "document.querySelector('[data-testid=stMain]')"):
            room = view.page.evaluate(f"() => {{ const at = {element}; return [at.scrollWidth, at.clientWidth] }}")
            assert room[0] <= room[1], f"{element} scrolls sideways: {room}"
        expect(view.compare_button).to_be_in_viewport()
        backgrounds.append(view.page.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor"))
    light, dark = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in backgrounds)
    assert light > 600
    assert dark < 200
