"""Drive the compare page as a visitor does, and read what it shows."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chromium import settle
from playwright.sync_api import BrowserContext, Locator, Page, WebSocket, expect
from server import ROOT, RunningApp, start_app

SCRIPT = ROOT / "streamlit_app.py"
WAIT_S = 20.0
COMPARISON_S = 90.0
"""After its start the server prepares for a while, and the first comparison's times are taken when that is over."""
NAMES = {"bicubic": "Bicubic", "lanczos": "Lanczos", "opencv-espcn": "ESPCN", "opencv-fsrcnn": "FSRCNN"}
"""Upscalers that every test can run, under the names that visitors see."""


@dataclass(frozen=True)
class Site:
    """The real app, with a store of its own."""

    app: RunningApp
    home: Path

    def directory(self, job_id: str) -> Path:
        """Where a comparison is kept."""
        return self.home / "comparisons" / job_id

    def job(self, job_id: str) -> dict[str, Any]:
        """A comparison as it lies on the disk."""
        return json.loads((self.directory(job_id) / "job.json").read_bytes())

    def rows(self, job_id: str) -> dict[str, dict[str, Any]]:
        """Its rows by upscaler."""
        return {row["upscaler"]: row for row in self.job(job_id)["rows"]}

    def wait_for(self, job_id: str, holds: Callable[[dict[str, Any]], object], timeout_s: float = COMPARISON_S) -> float:
        """Wait until the comparison is as it should be; returns how long that took."""
        started = time.monotonic()
        while not holds(self.job(job_id)):
            assert time.monotonic() - started < timeout_s, f"The comparison stays {self.job(job_id)}\n{self.app.log()}"
            time.sleep(0.02)
        return time.monotonic() - started


@contextmanager
def start_site(home: Path, **env: str) -> Iterator[Site]:
    """Serve the app with the fakes among its upscalers and without a network."""
    fixed = {"UPSCALE_BENCH_HOME": str(home), "UPSCALE_BENCH_OFFLINE": "1", "UPSCALE_BENCH_PLUGINS": "tests.fakes"}
    with start_app(SCRIPT, {**fixed, **env}) as app:
        yield Site(app, home)


