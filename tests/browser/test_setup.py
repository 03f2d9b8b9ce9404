"""The compare page before anything is pressed: what stands above the fold, and what can be set."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import settle
from page_driver import ComparePage, Site, start_site
from playwright.sync_api import expect

import upscalers
from benchmark import jobs
from benchmark.environment import machine_label

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]
KINDS = ["Classical", "CNN", "Transformer", "GAN", "Diffusion"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, weights_at_hand: list[Path]) -> Iterator[Site]:
    weights = os.pathsep.join(map(str, weights_at_hand))
    with start_site(
        tmp_path_factory.mktemp("home"), UPSCALE_BENCH_WARM_UP="0", UPSCALE_BENCH_PLUGINS="", UPSCALE_BENCH_WEIGHTS=weights
    ) as started:
        yield started


@pytest.fixture(scope="module")
def view(site: Site, visitor: Visit) -> ComparePage:
    return visitor(site)


def test_the_first_screen_holds_header_set_up_viewer_and_strip(view: ComparePage) -> None:
    page = view.page
    header = page.locator(".st-key-header")
    assert header.get_by_role("link").all_inner_texts() == ["Compare", "Runs", "Leaderboard", "Models"]
    expect(header).to_contain_text(machine_label())
    box = header.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 56
    for caption in page.locator(".caption").all():
        expect(caption).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("slider", name="Split between left and right")).to_have_attribute("aria-valuenow", "50")
    expect(view.compare_button).to_have_text(re.compile(r"^Compare, about \d"))
    expect(page.locator(".st-key-setup")).to_contain_text("Bicubic, Lanczos, LapSRN, Real-ESRGAN general")


def test_each_tile_has_the_stored_aim_score_and_time(view: ComparePage) -> None:
    for row in jobs.load(jobs.EXAMPLE_FOLDER).rows:
        spec = upscalers.get(row.upscaler)
        assert row.scores is not None
        time = view.table()[spec.name]["Per picture"].removesuffix(" (once)")
        expect(view.tile(spec.name).locator(".caption")).to_have_text(f"{spec.aim} · {row.scores['rgb'].psnr_db:.2f} dB · {time}")


def test_the_list_tells_kinds_prices_licences_and_what_can_run(view: ComparePage) -> None:
    page = view.page
    at_x3 = [spec for spec in upscalers.registry() if spec.supports(3)]
    view.segment("x3")
    # Without LapSRN at this scale, ESPCN stands in.
    expect(page.locator(".st-key-setup")).to_contain_text("Bicubic, Lanczos, ESPCN")
    view.opener.click()
    body = page.get_by_test_id("stPopoverBody")
    expect(body.get_by_role("checkbox")).to_have_count(len(list(upscalers.registry())))
    assert body.locator("strong").all_inner_texts() == KINDS
    expect(body.get_by_text("Not at x3", exact=True)).to_have_count(len(list(upscalers.registry())) - len(at_x3))
    expect(body.get_by_role("checkbox", name="LapSRN")).to_be_disabled()
    facts = body.get_by_text(re.compile(r"^(about [\d.]+ (ms|s|min|h)|time unknown) · \S.* · (faithful|vivid)$"))
    expect(facts).to_have_count(len(at_x3))
    expect(body.get_by_text("Ready", exact=True).first).to_be_visible()
    expect(body.get_by_role("button", name=re.compile(r"^Download")).first).to_be_visible()
    body.get_by_role("button", name="Ready ones").click()
    ready = body.get_by_text("Ready", exact=True).count()
    assert ready >= 4
    expect(view.chosen).to_have_text(f"Upscalers: {ready} of {len(at_x3)}")
    page.keyboard.press("Escape")
    settle(page)
    # What was chosen at another scale comes back with it.
    view.segment("x4")
    expect(page.locator(".st-key-setup")).to_contain_text("Real-ESRGAN general")


def test_a_downscale_method_is_chosen_and_used(view: ComparePage, site: Site) -> None:
    page = view.page
    view.choose("Bicubic")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("combobox", name=re.compile("Downscale method")).click()
    page.locator("div[role=option]", has_text=re.compile("area", re.IGNORECASE)).click()
    settle(page)
    page.keyboard.press("Escape")
    job_id = view.compare()
    assert site.job(job_id)["downscale"] == "area"
    # A bicubic enlargement of an area average can't be what bicubic shrinking gives.
    example = next(row for row in jobs.load(jobs.EXAMPLE_FOLDER).rows if row.upscaler == "bicubic")
    assert example.scores is not None
    assert site.rows(job_id)["bicubic"]["scores"]["rgb"]["psnr_db"] != example.scores["rgb"].psnr_db
