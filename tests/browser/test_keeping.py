"""How long a comparison stays, as a visitor sees it: pinned, unpinned, deleted, expired."""

import datetime
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import settle
from page_driver import ComparePage, Site, start_site
from playwright.sync_api import expect

from tests.comparisons import row_of, scores_of, store
from tests.engine_helpers import wait_until
from tests.pictures import noise

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]
GONE = "This comparison is no longer here. Start a new one."
DAYS = 40
"""How old all comparisons here are; those that are not pinned go after 30 days."""


def put(home: Path, job_id: str, *, pinned: bool) -> str:
    """Store an old comparison; returns its id."""
    created_at = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=DAYS)).isoformat()
    rows = {"bicubic": row_of("bicubic", scores=scores_of(30))}
    results = {"bicubic": noise(64, 48, 1)}
    made = store(
        home / "comparisons",
        noise(64, 48),
        noise(16, 12),
        results,
        rows,
        id=job_id,
        pinned=pinned,
        created_at=created_at,
        finished_at=created_at,
    )
    made.rename(made.with_name(job_id))
    return job_id


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("home")
    put(home, "pinned__________", pinned=True)
    put(home, "expired_________", pinned=False)
    with start_site(home, UPSCALE_BENCH_WARM_UP="0") as started:
        yield started


def test_an_expired_link_says_so(site: Site, visitor: Visit) -> None:
    wait_until(lambda: not site.directory("expired_________").exists())
    view = visitor(site, "/?job=expired_________")
    expect(view.page.get_by_text(GONE)).to_be_visible()
    expect(view.compare_button).to_be_enabled()


def test_pinning_is_stored_and_undone_and_a_pinned_one_is_deleted_after_a_question(site: Site, visitor: Visit) -> None:
    view = visitor(site, "/?job=pinned__________")
    view.wait_for_pictures("pinned__________")
    page = view.page
    expect(page.get_by_text("Pinned: kept until somebody unpins or deletes it.")).to_be_visible()

    page.get_by_role("button", name="Unpin", exact=True).click()
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=DAYS - 30)
    expect(page.get_by_text(re.compile(rf"^Kept until {since.day} \w+ {since.year}\.$"))).to_be_visible()
    assert not site.job("pinned__________")["pinned"]

    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_text("Pinned: kept until")).to_be_visible()
    assert site.job("pinned__________")["pinned"]
    other = visitor(site, "/?job=pinned__________")
    expect(other.page.get_by_role("button", name="Unpin", exact=True)).to_be_visible()
    # A picture that is asked for when it is deleted is an error in the other tab's console.
    other.wait_for_pictures("pinned__________")

    settle(page)
    page.get_by_role("button", name="Delete this comparison").click()
    question = page.get_by_test_id("stPopoverBody")
    expect(question).to_contain_text("It is pinned.")
    assert site.directory("pinned__________").exists()
    question.get_by_role("button", name="Delete", exact=True).click()
    expect(view.status()).to_contain_text("Example, computed on")
    assert not site.directory("pinned__________").exists()

    other.page.get_by_role("button", name="Unpin", exact=True).click()
    expect(other.page.get_by_text(GONE)).to_be_visible()


def test_pins_that_leave_no_room_are_told(tmp_path: Path, visitor: Visit) -> None:
    put(tmp_path, "large___________", pinned=True)
    (tmp_path / "comparisons" / "large___________" / "filler.png").write_bytes(bytes(3 * 2**20))
    with start_site(tmp_path, UPSCALE_BENCH_WARM_UP="0", UPSCALE_BENCH_MAX_STORE_MIB="2") as site:
        view = visitor(site, "/?job=large___________")
        expect(view.page.get_by_text("Pinned comparisons take 3 MiB, more than the 2 MiB for all")).to_be_visible()
        view.page.get_by_role("button", name="Unpin", exact=True).click()
        expect(view.page.get_by_text("Kept until")).to_be_visible()
        expect(view.page.get_by_text("Pinned comparisons take")).to_have_count(0)
        view.page.close()
