"""The viewer in a real browser: choosing pictures, data that changes during a run, small screens and touch."""

from collections.abc import Callable
from typing import Any

import pytest
from viewer_driver import NUMBERS, Viewer, scene, shown

pytestmark = pytest.mark.browser

Open = Callable[..., Viewer]
ORIGINAL, BICUBIC, LANCZOS, DAT = (NUMBERS[name] for name in ("original", "bicubic", "lanczos", "dat"))


# -- choosing pictures ---------------------------------------------------------------------------------------------


def test_a_digit_sets_the_right_side(open_page: Open) -> None:
    view = open_page(scene(zoom=2.0))
    view.page.locator(".stage").focus()
    view.page.keyboard.press("4")
    view.wait_for_state(lambda state: state["right"] == "lanczos")
    assert view.seen(0.6, 0.3).number == LANCZOS


def test_space_shows_the_original_while_it_is_held(open_page: Open) -> None:
    view = open_page(scene(zoom=2.0))
    view.page.locator(".stage").focus()
    view.page.keyboard.down(" ")
    assert (view.seen(0.4, 0.3).number, view.seen(0.6, 0.3).number) == (ORIGINAL, ORIGINAL)
    view.page.keyboard.up(" ")
    assert (view.seen(0.4, 0.3).number, view.seen(0.6, 0.3).number) == (BICUBIC, DAT)


def test_the_drop_downs_choose_the_sides_and_exchange_them(open_page: Open) -> None:
    view = open_page(scene(zoom=2.0))
    view.page.get_by_label("Left picture").select_option(label="Original")
    state = view.wait_for_state(lambda state: state["left"] == "original")
    assert state["right"] == "dat"
    assert view.seen(0.4, 0.3).number == ORIGINAL
    view.page.get_by_label("Left picture").select_option(label="DAT light")
    assert view.wait_for_state(lambda state: state["left"] == "dat")["right"] == "original"
    assert (view.seen(0.4, 0.3).number, view.seen(0.6, 0.3).number) == (DAT, ORIGINAL)


def test_a_click_on_a_tile_sets_the_right_side_and_shift_click_the_left(open_page: Open) -> None:
    view = open_page(scene(zoom=2.0))
    view.tile("Lanczos").locator(".crop").click()
    view.tile("Original").locator(".crop").click(modifiers=["Shift"])
    view.wait_for_state(lambda state: (state["left"], state["right"]) == ("original", "lanczos"))
    assert (view.seen(0.4, 0.3).number, view.seen(0.6, 0.3).number) == (ORIGINAL, LANCZOS)
    assert view.tile("Lanczos").locator(".mark").inner_text() == "Right"
    assert view.tile("Original").locator(".mark").inner_text() == "Left"


def test_the_star_is_my_pick_and_is_reported(open_page: Open) -> None:
    view = open_page()
    view.tile("Lanczos").hover()
    view.page.get_by_role("button", name="My pick: Lanczos").click()
    assert not view.wait_for_state(lambda state: state["pick"] == "lanczos")["touched"]
    view.page.get_by_role("button", name="My pick: Lanczos").click()
    view.wait_for_state(lambda state: state["pick"] is None)


def test_hidden_names_stand_nowhere_in_the_viewer(open_page: Open) -> None:
    view = open_page()
    view.page.get_by_role("button", name="Hide names").click()
    view.wait_for_state(lambda state: state["names_hidden"])
    texts = view.page.locator(".compare").evaluate(
        "(node) => [...node.querySelectorAll('*')].flatMap((one) => [one.textContent, one.title, one.getAttribute('aria-label')]).join(' ')"
    )
    assert not [name for name in ("Bicubic", "Lanczos", "DAT light", "caption of dat") if name in texts]
    assert view.options("left") == ["Original", "Downscaled", "A", "B", "C"]
    view.page.get_by_role("button", name="Reveal").click()
    view.wait_for_state(lambda state: not state["names_hidden"])
    assert view.options("left") == ["Original", "Downscaled", "Bicubic", "Lanczos", "DAT light"]


# -- new data ------------------------------------------------------------------------------------------------------


