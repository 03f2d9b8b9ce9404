"""How time and memory grow with the picture: `python perf/growth.py [--readme]`.

Photos of several sizes are shrunk, enlarged and scored by the engine, as a visitor has it done, each in a fresh engine. Time is the
model's own (the median of its warm calls; the largest pictures are called once). Memory is what the model's process needs beyond the
loaded model, and the most that it and the worker host, which scores, hold together.
Goals: at most 4.4 times the time for 4 times the pixels; a 24 MP result within 3 GB beside the model.
"""

import argparse
import io
import math
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

import upscalers
from benchmark import jobs
from benchmark.plan import Plan
from benchmark.schema import Row
from benchmark.workers.local_engine import LocalEngine
from core.errors import AppError
from core.settings import MIB
from perf.written import keep, machine_name
from upscalers.preparing import prepare

CASES = (("realesr-general-x4v3", 4, (0.375, 1.5)), ("dat-light", 2, (0.25, 1.0, 6.0)))
"""Upscaler, scale, and megapixels of the small picture."""
ONCE_ABOVE_MP = 2.0
"""Larger ones take minutes and are called once."""
POLL_S = 0.1
GOAL_TIMES, GOAL_MIB = 1.1, 3 * 1024
"""Of the growth in pixels; beside the model."""
HEAD = (
    "| Upscaler | Small picture | Result | Time | Per MP of it | Growth of time, for pixels | Model's call | With scoring |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|\n"
)


@dataclass
class Peak:
    """The most memory that was seen."""

    mib: float = 0.0


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    parser.add_argument("--most-mp", type=float, default=math.inf, help="leave out larger pictures")
    asked = parser.parse_args()
    lines = []
    for upscaler, scale, sizes_mp in CASES:
        spec = upscalers.get(upscaler)
        if reason := spec.unavailable_reason(scale):
            lines.append(f"| {spec.name} x{scale} | not measured: {reason} | | | | | | |")
            continue
        prepare(spec, scale)
        before: tuple[float, float] | None = None
        for size_mp in sizes_mp:
            if size_mp > asked.most_mp:
                continue
            row, peak_mib = _enlarge(upscaler, scale, size_mp)
            seconds = row.warm_p50_s or row.first_s or 0.0
            lines.append(_line(f"{spec.name} x{scale}", size_mp, scale, row, seconds, before, peak_mib))
            print(lines[-1], file=sys.stderr, flush=True)
            before = size_mp, seconds
    text = (
        f"{machine_name()}. Photos shrunk, enlarged and scored by the engine. The model's call: what its process needs beyond the loaded "
        "model. With scoring: the most that the model's process and the one that scores held together, model and libraries included.\n\n"
    )
    keep("growth", text + HEAD + "\n".join(lines) + "\n", readme=asked.readme)


def _line(name: str, size_mp: float, scale: int, row: Row, seconds: float, before: tuple[float, float] | None, peak_mib: float) -> str:
    assert row.width
    assert row.height
    result_mp = row.width * row.height / 1e6
    grown = "-"
    if before is not None:
        ratio, pixels = seconds / before[1], size_mp / before[0]
        grown = f"{ratio:.2f}x for {pixels:g}x" + ("" if ratio <= GOAL_TIMES * pixels else ", more than wanted")
    call_mib = (row.peak_rss_mib or 0.0) - (row.base_rss_mib or 0.0)
    call = f"{call_mib:.0f} MiB" + ("" if call_mib <= GOAL_MIB else ", more than wanted")
    return (
        f"| {name} | {size_mp:g} MP | {result_mp:.3g} MP | {seconds:.3g} s | {seconds / result_mp:.2f} s | {grown} | {call} "
        f"| {peak_mib:.0f} MiB |"
    )


def _enlarge(upscaler: str, scale: int, size_mp: float) -> tuple[Row, float]:
    """The finished row of a photo, and the peak of all processes together."""
    # Sides of 4:3 that the scale divides.
    width = round(math.sqrt(size_mp * 1e6 * 4 / 3))
    photo = _photo(width * scale, round(width * 3 / 4) * scale)
    with tempfile.TemporaryDirectory() as folder:
        engine = LocalEngine(Path(folder))
        plan = Plan(scale=scale, upscaler_ids=[upscaler], repeats=0 if size_mp > ONCE_ABOVE_MP else 2)
        try:
            engine.start()
            with _watched() as peak:
                job_id = engine.submit(plan, photo, name="photo.jpg", user="perf")
                while engine.load(job_id).active:
                    time.sleep(POLL_S)
            row = jobs.load(Path(folder) / job_id).rows[0]
        finally:
            engine.close()
    if row.status != "ok":
        raise AppError(f"{upscaler} at {size_mp:g} MP: {row.reason}")
    return row, peak.mib


@contextmanager
def _watched() -> Iterator[Peak]:
    """Watch the memory of the processes below this one that hold most: the host and the model; helpers of theirs share its pages."""
    peak, over = Peak(), threading.Event()

    def watch() -> None:
        while not over.wait(POLL_S):
            held_mib = sorted(_held_mib(), reverse=True)
            peak.mib = max(peak.mib, sum(held_mib[:2]))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def _held_mib() -> Iterator[float]:
    for process in psutil.Process().children(recursive=True):
        try:
            yield process.memory_info().rss / MIB
        except psutil.NoSuchProcess:
            continue


def _photo(width: int, height: int) -> bytes:
    """A photograph of that size as JPEG: a small one, enlarged, with fine noise so that it is no smoother than a real one."""
    from PIL import Image
    from skimage import data

    smooth = Image.fromarray(data.astronaut()).resize((width, height), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(1).integers(-6, 7, (height, width, 1), np.int16)
    pixels = (np.asarray(smooth) + noise).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


if __name__ == "__main__":
    os.environ.setdefault("UPSCALE_BENCH_HOME", str(Path(tempfile.gettempdir()) / "upscale-bench-growth"))
    main()
