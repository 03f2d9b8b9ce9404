"""How good the expected time and memory of a whole picture are, which the page shows after a region.

python perf/predictions.py FOLDER [UPSCALER ...]

For each picture of the folder that is larger than a region, each upscaler does the region in the middle and then the whole picture,
alone on the machine, as the page would. Prints the relative error of each prediction and the medians.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import upscalers
from benchmark import estimates
from benchmark.plan import Plan
from benchmark.regions import needs_region, region_at
from benchmark.schema import Row
from benchmark.workers.local_engine import LocalEngine
from core.image import decode

SCALE = 4
POLL_S = 0.1
QUICK = (
    "bicubic",
    "lanczos",
    "opencv-espcn",
    "opencv-fsrcnn",
    "opencv-lapsrn",
    "realesr-general-x4v3",
    "realesr-animevideov3",
    "dat-light",
)


def main() -> None:
    """Measure and print."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    ids = [name for name in sys.argv[2:] or QUICK if upscalers.get(name).status(SCALE).kind == "ready"]
    time_errors: list[float] = []
    memory_errors: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        engine = LocalEngine(Path(folder))
        try:
            for path in sorted(Path(sys.argv[1]).iterdir()):
                _measure(engine, path, ids, time_errors, memory_errors)
        finally:
            engine.close()
    print(
        f"median error: time {statistics.median(time_errors):.0%}, memory {statistics.median(memory_errors):.0%} ({len(time_errors)} runs)"
    )


def _measure(engine: LocalEngine, path: Path, ids: list[str], time_errors: list[float], memory_errors: list[float]) -> None:
    source = path.read_bytes()
    picture = decode(source, name=path.name)
    if not needs_region(picture.width, picture.height, "restore"):
        return
    for name in ids:
        spec = upscalers.get(name)
        region = region_at(0.5, 0.5, picture.width, picture.height, "restore")
        small = _run(engine, Plan(scale=SCALE, upscaler_ids=[name], region=region), source)
        size = picture.height // SCALE, picture.width // SCALE
        pixels = estimates.processed_pixels(spec, SCALE, *size)
        region_pixels = estimates.processed_pixels(spec, SCALE, region.height // SCALE, region.width // SCALE)
        expected_s = (small.warm_p50_s or small.first_s or 0.0) * pixels / region_pixels
        expected_mib = estimates.expected_memory_mib(spec, SCALE, small.runtime, small.precision, *size)
        whole = _run(engine, Plan(scale=SCALE, upscaler_ids=[name]), source)
        took_s = whole.warm_p50_s or whole.first_s
        assert took_s is not None
        assert whole.peak_rss_mib is not None
        assert expected_mib is not None
        time_errors.append(abs(expected_s / took_s - 1))
        memory_errors.append(abs(expected_mib / whole.peak_rss_mib - 1))
        print(
            f"{path.stem:>12} {name:<22} {picture.width}x{picture.height}: expected {expected_s:8.3f} s {expected_mib:6.0f} MiB, "
            f"took {took_s:8.3f} s {whole.peak_rss_mib:6.0f} MiB{' contended' if small.contended or whole.contended else ''}",
            flush=True,
        )


def _run(engine: LocalEngine, plan: Plan, source: bytes) -> Row:
    job_id = engine.submit(plan, source, name="picture", user="perf")
    while engine.load(job_id).active:
        time.sleep(POLL_S)
    row = engine.load(job_id).rows[0]
    if row.status != "ok":
        sys.exit(f"{row.upscaler}: {row.status}: {row.reason}")
    return row


main()
