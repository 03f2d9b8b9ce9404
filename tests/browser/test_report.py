"""A saved report, opened from the disk in a real browser without a network: pictures, viewer, numbers."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from coded_pictures import coded_picture
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from server import RunningApp
from viewer_driver import Viewer

from benchmark import jobs
from benchmark.presentation import report
from tests.comparisons import row_of, scores_of, store

pytestmark = pytest.mark.browser

NUMBERS = {"original": 1, "downscaled": 2, "bicubic": 3, "realesr-general-x4v3": 4}
LEFT, RIGHT = NUMBERS["bicubic"], NUMBERS["realesr-general-x4v3"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a comparison of coded pictures, with its report."""
    rows = {
        "bicubic": row_of("bicubic", scores=scores_of(28.125), first_s=0.0021, warm_p50_s=0.0013, repeats=20),
        "realesr-general-x4v3": row_of("realesr-general-x4v3", runtime="torch", scores=scores_of(24.5), first_s=3.21),
        "sd-x4-upscaler": row_of("sd-x4-upscaler", status="oom", reason="Out of memory."),
    }
    pictures = {name: coded_picture(number, (256, 192) if name == "downscaled" else (1024, 768)) for name, number in NUMBERS.items()}
    original, small = pictures.pop("original"), pictures.pop("downscaled")
    directory = store(tmp_path_factory.mktemp("saved"), original, small, pictures, rows)
    report.write(directory, jobs.load(directory), directory / "report.html")
    return directory


def opened(page: Page, directory: Path) -> Viewer:
    """The report as a person opens it from a folder."""
    address = (directory / "report.html").as_uri()
    view = Viewer(RunningApp(address, 0, io.BytesIO()), page)
    page.on("console", lambda message: view.errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: view.errors.append(str(error)))
    page.on("request", lambda request: view.requests.append(request.url))
    page.goto(address)
    expect(page.locator(".strip .picture:not([hidden])")).to_have_count(4)
    page.wait_for_function(
        "() => ['.left-layer img', '.right-layer img'].every((at) => document.querySelector('#viewer').shadowRoot.querySelector(at))"
    )
    view.next_frame()
    return view


@pytest.fixture
def view(browser: Browser, saved: Path) -> Iterator[Viewer]:
    context = browser.new_context(viewport={"width": 1200, "height": 800}, offline=True)
    page = context.new_page()
    page.set_default_timeout(8000)
    shown = opened(page, saved)
    yield shown
    assert shown.errors == []
    assert [url for url in shown.requests if not url.startswith(("file:", "blob:", "data:"))] == []
    context.close()


def test_the_browser_decodes_the_stored_pixels(view: Viewer, saved: Path) -> None:
    read = """images => Promise.all(images.map(async (image) => {
      const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
      const pen = canvas.getContext('2d');
      pen.drawImage(image, 0, 0);
      const digest = await crypto.subtle.digest('SHA-256', pen.getImageData(0, 0, canvas.width, canvas.height).data);
      return [...new Uint8Array(digest)];
    }))"""
    job = jobs.load(saved)
    names = [job.original_path, job.downscaled_path, *(row.output_path for row in job.rows[:2])]
    seen = view.page.locator(".strip .picture:not([hidden])").evaluate_all(read)
    for name, digest in zip(names, seen, strict=True):
        with Image.open(saved / str(name)) as picture:
            assert bytes(digest) == hashlib.sha256(picture.convert("RGBA").tobytes()).digest()


def test_the_split_is_dragged_and_the_wheel_zooms(view: Viewer) -> None:
    view.page.get_by_role("button", name="200 %").click()
    assert (view.seen(0.4, 0.3).number, view.seen(0.6, 0.3).number) == (LEFT, RIGHT)
    view.drag(view.point(0.5, 0.5), -0.25 * view.stage_box()[2])
    assert view.page.get_by_role("slider").get_attribute("aria-valuenow") == "25"
    assert [view.seen(across, 0.3).number for across in (0.2, 0.24, 0.27, 0.4)] == [LEFT, LEFT, RIGHT, RIGHT]
    point = view.point(0.4, 0.6)
    view.page.mouse.click(*point)
    before = view.seen_at(point)
    view.page.mouse.wheel(0, -400)
    view.page.wait_for_timeout(150)
    assert view.zoom_percent() > 250
    after = view.seen_at(point)
    assert abs(after.x - before.x) <= 1
    assert abs(after.y - before.y) <= 1


