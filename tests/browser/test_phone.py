"""The compare page on a phone: fingers, one menu for what is taken away, cards instead of a table."""

import time
from collections.abc import Callable

import pytest
from page_driver import ComparePage, Site
from playwright.sync_api import CDPSession, Locator, expect

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]
Point = tuple[float, float]
WIDTH, HEIGHT = 390, 844


@pytest.fixture(scope="module")
def view(plain_site: Site, visitor: Visit) -> ComparePage:
    """The finished example."""
    opened = visitor(plain_site, viewport={"width": WIDTH, "height": HEIGHT}, has_touch=True, is_mobile=True)
    expect(opened.page.locator(".tile.loaded").first).to_be_visible()
    return opened


@pytest.fixture(scope="module")
def fingers(view: ComparePage) -> "Fingers":
    return Fingers(view.page.context.new_cdp_session(view.page))


class Fingers:
    """Touches as the browser gets them from a screen."""

    def __init__(self, session: CDPSession) -> None:
        self._session = session

    def move(self, *paths: tuple[Point, Point], steps: int = 8) -> None:
        """Put a finger down at the start of each path, move all of them, and lift them."""

        def send(kind: str, points: list[Point]) -> None:
            self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

        send("touchStart", [start for start, _ in paths])
        for step in range(1, steps + 1):
            share = step / steps
            send("touchMove", [(a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share) for a, b in paths])
        # At rest before they are lifted: a flick would go on by itself, and swallow the next touch.
        time.sleep(0.1)
        send("touchMove", [end for _, end in paths])
        send("touchEnd", [])


def box(element: Locator) -> tuple[float, float, float, float]:
    found = element.bounding_box()
    assert found is not None
    return found["x"], found["y"], found["width"], found["height"]


def scrolled(view: ComparePage) -> tuple[float, float]:
    """How far the page is scrolled, sideways and down, in CSS pixels."""
    down = "Math.max(document.scrollingElement.scrollTop, document.querySelector('[data-testid=stMain]').scrollTop)"
    return tuple(view.page.evaluate(f"() => [{down.replace('Top', 'Left')}, {down}]"))


def test_a_finger_on_the_handle_moves_the_split_and_nothing_else(view: ComparePage, fingers: Fingers) -> None:
    handle = view.page.get_by_role("slider", name="Split between left and right")
    left, top, width, height = box(handle)
    grip = (left + width / 2, top + 0.74 * height)
    before = scrolled(view)
    fingers.move((grip, (grip[0] - 0.25 * WIDTH, grip[1] - 60)))
    expect(handle).to_have_attribute("aria-valuenow", "25")
    assert scrolled(view) == before


def test_a_finger_on_the_picture_scrolls_the_page_and_not_the_picture(view: ComparePage, fingers: Fingers) -> None:
    picture = view.page.locator(".right-layer .picture")
    place, zoom = picture.get_attribute("style"), view.page.locator(".hud").inner_text()
    _, top, _, height = box(view.page.locator(".stage"))
    start = (0.8 * WIDTH, top + 0.7 * height)
    before = scrolled(view)[1]
    fingers.move((start, (start[0] - 30, start[1] - 150)))
    view.page.wait_for_function(f"() => document.querySelector('[data-testid=stMain]').scrollTop > {before + 80}")
    assert picture.get_attribute("style") == place
    assert view.page.locator(".hud").inner_text() == zoom
    assert scrolled(view)[0] == 0


def test_two_fingers_zoom_and_the_page_stays(view: ComparePage, fingers: Fingers) -> None:
    stage, hud = view.page.locator(".stage"), view.page.locator(".hud")
    expect(hud).to_have_text("200 %")
    stage.scroll_into_view_if_needed()
    before = scrolled(view)
    _, top, _, height = box(stage)
    y = top + 0.4 * height
    fingers.move(((150, y), (75, y)), ((240, y), (315, y)))
    # From 90 pixels between the fingers to 240.
    expect(hud).to_have_text("533 %")
    assert scrolled(view) == before


