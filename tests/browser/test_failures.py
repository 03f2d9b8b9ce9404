"""A failed tile has one button, and what it says happens; the other results stay."""

import re
from collections.abc import Callable, Iterator

import pytest
from chromium import settle
from page_driver import ComparePage, Site, start_site
from playwright.sync_api import expect

from tests.pictures import noise, png

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with start_site(tmp_path_factory.mktemp("home"), UPSCALE_BENCH_WARM_UP="0", UPSCALE_BENCH_WEIGHTS="") as started:
        yield started


@pytest.fixture(scope="module")
def view(site: Site, visitor: Visit, tmp_path_factory: pytest.TempPathFactory) -> ComparePage:
    """A page with a comparison of which three parts failed, each for a reason of its own."""
    picture = tmp_path_factory.mktemp("pictures") / "small.png"
    picture.write_bytes(png(noise(1280, 1400)))
    page = visitor(site)
    page.upload(picture)
    page.segment("x2")
    # The whole of it, so that two halvings of the tiles are not enough.
    page.page.get_by_role("button", name=re.compile("^Region ")).click()
    page.segment("Whole picture")
    page.page.keyboard.press("Escape")
    page.choose("Bicubic", "fake-wide", "fake-once", "fake-fetched")
    page.compare()
    return page


def press(view: ComparePage, name: str, button: str) -> None:
    """Press the one button of a failed tile."""
    settle(view.page)
    action = view.tile(name).locator(".action")
    expect(action).to_have_text(button)
    action.click()


def expect_result(view: ComparePage, name: str, others: dict[str, dict[str, str]]) -> None:
    """The row has a score now, in the same comparison, and the others have what they had."""
    expect(view.row(name).locator("[data-head='Per picture']")).to_have_text(re.compile(r"^\d.* m?s"))
    expect(view.compare_button).to_be_visible()
    assert {other: cells for other, cells in view.table().items() if other in others} == others


def test_each_failure_has_its_reason_and_one_action(view: ComparePage) -> None:
    expect(view.status()).to_contain_text("3 of 4 failed.")
    assert set(view.table()) == {"Bicubic"}
    for name, reason, action in (
        ("fake-wide", "Out of memory with tiles of 128 px.", "Try smaller tiles"),
        ("fake-once", re.compile(r"^The model crashed \(signal 6\)\.$"), "Run again"),
        ("fake-fetched", "Not downloaded.", "Download 5 MB"),
    ):
        expect(view.tile(name).locator(".message")).to_have_text(reason)
        expect(view.tile(name).locator(".action")).to_have_text(action)


def test_smaller_tiles_are_run_and_told(site: Site, view: ComparePage) -> None:
    job_id, others = view.job_id, view.table()
    press(view, "fake-wide", "Try smaller tiles")
    expect_result(view, "fake-wide", others)
    assert view.job_id == job_id
    assert site.rows(str(job_id))["fake-wide"]["tile"] == 64
    assert view.table()["fake-wide"]["Runtime"] == "opencv f32, tiles of 64"
    expect(view.status()).to_contain_text("2 of 4 failed.")


def test_a_crashed_model_runs_again(site: Site, view: ComparePage) -> None:
    job_id, others = view.job_id, view.table()
    (site.home / "calm").touch()
    press(view, "fake-once", "Run again")
    expect_result(view, "fake-once", others)
    assert view.job_id == job_id


def test_weights_are_downloaded_and_the_model_is_run(site: Site, view: ComparePage, visitor: Visit) -> None:
    job_id, others = str(view.job_id), view.table()
    (site.home / "no weights").touch()
    press(view, "fake-fetched", "Download 5 MB")
    expect(view.tile("fake-fetched").locator(".message")).to_contain_text("the server answered 404 Not Found")
    (site.home / "no weights").rename(site.home / "half the weights")
    press(view, "fake-fetched", "Download 5 MB")
    expect(view.tile("fake-fetched").locator(".message")).to_have_text("Downloading: 2.0 of 5.0 MB")
    expect(view.tile("fake-fetched").locator(".progress")).to_be_visible()
    # Somebody else who looks sees it too, and nobody has to stay.
    guest = visitor(site, f"/?job={job_id}")
    expect(guest.tile("fake-fetched").locator(".message")).to_have_text("Downloading: 2.0 of 5.0 MB")
    view.page.goto("about:blank")
    (site.home / "half the weights").unlink()
    expect_result(guest, "fake-fetched", others)
    expect(guest.status()).to_have_text(re.compile(r"^Measured on [^.]+\.$"))
    assert site.rows(job_id)["fake-fetched"]["status"] == "ok"