def test_new_data_keeps_zoom_and_nodes_and_reloads_nothing(open_page: Open) -> None:
    waiting = shown("dat", url=None, state="waiting")
    first = [shown(name) for name in ("original", "downscaled", "bicubic", "lanczos")]
    view = open_page(scene(*first, waiting, right="lanczos"))
    view.page.get_by_role("button", name="200 %").click()
    view.drag(view.point(0.3, 0.3), -100)
    nodes = ".stage, .stage img, .tile, .tile .picture, select, option"
    view.page.locator(nodes).evaluate_all("(nodes) => nodes.forEach((node) => { node.marked = true; })")
    asked = [url for url in view.requests if "/pictures/" in url]
    before = view.seen(0.3, 0.3)
    for tile in range(1, 4):
        running = shown("dat", url=None, state="running", message=f"Tile {tile} of 12", progress=tile / 12)
        view.set_scene(scene(*first, running, right="lanczos"))
        view.page.wait_for_selector(f"text=Tile {tile} of 12")
    assert view.seen(0.3, 0.3) == before
    assert view.zoom_percent() == 200
    assert view.page.locator(nodes).evaluate_all("(nodes) => nodes.every((node) => node.marked)")
    assert [url for url in view.requests if "/pictures/" in url] == asked
    assert len(asked) >= len(first)


def test_zoom_survives_another_job_of_the_same_size_and_not_one_of_another_size(open_page: Open) -> None:
    view = open_page()
    view.page.get_by_role("button", name="400 %").click()
    other = [shown("original"), shown("lanczos", id="esrgan", label="ESRGAN")]
    view.set_scene(scene(*other, left="original", right="esrgan"))
    view.tile("ESRGAN").wait_for()
    view.wait_for_pictures()
    assert view.zoom_percent() == 400
    assert view.page.locator(".tile").count() == 2
    assert (view.seen(0.4, 0.3).number, view.seen(0.6, 0.3).number) == (ORIGINAL, LANCZOS)
    view.set_scene(scene(*other, left="original", right="esrgan", frame=[512, 384], zoom=1.0))
    view.page.locator(".hud", has_text="100 %").wait_for()
    assert view.zoom_percent() == 100


def test_the_first_result_is_not_compared_with_itself(open_page: Open) -> None:
    waiting = shown("dat", url=None, state="waiting")
    first = [shown("original"), shown("downscaled"), shown("bicubic"), waiting]
    view = open_page(scene(*first, left="bicubic", right="dat", follow_newest=True, zoom=2.0))
    view.wait_until_seen(NUMBERS["downscaled"], BICUBIC)
    view.set_scene(scene(*first[:3], shown("dat"), left="bicubic", right="dat", follow_newest=True, zoom=2.0))
    view.wait_for_state(lambda state: (state["left"], state["right"]) == ("bicubic", "dat"))
    view.wait_until_seen(BICUBIC, DAT)
    assert (view.seen(0.4, 0.3).number, view.seen(0.6, 0.3).number) == (BICUBIC, DAT)


def test_the_right_side_follows_the_newest_result_until_the_viewer_is_touched(open_page: Open) -> None:
    names = ["original", "downscaled", "bicubic", "lanczos", "dat"]

    def progress(done: int) -> dict[str, Any]:
        pictures = [shown(name) if index < done else shown(name, url=None, state="waiting") for index, name in enumerate(names)]
        return scene(*pictures, left="downscaled", right="dat", follow_newest=True, zoom=2.0)

    view = open_page(progress(3))
    assert view.seen(0.6, 0.3).number == BICUBIC
    view.set_scene(progress(4))
    view.wait_for_state(lambda state: state["right"] == "lanczos")
    assert view.seen(0.6, 0.3).number == LANCZOS
    view.page.get_by_role("button", name="400 %").click()
    view.set_scene(progress(5))
    view.tile("DAT light").locator(".crop:enabled").wait_for()
    assert view.seen(0.6, 0.3).number == LANCZOS


