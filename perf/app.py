"""What the app itself costs: until the server answers and the page stands, and beside the models' own times.

python perf/app.py [--rounds N] [--readme]

Start-up: a fresh server on 127.0.0.1, then a fresh visit by Chromium; from the command to the health check, and from opening the address
to the heading, the uploader and the first picture. Goals: 2 s, and 2 s for heading and uploader.

A comparison: every quick upscaler that is ready, on a photo of 1.2 megapixels, shrunk by 4; once with processes that start and once with
models in memory. What it took in all is set against what the models reported of themselves: import, load and every call. The rest is
the app's: shrinking, handing pictures over, scoring, saving. Goal: 5 % and 50 ms.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import Browser

import upscalers
from benchmark import jobs
from benchmark.plan import Plan
from benchmark.schema import Row
from benchmark.workers.local_engine import LocalEngine
from perf.written import keep, machine_name
from tests.browser.chromium import start_chromium
from tests.browser.server import ROOT, start_app
from tests.pictures import png, scene
from ui.expected import expected_call_s

SCALE = 4
SIDES = (1280, 960)
QUICK_S = 3.0
"""Slower upscalers would drown what is looked for."""
WARM_UP_S = 15.0
POLL_S = 0.1
"""Asked more often, the asking itself would take a core from what is measured."""
WAIT_MS = 30_000
MARKS = {"the heading": "h1", "the uploader": "[data-testid=stFileUploader]", "the first picture": ".caption"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--readme", action="store_true", help="put the tables into README.md")
    asked = parser.parse_args()
    with start_chromium() as browser:
        seen = [_start(browser) for _ in range(asked.rounds)]
    lines = [f"{machine_name()}.", "", "| Until | Median | From | To |", "|---|---:|---:|---:|"]
    for name in seen[0]:
        took = sorted(each[name] for each in seen)
        lines.append(f"| {name} | {statistics.median(took):.2f} s | {took[0]:.2f} s | {took[-1]:.2f} s |")
    head = "A photo of 1.2 MP through all quick upscalers | Upscalers | Calls | In all | Their own | The app's"
    lines += ["", f"| {head} |", "|---|---:|---:|---:|---:|---:|"]
    with tempfile.TemporaryDirectory() as home:
        os.environ["UPSCALE_BENCH_HOME"] = home
        engine = LocalEngine(warm_up=True)
        try:
            # As a server does before somebody has chosen a picture.
            engine.start()
            time.sleep(WARM_UP_S)
            # In the second comparison what was converted behind the first still starts.
            for state in ("processes start", None, *["models in memory"] * asked.rounds):
                line = _compare(engine)
                lines += [f"| {state} | {line} |"] if state else []
        finally:
            engine.close()
    keep("app", "\n".join(lines) + "\n", readme=asked.readme)


def _start(browser: Browser) -> dict[str, float]:
    """Seconds of one start and one visit."""
    with tempfile.TemporaryDirectory() as home:
        started = time.monotonic()
        with start_app(ROOT / "streamlit_app.py", {"UPSCALE_BENCH_HOME": home}) as app:
            took = {"the server answers": time.monotonic() - started}
            with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
                page = context.new_page()
                opened = time.monotonic()
                page.goto(app.url, wait_until="commit")
                for name, selector in MARKS.items():
                    page.locator(selector).first.wait_for(state="visible", timeout=WAIT_MS)
                    took[name] = time.monotonic() - opened
    return took


def _compare(engine: LocalEngine) -> str:
    height, width = SIDES[1] // SCALE, SIDES[0] // SCALE
    ready = [spec for spec in upscalers.registry() if spec.status(SCALE).kind == "ready"]
    quick = [spec.id for spec in ready if (expected_call_s(spec, SCALE, (height, width)) or QUICK_S) < QUICK_S]
    picture = png(scene(SIDES[0], SIDES[1]))
    started = time.monotonic()
    job_id = engine.submit(Plan(scale=SCALE, upscaler_ids=quick), picture, name="photo.png", user="perf")
    while engine.load(job_id).active:
        time.sleep(POLL_S)
    wall_s = time.monotonic() - started
    job = jobs.load(engine.directory(engine.load(job_id)))
    own_s = sum(_own_s(row) for row in job.rows)
    added_s = wall_s - own_s
    calls = sum(row.repeats + 1 for row in job.rows)
    return f"{len(job.rows)} | {calls} | {wall_s:.2f} s | {own_s:.2f} s | {added_s:.2f} s ({added_s / own_s:.0%})"


def _own_s(row: Row) -> float:
    started = 0.0 if row.was_warm else (row.import_s or 0.0) + (row.load_s or 0.0)
    return started + (row.first_s or 0.0) + row.repeats * (row.warm_p50_s or 0.0)


if __name__ == "__main__":
    main()
