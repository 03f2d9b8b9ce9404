"""A dataset run against the bare loop in one process that decodes, shrinks and enlarges the same pictures and computes the same scores,
in turns.

python perf/dataset_run.py [--pictures 500]

The goal: at least 80 % of the bare loop's results per second on the same cores, everything saved, and memory that does not grow.
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image

import metrics
from benchmark.datasets.dataset import open_folder
from benchmark.degradation import crop_to_multiple, downscale
from benchmark.runs.plan import RunPlan
from benchmark.storage.store import Store
from benchmark.workers.local_engine import LocalEngine
from core.image import decode, encode_png, read_file

UPSCALERS = ("bilinear", "bicubic", "lanczos")
SCALE = 4
SIZE = (480, 320)
ROUNDS = 3
MIB = 1024 * 1024
SAMPLE_EVERY_S = 1.0
"""Looking for all processes of the machine takes ten milliseconds of what is measured."""


def make_pictures(folder: Path, count: int) -> list[Path]:
    """Smooth pictures with noise, each with pixels of its own, the size of those of BSD100."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    paths = []
    for index in range(count):
        noise = np.random.default_rng(index).normal(0, 6, (*rows.shape, 3))
        smooth = 128 + 80 * np.sin(rows / (20 + index % 37))[..., None] * np.cos(columns[..., None] / np.array([23, 41, 67]))
        paths.append(folder / f"{index:04}.png")
        paths[-1].write_bytes(encode_png((smooth + noise).clip(0, 255).astype(np.uint8)))
    return paths


def bare_loop(paths: list[Path]) -> float:
    """Seconds of the loop that anybody would write; nothing is kept."""
    started = time.perf_counter()
    for path in paths:
        picture = decode(read_file(path), name=path.name)
        original = crop_to_multiple(picture.rgb, SCALE)
        small = Image.fromarray(downscale(original, SCALE))
        for upscaler in UPSCALERS:
            result = np.asarray(small.resize((original.shape[1], original.shape[0]), Image.Resampling[upscaler.upper()]))
            metrics.score(result, original, scale=SCALE, stored_channels=picture.stored_channels)
            metrics.score_against_small(downscale(result, SCALE), np.asarray(small))
    return time.perf_counter() - started


class ProcessWatch:
    """Memory and processor time of all processes below this one, sampled."""

    def __init__(self) -> None:
        self.samples_mib: list[float] = []
        self._cpu_s: dict[int, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "ProcessWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def cpu_s(self) -> float:
        """Processor time of all of them so far, imports included."""
        return sum(self._cpu_s.values())

    def growth_mib(self) -> float:
        """Median of the last fifth less that of the second fifth: the first holds imports."""
        fifth = max(1, len(self.samples_mib) // 5)
        return statistics.median(self.samples_mib[-fifth:]) - statistics.median(self.samples_mib[fifth : 2 * fifth])

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_EVERY_S):
            total = 0
            for child in psutil.Process().children(recursive=True):
                try:
                    total += child.memory_info().rss
                    self._cpu_s[child.pid] = sum(child.cpu_times()[:2])
                except psutil.NoSuchProcess:
                    continue
            self.samples_mib.append(total / MIB)


def dataset_run(
    folder: Path, name: str, upscaler_ids: Sequence[str] = UPSCALERS, workers: int = 1, cluster: Mapping[str, object] | None = None
) -> tuple[float, float, ProcessWatch]:
    """Seconds of a run, from its first result on and with the start of all processes, and its memory."""
    started = time.perf_counter()
    plan = RunPlan(datasets=(open_folder(folder),), scales=(SCALE,), upscaler_ids=tuple(upscaler_ids))
    with Store.open() as store, ProcessWatch() as watch:
        store.create(name, plan)
        engine = LocalEngine()
        first: tuple[float, int] | None = None
        finished = 0
        try:
            for event in engine.run_dataset(name, workers=workers, cluster=cluster):
                finished = event.get("done", finished)
                if first is None and finished:
                    first = (time.perf_counter(), finished)
        finally:
            engine.close()
    now = time.perf_counter()
    assert first is not None
    total = len(upscaler_ids) * len(plan.datasets[0])
    assert finished == total, f"{finished} of {total} are done"
    return (now - first[0]) / (total - first[1]) * total, now - started, watch


def main() -> None:
    """Run both in turns and print their rates, the ratio and the growth of memory."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pictures", type=int, default=500)
    count = arguments.parse_args().pictures
    with tempfile.TemporaryDirectory() as home:
        os.environ["UPSCALE_BENCH_HOME"] = home
        folder = Path(home) / "pictures"
        folder.mkdir()
        paths = make_pictures(folder, count)
        ratios, whole = [], []
        for turn in range(ROUNDS):
            bare_cpu_s = time.process_time()
            bare_s = bare_loop(paths)
            bare_cpu_s = time.process_time() - bare_cpu_s
            steady_s, all_s, watch = dataset_run(folder, f"turn-{turn}")
            ratios.append(bare_s / steady_s)
            whole.append(bare_s / all_s)
            results = count * len(UPSCALERS)
            print(
                f"{results} results: bare loop {results / bare_s:.1f}/s, run {results / steady_s:.1f}/s ({ratios[-1]:.0%}), "
                f"with its start {results / all_s:.1f}/s ({whole[-1]:.0%})"
            )
            print(
                f"  processor time a result: {1000 * bare_cpu_s / results:.1f} ms, {1000 * watch.cpu_s / results:.1f} ms; memory "
                f"{max(watch.samples_mib):.0f} MiB at most, {watch.growth_mib():+.1f} MiB from the second fifth to the last"
            )
    print(f"median: {statistics.median(ratios):.0%} of the bare loop, {statistics.median(whole):.0%} with its start")


if __name__ == "__main__":
    main()