def test_the_strip_scrolls_sideways_alone(view: ComparePage, fingers: Fingers) -> None:
    strip = view.page.locator(".strip")
    strip.scroll_into_view_if_needed()
    before = scrolled(view)
    _, top, _, _ = box(strip)
    right = view.page.get_by_label("Right picture").input_value()
    fingers.move(((300, top + 60), (80, top + 60)))
    view.page.wait_for_function(
        "() => [...document.querySelectorAll('*')].some(at => at.shadowRoot?.querySelector('.strip')?.scrollLeft > 100)"
    )
    assert scrolled(view) == before
    assert view.page.get_by_label("Right picture").input_value() == right
    strip.evaluate("strip => strip.scrollTo(0, 0)")


def test_the_viewer_reaches_from_edge_to_edge_with_its_drop_downs_beneath(view: ComparePage) -> None:
    left, top, width, height = box(view.page.locator(".stage"))
    assert (round(left), round(width)) == (0, WIDTH)
    for side in ("Left", "Right"):
        assert box(view.page.get_by_label(f"{side} picture"))[1] >= top + height
    assert box(view.page.locator(".tile").first)[0] > 8


def test_rows_are_cards_with_their_heads(view: ComparePage) -> None:
    expect(view.page.locator(".ub-table thead")).to_be_hidden()
    cells = view.row("Bicubic").locator("td")
    heads = cells.evaluate_all("cells => cells.map(cell => getComputedStyle(cell, '::before').content)")
    assert heads == [f'"{head}"' for head in ("PSNR dB", "SSIM", "MSE", "Per picture", "You waited", "Memory", "Runtime")]
    places = [box(cell) for cell in cells.all()]
    assert len({round(top) for _, top, *_ in places}) == 3
    assert all(left >= 0 and left + width <= WIDTH for left, _, width, _ in places)
    view.row("Bicubic").locator("summary").tap()
    more = view.page.locator(".ub-more").first
    expect(more).to_be_visible()
    assert box(more)[0] + box(more)[2] <= WIDTH
    view.row("Bicubic").locator("summary").tap()


def test_what_is_taken_away_is_in_one_menu(view: ComparePage) -> None:
    menu = view.page.get_by_text("Save and share", exact=True)
    entries = [view.page.get_by_role("link", name="Save report"), view.page.get_by_role("button", name="Pictures, CSV and JSON (ZIP)")]
    for entry in entries:
        expect(entry).to_be_hidden()
    menu.tap()
    for entry in entries:
        expect(entry).to_be_visible()
        left, _, width, height = box(entry)
        assert (left >= 0, left + width <= WIDTH, width > 0.8 * WIDTH, height >= 40) == (True, True, True, True)
    with view.page.expect_download() as coming:
        entries[0].tap()
    assert coming.value.suggested_filename == "upscale-bench_astronaut_x4.html"
    menu.tap()
    expect(entries[0]).to_be_hidden()


def test_the_button_stays_at_the_bottom_and_nothing_scrolls_sideways(view: ComparePage) -> None:
    for down in (0, 10_000):
        view.page.evaluate(f"() => document.querySelector('[data-testid=stMain]').scrollTo(0, {down})")
        expect(view.compare_button).to_be_in_viewport(ratio=1)
        _, top, _, height = box(view.compare_button)
        assert HEIGHT - 20 <= top + height <= HEIGHT
    for element in ("document.scrollingElement", "document.querySelector('[data-testid=stMain]')"):
        room = view.page.evaluate(f"() => {{ const at = {element}; return [at.scrollWidth, at.clientWidth] }}")
        assert room[0] <= room[1], f"{element} scrolls sideways: {room}"
    # The last thing on the page is not behind the button.
    assert box(view.page.get_by_text("Save and share", exact=True))[1] + 40 < box(view.compare_button)[1]
