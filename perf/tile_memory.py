"""What a tile of each network needs: the numbers of `tile_mib_per_mp` in the registry.

python perf/tile_memory.py [UPSCALER ...] [--runtime torch]

Each network runs one tile of its own size in f32 on the CPU, on each of its runtimes, in a process of its own. Printed is the growth of
that process during the call, without picture and result, over the megapixels of the tile. Networks whose weights are not at hand get
random numbers in the published sizes; memory does not depend on them.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

import upscalers
from core.settings import MIB
from tests import networks
from upscalers.spec import UpscalerSpec

BLOCKS = {"realesrgan-x4plus-anime-6b": 6}
"""Depth of an RRDBNet where it is not the usual one."""
USUAL_BLOCKS = 23
CONVOLUTIONS = {"realesr-general-x4v3": 32, "realesr-animevideov3": 16}
"""Depth of the compact networks."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("upscalers", nargs="*")
    parser.add_argument("--runtime", help="only this one")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("home", "weights"):
            (Path(folder) / name).mkdir()
        os.environ["UPSCALE_BENCH_HOME"] = str(Path(folder) / "home")
        given = os.environ.get("UPSCALE_BENCH_WEIGHTS", "")
        os.environ["UPSCALE_BENCH_WEIGHTS"] = os.pathsep.join(filter(None, [given, str(Path(folder) / "weights")]))
        for spec in upscalers.registry():
            if spec.tiling and not spec.stochastic and (not asked.upscalers or spec.id in asked.upscalers):
                for scale in spec.tiling:
                    _measure_all(spec, scale, Path(folder) / "weights", asked.runtime)


def _measure_all(spec: UpscalerSpec, scale: int, folder: Path, only: str | None) -> None:
    made = _make_weights(spec, scale, folder)
    found = {}
    for runtime in [only] if only else spec.runtimes:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found[runtime] = pool.apply(_measured, (spec.id, scale, runtime))
    texts = [f"{runtime} {mib_per_mp:7,.0f} MiB/MP ({work_mib:,.0f} MiB)" for runtime, (work_mib, mib_per_mp) in found.items()]
    print(f"{spec.id} x{scale}, tile of {spec.tiling[scale].tile_px}: {', '.join(texts)}{' (random)' if made else ''}", flush=True)


def _measured(upscaler_id: str, scale: int, runtime: str) -> tuple[float, float]:
    """MiB of one call beside the network and its pictures, and the same for each megapixel of the tile."""
    from benchmark.workers.worker import ModelBench, ModelKey
    from runtimes.base import usable_cores
    from upscalers.preparing import is_to_be_prepared, prepare

    spec = upscalers.get(upscaler_id)
    if runtime == "openvino" and is_to_be_prepared(spec, scale, {}):
        prepare(spec, scale, {})
    bench = ModelBench()
    side = spec.tiling[scale].tile_px
    options = tuple(sorted(spec.options({}).items()))
    key = ModelKey(upscaler_id, scale, runtime, "f32", usable_cores(), options, (), tile_px=side)

    def progress(done: int, total: int) -> None:
        pass

    bench.load(key, progress=progress)
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    # As in the app, where nothing has run in the process before.
    called = bench.call(key, "", picture, None, progress=progress)
    assert called.peak_rss_mib is not None
    assert called.base_rss_mib is not None
    work_mib = called.peak_rss_mib - called.base_rss_mib - 3 * side**2 * (1 + scale**2) / MIB
    return work_mib, work_mib / (side**2 / 1e6)


def _make_weights(spec: UpscalerSpec, scale: int, folder: Path) -> bool:
    """Write random weights where there are none; whether that was done."""
    missing = spec.status(scale).kind != "ready"
    if missing:
        path = folder / spec.weights[scale][0].name
        if spec.id.startswith("dat"):
            networks.write_dat(path, scale=scale, upscaler_id=spec.id, shallow=False)
        elif spec.id in CONVOLUTIONS:
            networks.write_compact(path, scale=scale, convolutions=CONVOLUTIONS[spec.id])
        elif spec.id.endswith("-bam"):
            networks.write_residual(path, upscaler_id=spec.id, scale=scale, shallow=False)
        elif spec.id == "opencv-edsr":
            networks.write_edsr_graph(path, scale=scale)
        else:
            networks.write_rrdbnet(path, scale=scale, blocks=BLOCKS.get(spec.id, USUAL_BLOCKS), unshuffle=scale == 2)
    return missing


if __name__ == "__main__":
    main()
