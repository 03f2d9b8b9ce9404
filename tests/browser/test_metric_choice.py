"""More scores on the compare page: chosen under "More", seen in the table and in what its rows open to."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import settle
from page_driver import ComparePage, Site, start_site
from playwright.sync_api import Locator, expect

from tests.pictures import png, scene

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with start_site(tmp_path_factory.mktemp("home"), UPSCALE_BENCH_WARM_UP="0", UPSCALE_BENCH_WEIGHTS="") as started:
        yield started


def open_more(view: ComparePage) -> Locator:
    settle(view.page)
    view.page.get_by_role("button", name="More", exact=True).click()
    return view.page.get_by_test_id("stPopoverBody")


def close(view: ComparePage, popover: Locator) -> None:
    view.page.keyboard.press("Escape")
    if popover.is_visible():
        view.page.keyboard.press("Escape")
    expect(popover).to_be_hidden()
    settle(view.page)


def test_a_chosen_score_is_a_column_and_opens_with_its_row(site: Site, visitor: Visit, tmp_path: Path) -> None:
    (tmp_path / "discs.png").write_bytes(png(scene(200, 180)))
    view = visitor(site)
    view.upload(tmp_path / "discs.png")
    view.segment("x2")
    view.choose("Nearest", "Bicubic")
    more = open_more(view)
    for name in ("MS-SSIM", "LPIPS (AlexNet)"):
        more.get_by_role("combobox", name=re.compile("More scores")).click()
        view.page.get_by_role("option", name=name).click()
    expect(more).to_contain_text("upscale-bench weights fetch lpips")
    expect(more.get_by_role("button", name="Download 244")).to_be_visible()
    close(view, more)
    job = site.job(view.compare())
    assert job["metrics"] == ["ms-ssim", "lpips"]
    for row in job["rows"]:
        cells = view.table()[row["name"]]
        assert cells["MS-SSIM"] == f"{row['scores']['rgb']['ms_ssim']:.4f}"
        assert cells["LPIPS"] == "–"
    view.segment("Luma (papers)")
    expect(view.page.locator("td[data-head=LPIPS]")).to_have_count(0)
    luma = job["rows"][0]["scores"]["y"]["ms_ssim"]
    assert view.table()[job["rows"][0]["name"]]["MS-SSIM"] == f"{luma:.4f}"
    view.row("Nearest").locator("summary").click()
    expect(view.page.locator(".ub-more:visible")).to_contain_text("LPIPS (AlexNet) needs alexnet-owt-7be5be79.pth")
    # Whoever opens the address finds the same choice.
    other = visitor(site, f"/?job={view.job_id}")
    expect(open_more(other)).to_contain_text("MS-SSIM")


def test_a_picture_without_an_original_has_no_more_scores(site: Site, visitor: Visit) -> None:
    view = visitor(site)
    view.segment("Upscale as is")
    expect(open_more(view).get_by_role("combobox", name=re.compile("More scores"))).to_be_disabled()
