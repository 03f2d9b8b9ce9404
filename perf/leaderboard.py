"""How long the leaderboard takes with many rows: `python perf/leaderboard.py [ROWS]`.

A store with so many made-up results (10,000 by default, at two scales of all upscalers that have both) is filled in a temporary home.
Then each step of the page's first view is timed in processor seconds, several times, and the least is printed: opening and reading the
store, ranking, and the page as a whole, at first and later views.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

ROWS = 10_000
SCALES = (2, 4)
TIMES = 5


def main() -> None:
    """Fill the store, time, print."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as home:
        os.environ["UPSCALE_BENCH_HOME"] = home
        fill(Path(home) / "set", rows)
        measure()


def fill(folder: Path, rows: int) -> None:
    """Write a set of tiny pictures and save a result of each upscaler for each of them, `rows` or a few less in all."""
    from PIL import Image

    import upscalers
    from benchmark.datasets.dataset import open_folder
    from benchmark.runs.cells import CellResult
    from benchmark.runs.plan import RunPlan
    from benchmark.schema import ProtocolScores
    from benchmark.storage.store import Store

    ids = [spec.id for spec in upscalers.registry() if set(SCALES) <= set(spec.scales)]
    draw = np.random.default_rng(1)
    folder.mkdir()
    for index in range(rows // (len(ids) * len(SCALES))):
        Image.fromarray(draw.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{index:04}.png")
    plan = RunPlan(datasets=(open_folder(folder),), scales=SCALES, upscaler_ids=tuple(ids))
    facts = {"processor": "Abacus 5", "cores": 2, "gpu": None, "system": "Linux"}
    with Store.open() as store:
        from sqlalchemy import update

        from benchmark.storage.database import writing
        from benchmark.storage.tables import cells

        run = store.create("perf", plan)
        with writing(store.engine) as connection:
            # What has no weights here was finished as unavailable.
            connection.execute(update(cells).values(status=None))
        results = []
        for cell in store.waiting(run):
            seconds = float(draw.uniform(0.01, 2.0))
            row = cell.row.model_copy(
                update={
                    **{"status": "ok", "reason": None, "stage": "done", "width": 500, "height": 400, "runtime_version": "Abacus 5.1"},
                    **{"first_s": seconds, "was_warm": True, "contended": False, "load_s": 0.5, "peak_rss_mib": 512.0, "device": "cpu"},
                    **{"output_mp_per_s": 1 / seconds, "lr_consistency": 40.0, "colour_shift": 0.5, "fingerprint": "f" * 16},
                }
            )
            psnr_db = [float(draw.normal(28 + len(row.upscaler) / 4, 3)) for _ in range(3)]
            row.scores = {
                protocol: ProtocolScores(mse=50.0 + value, psnr_db=value, ssim=value / 50, fingerprint="f" * 16)
                for protocol, value in zip(("rgb", "y", "y-float"), psnr_db, strict=True)
            }
            results.append(CellResult(cell.id, row, pixels_sha256="b" * 64))
        store.save(results, facts)
        print(f"{store.counts(run).done} rows")


def measure() -> None:
    """Time each step."""
    import logging

    from benchmark.ranking import statistics
    from benchmark.ranking.leaderboard import leaderboard
    from benchmark.storage.store import Store
    from tests.pages import run_page
    from ui.leaderboard import forget_rankings

    # Outside a server Streamlit warns that there is none.
    logging.disable(logging.WARNING)

    def read() -> None:
        with Store.open() as store:
            for run in store.runs():
                store.scored(run)

    def rank() -> None:
        statistics._drawn.cache_clear()
        with Store.open() as store:
            leaderboard(store)

    def visit(*, first: bool) -> Callable[[], None]:
        def run() -> None:
            if first:
                statistics._drawn.cache_clear()
                forget_rankings()
            assert not run_page("leaderboard").exception

        return run

    for name, work in {
        "open the store": lambda: Store.open().close(),
        "read all rows": read,
        "read and rank": rank,
        "page, first view": visit(first=True),
        "page, later views": visit(first=False),
    }.items():
        work()
        print(f"{name:20} {1000 * min(processor_s(work) for _ in range(TIMES)):7.0f} ms")


def processor_s(work: Callable[[], None]) -> float:
    """Seconds of processor time that a call takes, in all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
