"""How quickly the compare page answers while a model runs, with 20 visitors at once.

python perf/load.py [SECONDS]

Starts a server of its own on 127.0.0.1. One visitor runs a slow model on a large picture, again and again, and follows it; the others
click at random: a scale, a sample, an upscaler, a way to count scores. They are websockets that speak Streamlit's protocol, without
browsers, so what is measured is the server: from the click to the end of the script's run. Goal: 95 % within a second.
"""

import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qs

sys.path.insert(0, str(Path(__file__).parents[1]))

import upscalers
from benchmark import jobs
from benchmark.plan import Plan
from benchmark.timing import percentile
from benchmark.workers.local_engine import LocalEngine
from tests.browser.server import ROOT, start_app
from tests.pictures import png, scene
from tests.streamlit_client import Session
from ui.upscaler_choice import OPENER

VISITORS = 20
LOAD_S = 40.0
THINK_S = (1.0, 5.0)
"""How long a person looks before the next click; drawn evenly from between."""
SLOW = {"dat-light": 512, "realesr-general-x4v3": 1024, "opencv-lapsrn": 1024, "lanczos": 2048}
"""The first of these that is ready runs meanwhile, on a picture of this side."""
POLL_S = 0.2
Wish = Callable[[Session, random.Random], Iterator[float]]
"""What a visitor is up to: one click or several, and what each took."""


def _pick(visitor: Session, dice: random.Random) -> Iterator[float]:
    yield visitor.open(OPENER)
    yield visitor.check(dice.choice(("Nearest", "Bilinear", "Lanczos")), checked=dice.random() < 0.5)
    yield visitor.shut(OPENER)


def _one_of(label: str, *options: str) -> Wish:
    def wish(visitor: Session, dice: random.Random) -> Iterator[float]:
        yield visitor.choose(label, dice.choice(options))

    return wish


WISHES: tuple[Wish, ...] = (
    _one_of("Scale", "x2", "x3", "x4"),
    _one_of("Samples", "Astronaut", "Cat", "Coffee", "Rocket"),
    _one_of("Scores", "Colour", "Luma (papers)"),
    _pick,
)


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else LOAD_S
    slow = next(name for name in SLOW if upscalers.get(name).status(4).kind == "ready")
    with tempfile.TemporaryDirectory() as home:
        root = Path(home) / "comparisons"
        job_id = _large_picture(root, SLOW[slow])
        with start_app(ROOT / "streamlit_app.py", {"UPSCALE_BENCH_HOME": home}) as app:
            others = [Session(app.url) for _ in range(VISITORS - 1)]
            _report("1 visitor, nothing runs", _clicks(others[:1], seconds / 4))
            _report(f"{VISITORS - 1} visitors, nothing runs", _clicks(others, seconds / 2))
            with Session(app.url, f"mode=as-is&job={job_id}") as runner:
                ended = threading.Event()
                running = threading.Thread(target=_keep_running, args=(runner, root, slow, ended))
                running.start()
                _report(f"{VISITORS} visitors, {slow} runs", _clicks(others, seconds))
                ended.set()
                running.join()
            for visitor in others:
                visitor.close()


def _large_picture(root: Path, side_px: int) -> str:
    """A finished comparison of a large picture; who opens it can run another upscaler on it."""
    engine = LocalEngine(root)
    try:
        plan = Plan(scale=4, upscaler_ids=["nearest"], mode="as-is", repeats=0)
        job_id = engine.submit(plan, png(scene(side_px, side_px)), name="large.png", user="perf")
        while engine.load(job_id).active:
            time.sleep(POLL_S)
    finally:
        engine.close()
    return job_id


def _keep_running(visitor: Session, root: Path, upscaler_id: str, ended: threading.Event) -> None:
    """Press Compare whenever nothing runs."""
    visitor.open(OPENER)
    visitor.check("Nearest", checked=False)
    visitor.check(upscalers.get(upscaler_id).name, checked=True)
    visitor.shut(OPENER)
    while not ended.is_set():
        visitor.press("Compare")
        job_id = parse_qs(visitor.query)["job"][0]
        while not ended.wait(POLL_S) and jobs.load(root / job_id).active:
            pass


def _clicks(visitors: Sequence[Session], seconds: float) -> list[float]:
    """What each click took, in seconds; all visitors click for so long."""
    took: list[float] = []
    until = time.monotonic() + seconds

    def click(number: int, visitor: Session) -> None:
        dice = random.Random(number)
        time.sleep(dice.uniform(0, THINK_S[1]))
        while time.monotonic() < until:
            for click_s in dice.choice(WISHES)(visitor, dice):
                took.append(click_s)
                time.sleep(dice.uniform(*THINK_S))

    threads = [threading.Thread(target=click, args=each) for each in enumerate(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def _report(what: str, took: list[float]) -> None:
    median_s, p95_s = statistics.median(took), percentile(took, 0.95)
    print(f"{what}: {len(took)} clicks; p50 {median_s:.2f} s, p95 {p95_s:.2f} s, longest {max(took):.2f} s", flush=True)


if __name__ == "__main__":
    main()
