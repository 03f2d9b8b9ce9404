"""What more workers are worth: python perf/ray_scaling.py [--pictures 60] [--upscaler opencv-lapsrn] [--write].

A run over the same pictures by one worker on one core, then by two on two, and so on, each worker with one thread; by processes of this
machine and by a Ray cluster on it, in turns. Counted are results per second from the first result on. With `--write` the table goes to
perf/results/ and into docs/cluster.md.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import upscalers
from core.marked_text import fill
from perf.dataset_run import SCALE, SIZE, dataset_run, make_pictures
from perf.written import ROOT, keep, machine_name
from runtimes.base import usable_cores

ROUNDS = 3
MARKS = ("<!-- scaling: begin -->", "<!-- scaling: end -->")
CLUSTER = {"address": None, "allow_open": False}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--upscaler", default="opencv-lapsrn")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    machine, cores = machine_name(), usable_cores()
    rates: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as home:
        os.environ["UPSCALE_BENCH_HOME"] = home
        # A cluster of this user's own is none of our business.
        os.environ.pop("RAY_ADDRESS", None)
        folder = Path(home) / "pictures"
        folder.mkdir()
        make_pictures(folder, asked.pictures)
        for turn in range(ROUNDS):
            for workers in range(1, cores + 1):
                for engine, cluster in (("local", None), ("ray", CLUSTER)):
                    rate = asked.pictures / _steady_s(folder, f"{engine}-{workers}-{turn}", asked.upscaler, workers, cluster)
                    rates.setdefault((engine, workers), []).append(rate)
                    print(f"{engine}, {workers} workers: {rate:.2f}/s", file=sys.stderr, flush=True)
    lines = [
        f"{machine}. {upscalers.get(asked.upscaler).name} x{SCALE} over {asked.pictures} pictures of {SIZE[0]}x{SIZE[1]}, read, shrunk, "
        f"enlarged and scored; one thread and one core for each worker; medians of {ROUNDS} runs in turns.",
        "",
        "| Engine | Workers | Results per second | Against one worker | Of what more cores could give |",
        "|---|---:|---:|---:|---:|",
    ]
    for (engine, workers), seen in sorted(rates.items()):
        gain = statistics.median(seen) / statistics.median(rates[engine, 1])
        lines.append(f"| {engine} | {workers} | {statistics.median(seen):.2f} | {gain:.2f}x | {gain / workers:.0%} |")
    text = "\n".join(lines) + "\n"
    if not asked.write:
        print(text)
        return
    keep("scaling", text, readme=False)
    fill(ROOT / "docs" / "cluster.md", *MARKS, text)


def _steady_s(folder: Path, name: str, upscaler: str, workers: int, cluster: dict[str, object] | None) -> float:
    """Seconds that all pictures take, the start left out, with as many cores as workers."""
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(every)[:workers])
    try:
        return dataset_run(folder, name, (upscaler,), workers=workers, cluster=cluster)[0]
    finally:
        os.sched_setaffinity(0, every)


if __name__ == "__main__":
    main()
