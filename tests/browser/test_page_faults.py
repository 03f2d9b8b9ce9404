"""The compare page when something goes wrong: bad files, crashes, cancelling, lost links, a server that stops."""

import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

import psutil
import pytest
from chromium import settle
from page_driver import ComparePage, Site, start_site
from playwright.sync_api import expect
from server import ROOT

from core.errors import ImageError
from core.image import decode, safe_stem
from tests.engine_helpers import wait_until
from tests.pictures import noise, png

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]
GONE = "This comparison is no longer here. Start a new one."
STOPPED = "The server was stopped. Run again."
UNKNOWN = "AAAAAAAAAAAAAAAA"
HEALTHY_WITHIN_S = 10.0
SERVER_RSS_LIMIT_MIB = 1536
PAGE_WATCH = """
import os, sys

def note(event, arguments):
    if event == "exec" and getattr(arguments[0], "co_filename", "").endswith(("ui/navigation.py", "pages/compare.py")):
        with open({log!r}, "a") as log:
            log.write(f"{{os.getpid()}} {{arguments[0].co_filename}}\\n")

sys.addaudithook(note)
"""
"""Notes every process that runs a page's script: Python imports `sitecustomize` as it starts."""


@pytest.fixture(scope="module")
def page_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The notes of `PAGE_WATCH`."""
    folder = tmp_path_factory.mktemp("watch")
    log = folder / "page runs.txt"
    (folder / "sitecustomize.py").write_text(PAGE_WATCH.format(log=str(log)), encoding="utf-8")
    return log


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, page_runs: Path) -> Iterator[Site]:
    path = os.pathsep.join((str(page_runs.parent), str(ROOT)))
    with start_site(tmp_path_factory.mktemp("home"), PYTHONPATH=path) as started:
        yield started


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture on which everything is quick."""
    path = tmp_path_factory.mktemp("pictures") / "small.png"
    path.write_bytes(png(noise(64, 48)))
    return path


@pytest.fixture(scope="module")
def view(site: Site, visitor: Visit, small: Path) -> ComparePage:
    """One visitor who meets all of it."""
    page = visitor(site)
    page.upload(small)
    return page


def family(pid: int) -> list[psutil.Process]:
    """A process and all that come from it."""
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


def start_slow(view: ComparePage) -> str:
    """Start a comparison of which one part is there and the other takes a minute."""
    view.choose("Bicubic", "fake-good")
    view.set_slider("fake-good: sleep", "End")
    job_id = view.start()
    view.site.wait_for(job_id, lambda _: view.site.rows(job_id)["fake-good"]["stage"] == "running")
    expect(view.tile("Bicubic").locator(".picture")).to_be_visible()
    return job_id


# -- models ---------------------------------------------------------------------------------------------------------


def test_a_crashed_model_is_a_reason_beside_the_other_results(site: Site, view: ComparePage) -> None:
    view.choose("Bicubic", "fake-crash", "fake-good")
    job_id = view.compare()
    reason = site.rows(job_id)["fake-crash"]["reason"]
    assert reason
    expect(view.row("fake-crash").locator(".ub-reason")).to_have_text(reason)
    expect(view.tile("fake-crash").locator(".message")).to_have_text("The model crashed (signal 6).")
    assert set(view.table()) == {"Bicubic", "fake-good"}
    expect(view.status()).to_contain_text("1 of 3 failed.")


def test_cancel_ends_a_slow_model_within_two_seconds_and_run_again_runs_it_alone(site: Site, view: ComparePage) -> None:
    job_id = start_slow(view)
    expect(view.compare_button).to_have_count(0)
    view.cancel_button.click()
    assert site.wait_for(job_id, lambda job: job["state"] == "cancelled") < 2
    expect(view.row("fake-good")).to_contain_text("Stopped. Run again.")
    expect(view.tile("fake-good").locator(".message")).to_have_text("Stopped.")
    expect(view.compare_button).to_be_visible()
    before = view.table()
    assert set(before) == {"Bicubic"}
    settle(view.page)
    view.tile("fake-good").get_by_role("button", name="Run again").click()
    site.wait_for(job_id, lambda _: site.rows(job_id)["fake-good"]["stage"] == "running")
    expect(view.cancel_button).to_be_visible()
    assert view.table() == before
    view.cancel_button.click()
    assert site.wait_for(job_id, lambda job: job["state"] == "cancelled") < 2
    view.finish(job_id)
    assert view.job_id == job_id
    view.set_slider("fake-good: sleep", "Home")


