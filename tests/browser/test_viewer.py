"""The viewer in a real browser: what is seen on the screen while the split, the zoom and the part change."""

from collections.abc import Callable

import numpy as np
import pytest
from coded_pictures import coded_picture, decode_pixel
from playwright.sync_api import Locator
from viewer_driver import NUMBERS, Viewer, scene

pytestmark = pytest.mark.browser

Open = Callable[..., Viewer]
COVERED = """(tile) => {
  const part = tile.querySelector(".picture:not(.overview):not([hidden])")?.getBoundingClientRect();
  const seen = tile.getBoundingClientRect();
  return part && part.left <= seen.left && part.right >= seen.right && part.top <= seen.top && part.bottom >= seen.bottom;
}"""
BICUBIC, DAT = NUMBERS["bicubic"], NUMBERS["dat"]


def box_of(element: Locator) -> tuple[float, float, float, float]:
    box = element.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


# -- what is on the screen ------------------------------------------------------------------------------------------


def test_the_browser_gets_every_picture_byte_for_byte(open_page: Open, picture_files: dict[str, bytes]) -> None:
    view = open_page()
    addresses = view.page.locator(".strip .picture").evaluate_all("images => images.map((image) => image.currentSrc)")
    read = "async (url) => [...new Uint8Array(await (await fetch(url)).arrayBuffer())]"
    assert [bytes(view.page.evaluate(read, address)) for address in addresses] == [picture_files[name] for name in NUMBERS]


@pytest.mark.parametrize(("dpr", "offset"), [(1, 0), (1, 0.4), (2, 0), (2, 0.3), (1.5, 0)])
def test_at_100_percent_each_picture_pixel_is_one_screen_pixel(open_page: Open, dpr: float, offset: float) -> None:
    view = open_page(device_scale_factor=dpr, width=1201)
    view.page.add_style_tag(content=f".stBidiComponent {{ margin: {offset}px 0 0 {offset}px }}")
    view.page.get_by_role("button", name="100 %").click()
    assert view.zoom_percent() == 100
    left, top, *_ = view.stage_box()
    x, y = round(left) + 340, round(top) + 80
    screen = view.screenshot(x, y, 200, 240)
    assert screen.shape == (240 * dpr, 200 * dpr, 3)
    first = decode_pixel(screen[0, 0])
    expected = coded_picture(BICUBIC)[first.y : first.y + screen.shape[0], first.x : first.x + screen.shape[1]]
    np.testing.assert_array_equal(screen, expected)


def test_at_400_percent_a_picture_pixel_is_a_block_of_screen_pixels(open_page: Open) -> None:
    view = open_page()
    view.page.get_by_role("button", name="400 %").click()
    view.next_frame()
    x, y = view.point(0.3, 0.3)
    screen = view.screenshot(x, y, 64, 64)
    columns = np.flatnonzero(np.any(np.diff(screen[0].astype(int), axis=0), axis=-1))
    assert set(np.diff(columns)) == {4}
    assert len(np.unique(screen.reshape(-1, 3), axis=0)) <= 17 * 17


def test_fit_shows_the_whole_picture_in_the_middle(open_page: Open) -> None:
    view = open_page()
    _, _, width, height = view.stage_box()
    assert view.zoom_percent() == round(100 * height / 768)
    drawn = 1024 * height / 768 / width
    assert view.seen((1 - drawn) / 2 - 0.02, 0.3).number not in NUMBERS.values()
    assert view.seen((1 - drawn) / 2 + 0.02, 0.3).number == BICUBIC


def test_the_downscaled_picture_is_enlarged_by_nearest_neighbour(open_page: Open) -> None:
    view = open_page(scene(left="downscaled", zoom=1.0))
    screen = view.screenshot(*view.point(0.3, 0.3), 64, 64)
    columns = np.flatnonzero(np.any(np.diff(screen[0].astype(int), axis=0), axis=-1))
    assert set(np.diff(columns)) == {4}


