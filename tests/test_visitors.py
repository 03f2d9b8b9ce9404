"""Visitors over real websockets: many at once, and many comparisons one after the other. How quick that is stands in perf/."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import psutil
import pytest

from benchmark import jobs
from tests.browser.server import ROOT, RunningApp, start_app
from tests.engine_helpers import wait_until
from tests.streamlit_client import Session

VISITORS = 6
COMPARISONS = 20
WARM_UP = 8
GROWTH_MIB = 25.0
"""A comparison that is kept in the server, pictures and all, is 4 MiB or more."""


@pytest.fixture
def app(own_home: Path) -> Iterator[RunningApp]:
    with start_app(ROOT / "streamlit_app.py", {"UPSCALE_BENCH_HOME": str(own_home), "UPSCALE_BENCH_WARM_UP": "0"}) as running:
        yield running


def test_each_of_many_visitors_gets_what_he_clicked(app: RunningApp) -> None:
    visitors = [Session(app.url) for _ in range(VISITORS)]
    scales = ["x2", "x3", "x4", "x8", "x2", "x3"]

    def click(visitor: Session, scale: str) -> None:
        for _ in range(3):
            visitor.choose("Scale", scale)

    threads = [threading.Thread(target=click, args=each) for each in zip(visitors, scales, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for visitor, scale in zip(visitors, scales, strict=True):
        # The line that stands for the set-up on a phone.
        summary = [label for label in visitor.widgets if re.match(r"Astronaut, x\d, ", label)]
        assert summary[-1].startswith(f"Astronaut, {scale}, ")
        visitor.close()
    assert "Traceback" not in app.log()


@pytest.mark.long
def test_the_server_does_not_grow_with_each_comparison(app: RunningApp, own_home: Path) -> None:
    memory_mib = []
    with Session(app.url) as visitor:
        visitor.open("Choose upscalers")
        for name in ("LapSRN", "ESPCN", "Real-ESRGAN general", "DAT light"):
            if name in visitor.widgets:
                visitor.check(name, checked=False)
        for _ in range(COMPARISONS):
            visitor.press("Compare")
            directory = own_home / "comparisons" / parse_qs(visitor.query)["job"][0]
            wait_until(lambda directory=directory: not jobs.load(directory).active, 60)
            memory_mib.append(psutil.Process(app.pid).memory_info().rss / 2**20)
    assert len(list((own_home / "comparisons").iterdir())) == COMPARISONS
    assert memory_mib[-1] - memory_mib[WARM_UP] < GROWTH_MIB
