"""The leaderboard page in a real browser: a point of the chart opens the pictures behind it, and what is exported is the store's."""

import csv
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import fmean

import pytest
from chromium import settle
from page_driver import COMPARISON_S, ComparePage, Site, start_site
from playwright.sync_api import Locator, WebSocketRoute, expect

from tests.pictures import noise, png, scene
from tests.run_helpers import run_command

pytestmark = pytest.mark.browser

Visit = Callable[..., ComparePage]
IDS = "nearest,bilinear,bicubic,lanczos,fake-good,fake-fetched"
"""The fakes have another licence than the interpolators, and the last one needs weights."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two sets: of `kept` the results were kept, of `bare` they were not."""
    place = tmp_path_factory.mktemp("home")
    environment = {"UPSCALE_BENCH_HOME": str(place), "UPSCALE_BENCH_PLUGINS": "tests.fakes"}
    fetched = run_command("weights", "fetch", "fake-fetched", **environment)
    assert fetched.returncode == 0, fetched.stderr
    for name, seed in (("kept", 1), ("bare", 2)):
        folder = tmp_path_factory.mktemp("sets") / name
        folder.mkdir()
        (folder / "smooth.png").write_bytes(png(scene(131, 99)))
        (folder / "noise.png").write_bytes(png(noise(81, 67, seed=seed)))
        keep = ("--keep-images",) if name == "kept" else ()
        made = run_command("run", "--dataset", folder, "--scales", "2", "--upscalers", IDS, "--run", name, *keep, **environment)
        assert made.returncode == 0, made.stderr
    (weights,) = place.rglob("fetched.bin")
    weights.unlink()
    with closing(sqlite3.connect(place / "store.sqlite")) as connection, connection:
        # What else this machine does during the tests must not decide whether there is a chart, nor which point lies on another.
        for place_in_chart, upscaler in enumerate(IDS.split(",")):
            connection.execute(
                "UPDATE cell SET row = json_set(row, '$.contended', json('false'), '$.first_s', ?) WHERE upscaler = ?",
                (1e-3 * 2**place_in_chart, upscaler),
            )
    return place


@pytest.fixture(scope="module")
def site(home: Path) -> Iterator[Site]:
    with start_site(home, UPSCALE_BENCH_WARM_UP="0", UPSCALE_BENCH_WEIGHTS="") as started:
        yield started


@pytest.fixture
def view(site: Site, visitor: Visit) -> ComparePage:
    opened = visitor(site)
    go_to_leaderboard(opened)
    return opened


def go_to_leaderboard(view: ComparePage) -> None:
    view.page.get_by_role("link", name="Leaderboard").click()
    expect(view.page.get_by_role("tab", name="Ranking")).to_be_visible()
    settle(view.page)


def choose(view: ComparePage, label: str, option: str) -> None:
    view.page.get_by_role("combobox", name=label).click()
    view.page.get_by_role("option", name=option, exact=True).click()
    settle(view.page)


def show(view: ComparePage, dataset: str) -> None:
    choose(view, "Data set", dataset)
    expect(view.page.get_by_text(re.compile(f"^{dataset} x2, y,"))).to_be_visible()


def point(view: ComparePage, name: str) -> Locator:
    return view.page.locator(f'.mark-symbol path[aria-label*="{name}"]')


def pictures(view: ComparePage) -> Locator:
    return view.page.locator(".strip .picture")


def test_a_click_on_a_point_opens_original_result_and_baseline_in_full_size(view: ComparePage, site: Site) -> None:
    show(view, "kept")
    for name in ("Nearest", "Lanczos"):
        point(view, name).click()
        expect(view.page.locator(".strip")).to_contain_text(name)
        settle(view.page)
        expect(pictures(view)).to_have_count(3)
        for index in range(3):
            expect(pictures(view).nth(index)).to_have_js_property("complete", True)
        sizes = pictures(view).evaluate_all("all => all.map(each => [each.naturalWidth, each.naturalHeight])")
        # 131x99 and 81x67, cropped to a multiple of 2.
        assert sizes in ([[130, 98]] * 3, [[80, 66]] * 3)
    addresses = pictures(view).evaluate_all("all => all.map(each => each.src)")
    kept = {path.name: path.read_bytes() for path in (site.home / "runs" / "kept").iterdir()}
    for address in addresses[1:]:
        assert view.page.request.get(address).body() == kept[address.rsplit("/", 1)[1]]
    before = pictures(view).first.get_attribute("src")
    view.page.get_by_role("button", name="Next").click()
    expect(pictures(view).first).not_to_have_attribute("src", before or "")
    view.page.get_by_role("button", name="Previous").click()
    expect(pictures(view).first).to_have_attribute("src", before or "")