def test_a_second_click_and_new_settings_leave_the_running_comparison_alone(site: Site, view: ComparePage) -> None:
    view.choose("Bicubic", "fake-good")
    view.set_slider("fake-good: sleep", "End")
    stored = set((site.home / "comparisons").iterdir())
    before = view.job_id
    view.compare_button.dblclick()
    expect(view.cancel_button).to_be_visible()
    view.page.wait_for_function("(old) => new URL(location).searchParams.get('job') !== old", arg=before)
    running = str(view.job_id)
    view.segment("x2")
    expect(view.page.get_by_text("Settings changed")).to_be_visible()
    expect(view.cancel_button).to_be_visible()
    assert view.job_id == running
    assert len(set((site.home / "comparisons").iterdir()) - stored) == 1
    view.cancel_button.click()
    view.finish(running)
    view.segment("x4")


def test_the_browsers_back_shows_the_comparison_before_with_its_choices(view: ComparePage) -> None:
    view.choose("Bicubic")
    first = view.compare()
    second = view.compare()
    assert first != second
    view.page.go_back()
    view.wait_for_pictures(first)
    for text in ("Shrink and restore", "x4"):
        expect(view.page.get_by_role("radio", name=text, exact=True)).to_be_checked()
    expect(view.compare_button).to_be_enabled()


def test_every_awkward_file_is_taken_or_refused_in_one_sentence(site: Site, view: ComparePage, bad_inputs: Path) -> None:
    taken: list[tuple[Path, str]] = []
    refused: list[tuple[Path, str]] = []
    for file in sorted((bad_inputs / "images").iterdir()):
        try:
            picture = decode(file.read_bytes(), name=file.name)
        except ImageError as error:
            # By its name, the browser refuses a GIF before it is sent.
            refused.append((file, "image/gif files are not allowed." if file.suffix == ".gif" else str(error)))
        else:
            taken.append((file, f"{safe_stem(file.name)} · {picture.width}×{picture.height}"))
    assert len(taken) >= 20
    assert len(refused) >= 14
    alert = view.page.get_by_role("alert")
    choose = view.page.locator("input[type=file]")
    before = set((site.home / "comparisons").iterdir())
    label = ""
    # In turns, so that each message is a new one.
    for good, bad in zip_longest(taken, refused):
        if good:
            choose.set_input_files(good[0])
            label = good[1]
            expect(view.page.get_by_test_id("stCaptionContainer").filter(has_text=label)).to_be_visible()
            expect(alert).to_have_count(0)
        if bad:
            choose.set_input_files(bad[0])
            expect(alert).to_contain_text(bad[1])
            if bad[0].suffix == ".gif":
                view.page.get_by_role("button", name=f"Remove {bad[0].name}").click()
            expect(view.page.get_by_test_id("stCaptionContainer").filter(has_text=label)).to_be_visible()
        assert not re.search(r"Traceback|streamlit\.errors|\w+Error\b", view.page.locator("body").inner_text())
    assert sum(process.memory_info().rss for process in family(site.app.pid)) / 2**20 < SERVER_RSS_LIMIT_MIB
    assert "Traceback" not in site.app.log()
    assert set((site.home / "comparisons").iterdir()) == before


# -- processes ------------------------------------------------------------------------------------------------------


def test_only_the_server_runs_the_pages_script(site: Site, view: ComparePage, page_runs: Path) -> None:
    """After a crash and a cancellation: both were followed by new worker processes."""
    view.open("/")
    runs = [line.split(" ", 1) for line in page_runs.read_text(encoding="utf-8").splitlines()]
    assert {Path(file).name for _, file in runs} == {"navigation.py", "compare.py"}
    assert {int(pid) for pid, _ in runs} == {site.app.pid}
    assert len(family(site.app.pid)) > 2, "no worker is there that could have run it"


