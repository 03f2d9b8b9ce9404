"""How smoothly the viewer moves a pair of 4096x4096 pictures in Chromium: `python perf/viewer_frames.py`.

Starts the app, enlarges a 1024x1024 picture four times by the interpolators, opens the comparison, and pans, splits and zooms for a
few seconds each. Prints the times between two frames, and what the browser's renderer holds in memory. Without a GPU the browser
draws on the processor, so a visitor's machine is hardly slower than this.
"""

import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmark.plan import Plan  # noqa: E402
from benchmark.workers.local_engine import LocalEngine  # noqa: E402 - the path is set above
from tests.browser.chromium import settle, start_chromium  # noqa: E402
from tests.browser.server import start_app  # noqa: E402

SIDE_PX, SCALE = 1024, 4
UPSCALERS = ["nearest", "bilinear", "bicubic", "lanczos"]
GESTURE_S = 4.0
RECORD = """() => {
  window.frames_ms = [];
  let before = performance.now();
  const next = (now) => { window.frames_ms.push(now - before); before = now; window.recording = requestAnimationFrame(next); };
  window.recording = requestAnimationFrame((now) => { before = now; window.recording = requestAnimationFrame(next); });
}"""
STOP = "() => { cancelAnimationFrame(window.recording); return window.frames_ms; }"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as home:
        job_id = _enlarge(Path(home))
        with start_app(ROOT / "streamlit_app.py", {"UPSCALE_BENCH_HOME": home}) as app, start_chromium() as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            started = time.monotonic()
            page.goto(f"{app.url}/?job={job_id}")
            page.wait_for_selector(".left-layer img", timeout=60_000)
            page.wait_for_selector(".right-layer img", timeout=60_000)
            settle(page)
            print(f"both pictures are there after {time.monotonic() - started:.1f} s")
            for zoom in ("Fit", "100 %", "200 %"):
                page.get_by_role("button", name=zoom, exact=True).click()
                page.wait_for_timeout(500)
                _report(f"pan at {zoom}", _frames(page, lambda part: _pan(page, part)))
            _report("split at 200 %", _frames(page, lambda part: _split(page, part)))
            _report("zoom", _frames(page, lambda part: _zoom(page, part)))
            print(f"renderer: {_renderer_mib():.0f} MiB")


def _enlarge(home: Path) -> str:
    """A finished comparison as it is stored."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (SIDE_PX // 8, SIDE_PX // 8, 3), np.uint8))
    file = io.BytesIO()
    coarse.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC).save(file, "PNG")
    engine = LocalEngine(home / "comparisons")
    try:
        job_id = engine.submit(Plan(scale=SCALE, upscaler_ids=UPSCALERS, mode="as-is"), file.getvalue(), name="large.png", user="perf")
        while engine.load(job_id).active:
            time.sleep(0.2)
        return job_id
    finally:
        engine.close()


def _frames(page: Page, move: Callable[[float], None]) -> list[float]:
    """Milliseconds between frames while `move` is called with the share of the gesture that is done."""
    box = page.locator(".stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2 + 200, box["y"] + box["height"] / 2)
    page.evaluate(RECORD)
    started = time.monotonic()
    while (part := (time.monotonic() - started) / GESTURE_S) < 1:
        move(part)
    page.mouse.up()
    return page.evaluate(STOP)


def _middle(page: Page) -> tuple[float, float, float, float]:
    box = page.locator(".stage").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"], box["height"]


def _pan(page: Page, part: float) -> None:
    x, y, width, height = _stage(page)
    if part < 0.01:
        page.mouse.move(x + 100, y)
        page.mouse.down()
    page.mouse.move(x + 100 + 0.3 * width * np.sin(9 * part), y + 0.3 * height * np.sin(14 * part))


def _split(page: Page, part: float) -> None:
    x, y, width, _ = _stage(page)
    if part < 0.01:
        page.mouse.move(x, y)
        page.mouse.down()
    page.mouse.move(x + 0.4 * width * np.sin(12 * part), y)


def _zoom(page: Page, part: float) -> None:
    page.mouse.wheel(0, -60 if int(part * 6) % 2 == 0 else 60)
    page.wait_for_timeout(16)


_boxes: dict[int, tuple[float, float, float, float]] = {}


def _stage(page: Page) -> tuple[float, float, float, float]:
    # Asked once: a question to the browser for each movement would slow what is measured.
    return _boxes.get(id(page)) or _boxes.setdefault(id(page), _middle(page))


def _report(what: str, frames_ms: list[float]) -> None:
    ordered = sorted(frames_ms)
    p95 = ordered[int(0.95 * len(ordered))]
    late = sum(frame > 25 for frame in frames_ms) / len(frames_ms)
    per_second = 1000 / statistics.mean(frames_ms)
    print(f"{what:16} median {statistics.median(frames_ms):5.1f} ms, p95 {p95:5.1f} ms, {per_second:4.1f} frames/s, {late:.0%} over 25 ms")


def _renderer_mib() -> float:
    """The largest renderer below this process."""
    children = psutil.Process().children(recursive=True)
    renderers = [child for child in children if "--type=renderer" in " ".join(child.cmdline())]
    return max((child.memory_info().rss for child in renderers), default=0) / 2**20


if __name__ == "__main__":
    main()