def test_names_choose_what_is_shown(view: Viewer) -> None:
    view.page.get_by_label("Right picture").select_option(label="Original")
    view.next_frame()
    view.page.wait_for_timeout(200)
    assert view.seen(0.6, 0.3).number == NUMBERS["original"]
    assert view.options("left") == ["Original", "Downscaled", "Bicubic", "Real-ESRGAN general"]


def test_both_tables_have_the_stored_numbers(view: Viewer, saved: Path) -> None:
    read = """rows => rows.filter((row) => row.checkVisibility()).map((row) => [
      row.querySelector('.ub-name').textContent,
      ...[...row.querySelectorAll('td')].slice(0, 3).map((cell) => cell.textContent),
    ])"""
    rows = json.loads((saved / "job.json").read_text())["rows"]
    names = {"bicubic": "Bicubic", "realesr-general-x4v3": "Real-ESRGAN general"}
    for label, protocol in (("Luma (papers)", "y"), ("Colour", "rgb")):
        view.page.locator("fieldset").get_by_text(label).click()
        scores = {names[row["upscaler"]]: row["scores"][protocol] for row in rows if row["scores"]}
        expected = [[name, f"{each['psnr_db']:.2f}", f"{each['ssim']:.4f}", f"{each['mse']:.2f}"] for name, each in scores.items()]
        assert view.page.locator(".ub-table tbody tr:has(td[data-head])").evaluate_all(read) == expected


def test_a_model_opens_to_the_command(view: Viewer) -> None:
    details = view.page.locator("main > details").first
    details.locator("summary").click()
    expect(details.locator("code").first).to_have_text("upscale-bench upscale photo.png --upscaler bicubic --scale 4 -o result.png")


def test_a_row_opens_to_what_the_mouse_finds_in_it(view: Viewer) -> None:
    # The other protocol's table is there too, but not shown.
    more = view.page.locator("[data-protocol=rgb] .ub-more").first
    expect(more).to_be_hidden()
    view.page.locator("[data-protocol=rgb] .ub-table summary").first.press("Enter")
    expect(more).to_be_visible()
    expect(more).to_contain_text("Median of 20 warm calls")


def test_hidden_names_take_the_scores_with_them(view: Viewer) -> None:
    numbers, note = view.page.locator(".numbers"), view.page.get_by_text("Names are hidden, and the scores with them")
    expect(note).to_be_hidden()
    view.page.get_by_role("button", name="Hide names").click()
    expect(numbers).to_be_hidden()
    expect(note).to_be_visible()
    view.page.get_by_role("button", name="Reveal").click()
    expect(numbers).to_be_visible()
    expect(note).to_be_hidden()


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1440, 900)])
def test_light_and_dark_fit_the_screen(browser: Browser, saved: Path, width: int, height: int) -> None:
    backgrounds = []
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, offline=True)
        shown = opened(context.new_page(), saved)
        scrolled, room = shown.page.evaluate("() => [document.scrollingElement.scrollWidth, document.scrollingElement.clientWidth]")
        assert scrolled <= room
        backgrounds.append(shown.page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
        assert shown.errors == []
        context.close()
    assert backgrounds == ["rgb(255, 255, 255)", "rgb(17, 19, 24)"]


def test_on_paper_everything_is_open_and_black_on_white(view: Viewer) -> None:
    view.page.emulate_media(media="print", color_scheme="dark")
    view.page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    assert view.page.locator("main > details:not([open])").count() == 0
    expect(view.page.locator(".ub-table").nth(0)).to_be_visible()
    expect(view.page.locator(".ub-table").nth(1)).to_be_visible()
    assert view.page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