@pytest.mark.parametrize("job_id", [UNKNOWN, "..%2F..%2Fetc", "%00", "x" * 3000, "%3Cscript%3E"])
def test_a_lost_link_says_so_and_the_page_works(site: Site, visitor: Visit, job_id: str) -> None:
    view = visitor(site, f"/?job={job_id}")
    expect(view.page.get_by_text(GONE)).to_be_visible()
    expect(view.compare_button).to_be_enabled()
    assert view.job_id is None


def test_a_deleted_comparison_is_gone_for_everybody(site: Site, visitor: Visit, small: Path) -> None:
    owner = visitor(site)
    owner.upload(small)
    owner.choose("Bicubic")
    job_id = owner.compare()
    guest = visitor(site, f"/?job={job_id}")
    guest.wait_for_pictures(job_id)
    picture = f"{site.app.url}{guest.tile('Bicubic').locator('.picture').get_attribute('src')}"
    assert fetch(picture)[0] == 200
    owner.page.get_by_role("button", name="Delete this comparison").click()
    expect(owner.status()).to_contain_text("Example, computed on")
    assert owner.job_id is None
    assert not site.directory(job_id).exists()
    assert fetch(picture)[0] == 404
    guest.page.get_by_role("radio", name="Luma (papers)").click()
    expect(guest.page.get_by_text(GONE)).to_be_visible()


def fetch(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_the_picture_address_gives_pictures_of_this_store_and_nothing_else(site: Site, view: ComparePage) -> None:
    view.choose("Bicubic")
    job_id = view.compare()
    name = site.rows(job_id)["bicubic"]["output_path"]
    (site.home / "secret.png").write_bytes(b"secret")
    (site.directory(job_id) / "secret.png").write_bytes(b"secret")
    assert fetch(f"{site.app.url}/pictures/{job_id}/{name}")[0] == 200
    for path in (
        f"{job_id}/{'0' * 32}.png",
        f"{job_id}/job.json",
        f"{job_id}/secret.png",
        f"{job_id}/{name}%00",
        f"{job_id}/{name.upper()}",
        f"{UNKNOWN}/{name}",
        f"..%2F{job_id}/{name}",
        f"{job_id}/..%2F..%2Fsecret.png",
        f"{job_id}/%2E%2E%2F{job_id}%2F{name}",
        f"{job_id}/../../secret.png",
        "../secret.png",
        f"{job_id}/..%5C..%5Csecret.png",
    ):
        status, body = fetch(f"{site.app.url}/pictures/{path}")
        # Streamlit answers an address that is nobody's with its own empty page.
        assert status in (400, 403, 404) or b"<!doctype html>" in body.lower(), path
        assert b"secret" not in body
        assert not body.startswith(b"\x89PNG")


# -- the server -----------------------------------------------------------------------------------------------------


def test_a_server_that_was_killed_shows_what_was_done_when_it_is_back(
    tmp_path_factory: pytest.TempPathFactory, visitor: Visit, small: Path
) -> None:
    home = tmp_path_factory.mktemp("home of two servers")
    started = time.monotonic()
    with start_site(home) as site:
        assert time.monotonic() - started < HEALTHY_WITHIN_S
        view = visitor(site)
        libraries = Path(f"/proc/{site.app.pid}/maps").read_text()
        assert "_imaging" in libraries, "the page shows a thumbnail: Pillow must be loaded"
        assert not re.search(r"libtorch|/cv2/|/openvino/|/spandrel/|/skimage/", libraries)
        view.upload(small)
        view.choose("Bicubic", "Lanczos")
        done = view.compare()
        table = view.table()
        interrupted = start_slow(view)
        everyone = family(site.app.pid)
        view.page.close()
        # As when the machine goes off: neither gets round to closing anything.
        for pid in (site.job(interrupted)["host_pid"], site.app.pid):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in everyone), 10)
    with start_site(home) as site:
        again = visitor(site, f"/?job={done}")
        again.wait_for_pictures(done)
        assert again.table() == table
        again.open(f"/?job={interrupted}")
        again.wait_for_pictures(interrupted)
        expect(again.status()).to_contain_text(STOPPED)
        expect(again.row("fake-good")).to_contain_text(STOPPED)
        assert set(again.table()) == {"Bicubic"}
        expect(again.compare_button).to_be_enabled()
        again.page.close()