def test_the_strip_shows_the_viewers_middle_of_every_picture(open_page: Open) -> None:
    view = open_page(scene(zoom=2.0, center=(400, 300)))
    view.drag(view.point(0.2, 0.5), -60, 44)
    for name in ("original", "bicubic", "lanczos", "dat"):
        crop = view.page.locator(".crop").nth(NUMBERS[name] - 1).bounding_box()
        assert crop is not None
        seen = view.seen_at((round(crop["x"] + crop["width"] / 2), round(crop["y"] + crop["height"] / 2)))
        assert seen.number == NUMBERS[name]
        assert abs(seen.x - 430) <= 1
        assert abs(seen.y - 278) <= 1


def test_the_strip_fetches_only_parts_of_large_pictures_and_shows_their_own_pixels(open_page: Open) -> None:
    view = open_page(scene(zoom=2.0, center=(400, 300), parts_above_px=500_000))
    tile = view.page.locator(".strip .crop").nth(NUMBERS["lanczos"] - 1)
    for dx, dy, middle in ((0, 0, (400, 300)), (-600, 200, (700, 200))):
        view.drag(view.point(0.8, 0.5), dx, dy)
        view.page.wait_for_function(COVERED, arg=tile.element_handle())
        left, top, width, height = box_of(tile)
        seen = view.seen_at((round(left + width / 2), round(top + height / 2)))
        assert seen.number == NUMBERS["lanczos"]
        assert abs(seen.x - middle[0]) <= 1
        assert abs(seen.y - middle[1]) <= 1
    names = {url.rpartition("/")[2] for url in view.requests if "/pictures/" in url and "/parts/" not in url}
    assert names == {"bicubic", "dat", "original", "downscaled"}, "left, right, what Space shows, and the small one are whole"


def test_zoomed_out_the_strip_shows_the_reduced_picture_alone(open_page: Open) -> None:
    view = open_page(scene(zoom=None, parts_above_px=500_000))
    view.page.get_by_role("button", name="Fit").click()
    tile = view.page.locator(".strip .crop").nth(NUMBERS["dat"] - 1)
    tile.locator(".overview").wait_for()
    view.page.wait_for_timeout(300)
    levels = {url.split("/parts/")[1].split("/")[0] for url in view.requests if "/dat/parts/" in url}
    assert levels <= {"0", "1"}
    left, top, *_ = box_of(tile)
    assert view.screenshot(left, top, 100, 60).std() > 5


# -- the split, zoom and pan ---------------------------------------------------------------------------------------


def test_dragging_the_handle_moves_the_border_between_the_pictures(open_page: Open) -> None:
    view = open_page(scene(zoom=2.0))
    handle = view.page.get_by_role("slider")
    assert (view.seen(0.4, 0.3).number, view.seen(0.6, 0.3).number) == (BICUBIC, DAT)
    width = view.stage_box()[2]
    view.drag(view.point(0.5, 0.5), -0.25 * width)
    assert handle.get_attribute("aria-valuenow") == "25"
    assert [view.seen(across, 0.3).number for across in (0.2, 0.24, 0.27, 0.4)] == [BICUBIC, BICUBIC, DAT, DAT]
    assert view.wait_for_state(lambda state: state["touched"])["split"] == pytest.approx(0.25, abs=0.01)


def test_the_handle_is_a_slider_for_the_keyboard(open_page: Open) -> None:
    view = open_page()
    handle = view.page.get_by_role("slider")
    handle.focus()
    seen = []
    for key in ("ArrowLeft", "Shift+ArrowRight", "Home", "End"):
        view.page.keyboard.press(key)
        view.next_frame()
        seen.append(handle.get_attribute("aria-valuenow"))
    assert seen == ["49", "59", "0", "100"]


