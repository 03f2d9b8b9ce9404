"""Whether the server's memory stays flat over many comparisons.

python perf/server_memory.py [COMPARISONS]

Starts a server of its own on 127.0.0.1. A visitor, without a browser, compares the first sample by the interpolators, one comparison
after the other, and follows each on the page. Prints the resident memory of the web server and of its worker host, and the growth of
both for each comparison after the first 20, as the slope of a straight line through them. Goal: no growth.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmark import jobs
from core.settings import MIB
from tests.browser.server import ROOT, start_app
from tests.streamlit_client import Session
from ui.upscaler_choice import OPENER

COMPARISONS = 200
WARM_UP = 20
PICKS = ("Nearest", "Bilinear", "Bicubic", "Lanczos")
OTHERS = ("LapSRN", "ESPCN", "Real-ESRGAN general", "DAT light")
"""What may be chosen unasked and is left out."""
POLL_S = 0.02


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COMPARISONS
    with tempfile.TemporaryDirectory() as home, start_app(ROOT / "streamlit_app.py", {"UPSCALE_BENCH_HOME": home}) as app:
        server = psutil.Process(app.pid)
        host = next(child for child in server.children() if "benchmark.workers.host" in child.cmdline())
        processes = {"web server": server, "worker host": host}
        memory_mib: dict[str, list[float]] = {name: [] for name in processes}
        with Session(app.url) as visitor:
            visitor.open(OPENER)
            for name in OTHERS:
                if name in visitor.widgets:
                    visitor.check(name, checked=False)
            for name in PICKS:
                visitor.check(name, checked=True)
            visitor.shut(OPENER)
            for number in range(1, count + 1):
                visitor.press("Compare")
                directory = Path(home) / "comparisons" / parse_qs(visitor.query)["job"][0]
                while jobs.load(directory).active:
                    time.sleep(POLL_S)
                for name, process in processes.items():
                    memory_mib[name].append(process.memory_info().rss / MIB)
                if number % WARM_UP == 0:
                    print(f"{number:4}: " + ", ".join(f"{name} {values[-1]:.1f} MiB" for name, values in memory_mib.items()), flush=True)
        for name, values in memory_mib.items():
            after = values[WARM_UP:]
            slope_mib = statistics.linear_regression(range(len(after)), after).slope
            print(f"{name}: {slope_mib * 1024:+.0f} KiB for each comparison after the first {WARM_UP}, {slope_mib / after[0]:+.3%}")


if __name__ == "__main__":
    main()