@dataclass
class ComparePage:
    """An open compare page."""

    site: Site
    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    sent: list[str | bytes] = field(default_factory=list)
    """What the page has told the server over its websocket, message by message."""

    def open(self, address: str = "/") -> None:
        """Go to an address of the site and wait until its page stands."""
        self.page.goto(self.site.app.url + address)
        expect(self.page.locator(".ub-table, [data-testid=stAlert]").first).to_be_visible()
        settle(self.page)

    def upload(self, picture: Path) -> None:
        """Give the page a picture, and wait until it has taken it over."""
        self.page.locator("input[type=file]").set_input_files(picture)
        expect(self.page.get_by_text(re.compile(rf"^{re.escape(picture.stem)} · \d+×\d+"))).to_be_visible()
        settle(self.page)

    def choose(self, *names: str) -> None:
        """Choose upscalers by their names, and no others."""
        self.opener.click()
        list_of_all = self.page.get_by_test_id("stPopoverBody")
        list_of_all.get_by_role("button", name="None").click()
        expect(self.chosen).to_have_text(re.compile(": 0 of "))
        # The line above is drawn before the list, whose boxes are new ones now.
        settle(self.page)
        for count, name in enumerate(names, 1):
            box = list_of_all.get_by_test_id("stCheckbox").filter(has=self.page.get_by_role("checkbox", name=name, exact=True))
            box.locator("label").first.click()
            expect(self.chosen).to_have_text(re.compile(f": {count} of "))
        self.page.keyboard.press("Escape")
        expect(list_of_all).to_be_hidden()

    def set_slider(self, label: str, key: str) -> None:
        """Press a key on one of the sliders under "More"."""
        # A page that is about to be drawn anew closes what is open.
        settle(self.page)
        self.page.get_by_role("button", name="More", exact=True).click()
        self.page.get_by_role("slider", name=label).press(key)
        self.page.keyboard.press("Escape")
        expect(self.page.get_by_test_id("stPopoverBody")).to_be_hidden()
        settle(self.page)

    def segment(self, text: str) -> None:
        """Press a segment, such as `x2` or `Upscale as is`."""
        self.page.get_by_role("radio", name=text, exact=True).click()
        expect(self.page.get_by_role("radio", name=text, exact=True)).to_be_checked()
        settle(self.page)

    @property
    def opener(self) -> Locator:
        """The button that opens the list of upscalers."""
        return self.page.get_by_role("button", name="Choose upscalers")

    @property
    def chosen(self) -> Locator:
        """The line above it, such as "Upscalers: 6 of 19"."""
        return self.page.get_by_text(re.compile(r"^Upscalers: \d+ of \d+$"))

    @property
    def compare_button(self) -> Locator:
        """The primary button, while it starts something."""
        return self.page.get_by_role("button", name=re.compile("^Compare"))

    @property
    def cancel_button(self) -> Locator:
        """The same button, while something runs."""
        return self.page.get_by_role("button", name="Cancel")

    @property
    def job_id(self) -> str | None:
        """The comparison in the address."""
        return parse_qs(urlsplit(self.page.url).query).get("job", [None])[0]

    def start(self) -> str:
        """Press the button; returns the id of the new comparison."""
        before = self.job_id
        self.compare_button.click()
        self.page.wait_for_function("(old) => ![null, old].includes(new URL(location).searchParams.get('job'))", arg=before)
        assert self.job_id is not None
        return self.job_id

    def finish(self, job_id: str) -> None:
        """Wait until the comparison has ended and the page shows all of it."""
        self.site.wait_for(job_id, lambda job: job["state"] not in ("queued", "running"))
        expect(self.compare_button).to_be_visible()
        self.wait_for_pictures(job_id)

    def wait_for_pictures(self, job_id: str) -> None:
        """Wait until the strip shows each picture that the comparison has, decoded."""
        job = self.site.job(job_id)
        names = [job["original_path"], job["downscaled_path"], *(row["output_path"] for row in job["rows"])]
        for name in filter(None, names):
            expect(self.page.locator(f".strip .picture[src$='/{job_id}/{name}']")).to_have_js_property("complete", True)

    def compare(self) -> str:
        """Start a comparison and wait for its end; returns its id."""
        job_id = self.start()
        self.finish(job_id)
        return job_id

    def tile(self, name: str) -> Locator:
        """The strip's tile with this label."""
        return self.page.locator(".tile").filter(has=self.page.locator(".name").get_by_text(name, exact=True))

    def row(self, name: str) -> Locator:
        """The table's row of an upscaler."""
        return self.page.locator(".ub-table tr").filter(has=self.page.locator("th[scope=row]", has_text=re.compile(f"^{re.escape(name)}")))

    def table(self) -> dict[str, dict[str, str]]:
        """The cells of all rows that have a picture, by upscaler and column."""
        return self.page.locator(".ub-table tbody tr:has(td[data-head])").evaluate_all(
            """rows => Object.fromEntries(rows.map((row) => [
              row.querySelector('.ub-name').textContent,
              Object.fromEntries([...row.querySelectorAll('td')].map((cell) => [cell.dataset.head, cell.textContent])),
            ]))"""
        )

    def status(self) -> Locator:
        """The sentence above the viewer."""
        return self.page.locator(".ub-status")

    def foreign_requests(self) -> list[str]:
        """Requests that went elsewhere than to the app."""
        own = urlsplit(self.site.app.url).netloc
        return [url for url in self.requests if urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).netloc != own]


def new_page(site: Site, context: BrowserContext) -> ComparePage:
    """A tab that records what goes wrong in it and whom it talks to."""
    page = context.new_page()
    page.set_default_timeout(WAIT_S * 1000)
    opened = ComparePage(site, page)
    page.on(
        "console",
        lambda message: opened.errors.append(f"{message.text} {message.location.get('url', '')}") if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))

    def keep(message: str | bytes) -> None:
        opened.sent.append(message)

    def listen(socket: WebSocket) -> None:
        opened.requests.append(socket.url)
        socket.on("framesent", keep)

    page.on("websocket", listen)
    return opened