def test_the_wheel_scrolls_the_page_until_the_picture_is_clicked(open_page: Open) -> None:
    view = open_page()
    before = view.zoom_percent()
    top = view.stage_box()[1]
    view.page.mouse.move(*view.point(0.4, 0.4))
    view.page.mouse.wheel(0, 60)
    view.page.wait_for_function("([top]) => document.querySelector('.stBidiComponent').getBoundingClientRect().top < top", arg=[top])
    assert view.zoom_percent() == before
    view.page.mouse.click(*view.point(0.4, 0.4))
    scrolled = view.stage_box()[1]
    view.page.mouse.wheel(0, -300)
    view.page.wait_for_timeout(150)
    assert view.zoom_percent() > before
    assert view.stage_box()[1] == scrolled


def test_escape_gives_the_wheel_back_to_the_page(open_page: Open) -> None:
    view = open_page()
    view.page.mouse.click(*view.point(0.4, 0.4))
    view.page.keyboard.press("Escape")
    before = view.zoom_percent()
    view.page.mouse.wheel(0, 200)
    view.page.wait_for_timeout(150)
    assert view.zoom_percent() == before


def test_ctrl_and_wheel_zoom_without_a_click(open_page: Open) -> None:
    view = open_page()
    before = view.zoom_percent()
    view.page.mouse.move(*view.point(0.4, 0.4))
    view.page.keyboard.down("Control")
    view.page.mouse.wheel(0, -300)
    view.page.keyboard.up("Control")
    view.page.wait_for_timeout(150)
    assert view.zoom_percent() > before


def test_zooming_keeps_the_point_under_the_cursor(open_page: Open) -> None:
    view = open_page(scene(zoom=2.0))
    point = view.point(0.3, 0.7)
    view.page.mouse.click(*point)
    before = view.seen_at(point)
    for _ in range(4):
        view.page.mouse.wheel(0, -240)
    view.page.wait_for_timeout(150)
    after = view.seen_at(point)
    assert view.zoom_percent() > 600
    assert abs(after.x - before.x) <= 1
    assert abs(after.y - before.y) <= 1


def test_dragging_the_picture_moves_it_with_the_pointer(open_page: Open) -> None:
    view = open_page(scene(zoom=4.0))
    start = view.point(0.2, 0.6)
    under = view.seen_at(start)
    view.drag(start, 80, -48)
    assert view.seen_at((start[0] + 80, start[1] - 48)) == under


def test_a_drag_never_leaves_the_picture(open_page: Open) -> None:
    view = open_page(scene(zoom=4.0, center=(300, 200)))
    for _ in range(3):
        view.drag(view.point(0.1, 0.3), 900, 340)
    left, top, *_ = view.stage_box()
    assert view.seen_at((round(left) + 4, round(top) + 4)) == (BICUBIC, 1, 1)


def test_keys_pan_zoom_and_fit(open_page: Open) -> None:
    view = open_page(scene(zoom=2.0))
    view.page.locator(".stage").focus()
    before = view.seen(0.3, 0.3)
    view.page.keyboard.press("ArrowRight")
    view.page.keyboard.press("ArrowDown")
    after = view.seen(0.3, 0.3)
    assert (after.x - before.x, after.y - before.y) == (24, 24)
    view.page.keyboard.press("+")
    assert view.zoom_percent() == 250
    view.page.keyboard.press("-")
    assert view.zoom_percent() == 200
    view.page.keyboard.press("0")
    assert view.zoom_percent() == round(100 * view.stage_box()[3] / 768)


def test_full_screen_is_entered_and_left(open_page: Open) -> None:
    view = open_page()
    button = view.page.get_by_role("button", name="Full screen")
    button.click()
    view.page.wait_for_function("() => document.fullscreenElement !== null")
    assert view.stage_box()[3] > 550
    view.page.locator(".stage").press("f")
    view.page.wait_for_function("() => document.fullscreenElement === null")
    view.page.locator(".full[aria-pressed=false]").wait_for()
    assert view.stage_box()[3] < 500
