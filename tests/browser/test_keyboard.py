"""The compare page by keyboard alone: everything can be reached, done, and seen to have the focus."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from chromium import settle
from coded_pictures import pixels_of
from page_driver import ComparePage, Site
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]
MOST_STOPS = 80
"""The page has about 45 places where the focus stops."""
NEEDED = (
    "a Models",
    "Upload",
    "Astronaut",
    "Shrink and restore",
    r"x\d",
    "Choose upscalers",
    "Compare, about",
    "More",
    "group Viewer",
    "slider Split",
    "Left picture",
    "Right picture",
    r"200.%",
    "Hide names",
    "Keys and gestures",
    "Full screen",
    "Bicubic: show on the right",
    "My pick: Bicubic",
    "Colour",
    "summary Bicubic",
    "Use this model",
    "Save report",
    "ZIP",
)
"""Role and name, or a part of them, of what a person must get at."""
FOCUSED = """() => {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  const box = at.getBoundingClientRect();
  const name = at.ariaLabel ?? at.textContent.trim().slice(0, 80);
  return { name: `${at.role ?? at.getAttribute('role') ?? at.tagName.toLowerCase()} ${name}`, box: [box.x, box.y, box.width, box.height] };
}"""


def focused(page: Page) -> str:
    """Role and name of what has the focus, also inside a component."""
    return page.evaluate(FOCUSED)["name"]


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Press Tab until something whose role and name match has the focus."""
    seen = []
    for _ in range(MOST_STOPS):
        page.keyboard.press(key)
        seen.append(focused(page))
        if re.search(name, seen[-1]):
            return
    raise AssertionError(f"{key} never reaches {name}: {seen}")


def test_every_stop_of_the_focus_is_seen(plain_site: Site, visitor: Visit) -> None:
    # So high that nothing has to scroll: each stop is compared with the same place before anything had the focus.
    view = visitor(plain_site, viewport={"width": 1440, "height": 1700})
    page = view.page
    expect(page.locator(".tile.loaded")).to_have_count(6)
    before = pixels_of(page.screenshot(animations="disabled")).astype(int)
    seen, unseen = [], []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at["name"].startswith("body"):
            break
        if at["name"].startswith("main"):
            # The region that scrolls is as large as the window, and moves with the arrow keys.
            continue
        seen.append(at["name"])
        left, top = (max(0, int(at["box"][axis]) - 6) for axis in (0, 1))
        right, bottom = int(at["box"][0] + at["box"][2]) + 6, int(at["box"][1] + at["box"][3]) + 6
        clip: Any = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        now = pixels_of(page.screenshot(clip=clip, animations="disabled"))
        changed = int((np.abs(now - before[top:bottom, left:right]).max(axis=-1) > 40).sum())
        if changed < 40:
            unseen.append((at["name"], changed))
    assert unseen == [], "these look the same with and without the focus"
    for name in NEEDED:
        assert any(re.search(name, each) for each in seen), f"{name} is never reached: {seen}"


def test_a_comparison_is_set_up_run_and_looked_at(plain_site: Site, visitor: Visit) -> None:
    view = visitor(plain_site)
    page, keyboard = view.page, view.page.keyboard

    tab_to(page, "radio Astronaut")
    keyboard.press("ArrowRight")
    keyboard.press("Space")
    expect(page.get_by_text(re.compile(r"^Cat · \d+×\d+"))).to_be_visible()
    settle(page)
    tab_to(page, r"radio x\d")
    for _ in range(4):
        if focused(page) == "radio x2":
            break
        keyboard.press("ArrowLeft")
    keyboard.press("Space")
    expect(page.get_by_role("radio", name="x2", exact=True)).to_be_checked()
    settle(page)

    tab_to(page, "Choose upscalers")
    keyboard.press("Enter")
    expect(page.get_by_test_id("stPopoverBody")).to_be_visible()
    expect(page.get_by_role("button", name="None", exact=True)).to_be_visible()
    tab_to(page, "None$")
    keyboard.press("Enter")
    expect(view.chosen).to_have_text(re.compile(": 0 of "))
    expect(view.compare_button).to_be_disabled()
    expect(page.get_by_text("Pick at least one upscaler.")).to_be_visible()
    settle(page)
    for count, name in enumerate(("Bicubic", "Lanczos"), 1):
        tab_to(page, f"{name}$")
        keyboard.press("Space")
        expect(view.chosen).to_have_text(re.compile(f": {count} of "))
        settle(page)
    keyboard.press("Escape")
    expect(page.get_by_test_id("stPopoverBody")).to_be_hidden()

    tab_to(page, "Compare, about|Compare$")
    keyboard.press("Enter")
    page.wait_for_function("() => new URL(location).searchParams.get('job')")
    job_id = str(view.job_id)
    view.finish(job_id)
    job = plain_site.job(job_id)
    assert (job["image"]["name"], job["scale"], [row["upscaler"] for row in job["rows"]]) == ("chelsea", 2, ["bicubic", "lanczos"])
    settle(page)

    zoom, handle = page.locator(".hud"), page.get_by_role("slider", name="Split between left and right")
    tab_to(page, "group Viewer")
    for _ in range(3):
        keyboard.press("+")
    # Fitted in before; the cat is 300 pixels high.
    zoomed = f"{round(100 * page.locator('.stage').evaluate('stage => stage.clientHeight') / 300 * 1.25**3)} %"
    expect(zoom).to_have_text(zoomed)
    before = page.locator(".stage .picture").first.get_attribute("style")
    keyboard.press("ArrowDown")
    expect(page.locator(".stage .picture").first).not_to_have_attribute("style", str(before))
    expect(zoom).to_have_text(zoomed)
    keyboard.press("1")
    expect(page.get_by_label("Right picture")).to_have_value("original")
    keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys and gestures")).to_be_visible()
    keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys and gestures")).to_be_hidden()
    keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement !== null")
    keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement === null")
    tab_to(page, "slider Split")
    keyboard.press("Shift+ArrowLeft")
    expect(handle).to_have_attribute("aria-valuenow", "40")
    for side, value in (("Left", "lanczos"), ("Right", "bicubic")):
        tab_to(page, f"{side} picture")
        keyboard.type(value[:3])
        expect(page.get_by_label(f"{side} picture")).to_have_value(value)
    tab_to(page, "Hide names")
    keyboard.press("Enter")
    expect(page.locator(".ub-table")).to_have_count(0)
    settle(page)
    assert focused(page) == "button Reveal"
    keyboard.press("Enter")
    expect(page.locator(".ub-table")).to_be_visible()
    settle(page)
    tab_to(page, "summary Bicubic")
    details = page.locator(".ub-more").first
    expect(details).to_be_hidden()
    keyboard.press("Enter")
    expect(details).to_be_visible()
    expect(details).to_contain_text(f"rgb {plain_site.rows(job_id)['bicubic']['scores']['rgb']['fingerprint']}")
    expect(details).to_contain_text(f"{plain_site.rows(job_id)['bicubic']['lr_consistency']:.2f} dB, colour shift")
    keyboard.press("Enter")
    expect(details).to_be_hidden()