def test_the_worst_picture_comes_first(view: ComparePage, home: Path) -> None:
    show(view, "kept")
    point(view, "Nearest").click()
    expect(view.page.locator(".strip")).to_contain_text("Nearest")
    psnr_db: dict[str, dict[str, float]] = {}
    with closing(sqlite3.connect(home / "store.sqlite")) as connection:
        for upscaler, picture, value in connection.execute(SCORES, ("kept", "y")):
            psnr_db.setdefault(upscaler, {})[picture] = value
    worst = min(psnr_db["nearest"], key=lambda name: psnr_db["nearest"][name] - psnr_db["bicubic"][name])
    expect(view.page.get_by_role("combobox", name="Picture", exact=True)).to_have_value(worst)


def test_what_was_not_kept_is_said_and_computed_at_the_press_of_a_button(view: ComparePage) -> None:
    show(view, "bare")
    point(view, "Lanczos").click()
    expect(view.page.get_by_text("The pictures of Lanczos were not kept")).to_be_visible()
    expect(view.page.get_by_test_id("stCode")).to_contain_text("--upscalers lanczos,bicubic --lr bicubic --keep-images")
    expect(pictures(view)).to_have_count(0)
    view.page.get_by_role("button", name=re.compile("^.*Compute it")).click()
    expect(pictures(view)).to_have_count(3, timeout=COMPARISON_S * 1000)
    expect(view.page.get_by_text(re.compile("were not kept"))).to_have_count(0)


def test_filters_leave_what_fits(view: ComparePage) -> None:
    show(view, "kept")
    rows = view.page.get_by_role("tabpanel", name="Ranking").locator("table.ub-wide tbody tr:not(.ub-aim)")
    expect(rows).to_have_count(6)
    view.page.get_by_text("Fits this machine").click()
    expect(rows).to_have_count(5)
    expect(rows.filter(has_text="fake-fetched")).to_have_count(0)
    choose(view, "Licence", "Apache-2.0")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("fake-good")


SCORES = """
    SELECT cell.upscaler, picture.name, score.numbers ->> 'psnr_db' FROM score
    JOIN cell ON cell.id = score.cell_id JOIN picture ON picture.id = cell.picture_id JOIN dataset ON dataset.id = picture.dataset_id
    WHERE dataset.name = ? AND score.protocol = ?
"""


def test_every_form_comes_on_a_slow_line(view: ComparePage) -> None:
    """One message after another: had a click the page drawn anew first, the file that it asks for would be forgotten by then."""

    def slow(line: WebSocketRoute) -> None:
        server = line.connect_to_server()
        free = 0.0

        def later(message: str | bytes) -> None:
            nonlocal free
            free = max(free, time.monotonic()) + 1
            view.page.wait_for_timeout((free - time.monotonic()) * 1000)
            server.send(message)

        line.on_message(later)

    view.page.route_web_socket("**/_stcore/stream", slow)
    view.open("/")
    go_to_leaderboard(view)
    for name, ending in (("CSV", "csv"), ("JSON", "json"), ("Markdown", "md"), ("LaTeX", "tex")):
        with view.page.expect_download() as download:
            view.page.get_by_role("button", name=name).click()
        assert download.value.suggested_filename == f"leaderboard.{ending}"


def test_the_csv_has_the_means_of_the_store(view: ComparePage, home: Path, tmp_path: Path) -> None:
    with view.page.expect_download() as download:
        view.page.get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "board.csv")
    with (tmp_path / "board.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * 6 * 3
    with closing(sqlite3.connect(home / "store.sqlite")) as connection:
        for line in lines:
            found = connection.execute(SCORES, (line["dataset"], line["protocol"]))
            values = [psnr_db for upscaler, _, psnr_db in found if upscaler == line["upscaler"]]
            assert len(values) == 2
            assert float(line["psnr_db_value"]) == pytest.approx(fmean(values), rel=1e-12)