def test_tiles_say_what_goes_on_and_only_ready_pictures_can_be_chosen(open_page: Open) -> None:
    pictures = [
        shown("original"),
        shown("bicubic"),
        shown("lanczos", state="timing", message="timing…"),
        shown("dat", url=None, state="running", message="Tile 3 of 12", progress=0.25),
        shown("swinir", url=None, state="loading", message=""),
        shown("hat", url=None, state="failed", message="Out of memory.", action="Try smaller tiles"),
    ]
    view = open_page(scene(*pictures, right="lanczos"))
    assert view.tile("DAT light").locator(".message").inner_text() == "Tile 3 of 12"
    assert view.page.get_by_role("progressbar", name="Tile 3 of 12").get_attribute("aria-valuenow") == "25"
    assert view.tile("swinir").locator(".message").inner_text() == "Loading model"
    assert view.tile("Lanczos").locator(".message").inner_text() == "timing…"
    assert view.tile("hat").locator(".message").inner_text() == "Out of memory."
    assert view.tile("hat").locator(".crop").is_disabled()
    assert view.options("right") == ["Original", "Bicubic", "Lanczos"]
    view.tile("hat").get_by_role("button", name="Try smaller tiles").click()
    assert view.wait_for_state(lambda state: state["actions"] != [])["actions"] == ["hat"]


def test_a_picture_that_is_gone_says_so_in_its_place(open_page: Open) -> None:
    view = open_page(scene(shown("original"), shown("bicubic"), shown("dat")))
    view.set_scene(scene(shown("original"), shown("bicubic"), shown("dat", url="/pictures/expired")))
    tile = view.tile("DAT light")
    tile.get_by_text("This picture is no longer here").wait_for()
    assert view.page.locator(".right-layer .note").inner_text() == "This picture is no longer here"
    assert view.page.locator(".right-layer img").count() == 0
    assert view.seen(0.4, 0.3).number == BICUBIC
    assert len(view.errors) > 0
    assert all("404" in error for error in view.errors)
    view.errors.clear()


def test_labels_are_text_and_never_markup(open_page: Open) -> None:
    label = "<b id=injected>bold</b>"
    view = open_page(scene(shown("original"), shown("bicubic", label=label), shown("dat", caption=label)))
    assert view.options("left") == ["Original", label, "DAT light"]
    assert view.tile("DAT light").locator(".caption").inner_text() == label
    assert view.page.locator("#injected").count() == 0


# -- small screens and touch ---------------------------------------------------------------------------------------


def test_a_phone_has_no_sideways_scrolling_and_its_drop_downs_beneath(open_page: Open) -> None:
    view = open_page(width=390, height=844, device_scale_factor=2, has_touch=True)
    assert [view.page.locator(box).evaluate("(box) => box.scrollWidth - box.clientWidth") for box in ("html", ".stMain")] == [0, 0]
    left, top, width, height = view.stage_box()
    assert (left >= 0, left + width <= 390, height) == (True, True, 320)
    for side in (".left-side", ".right-side", ".tools"):
        box = view.page.locator(side).bounding_box()
        assert box is not None
        assert box["y"] >= top + height
        assert box["x"] >= left
        assert box["x"] + box["width"] <= left + width + 0.5
    scrollable = view.page.locator(".strip").evaluate("(strip) => strip.scrollWidth > strip.clientWidth")
    assert scrollable


def test_one_finger_moves_only_the_handle_and_two_fingers_zoom(open_page: Open) -> None:
    view = open_page(scene(zoom=2.0), width=390, height=844, has_touch=True)
    session = view.page.context.new_cdp_session(view.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    (x, y), start = view.point(0.2, 0.3), view.seen(0.2, 0.3)
    touch("touchStart", (x, y))
    touch("touchMove", (x + 60, y))
    touch("touchEnd")
    assert view.seen(0.2, 0.3) == start
    x, y = view.point(0.5, 0.3)
    touch("touchStart", (x, y))
    touch("touchMove", (x - 60, y))
    touch("touchEnd")
    view.next_frame()
    assert int(view.page.get_by_role("slider").get_attribute("aria-valuenow") or 50) < 40
    x, y = view.point(0.5, 0.5)
    touch("touchStart", (x - 40, y), (x + 40, y))
    touch("touchMove", (x - 80, y), (x + 80, y))
    touch("touchEnd")
    assert view.zoom_percent() == 400
