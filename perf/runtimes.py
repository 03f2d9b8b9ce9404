"""Each PyTorch network on each runtime, interleaved in one process on the same pixels and the same tiles.

python perf/runtimes.py [UPSCALER[@xSCALE] ...] [--side PX] [--threads N] [--rounds N] [--cpu-time]

The yardstick is the published code in PyTorch's eager mode. Printed for each: the median time, how many times as fast that is, which
share of the time the matrix products alone would take (GFLOP counted by PyTorch over the machine's matrix rate, measured in the same
rounds), and the largest difference of a pixel. `--cpu-time` counts processor time instead of wall time: on a busy machine, with
`--threads 1`, ratios hold all the same.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

sys.path.insert(0, str(Path(__file__).parents[1]))

if TYPE_CHECKING:
    import torch

    from runtimes.base import Precision
    from upscalers.base import NetworkUpscaler

PUBLISHED = "published code"


@dataclass
class Contender:
    """One network on one runtime."""

    name: str
    upscaler: "NetworkUpscaler"
    seconds: list[float] = field(default_factory=list)
    difference: int = 0


class PlainSession:
    """A module as it was published, in eager mode, nothing tuned."""

    device_name = "CPU"

    def __init__(self, module: "torch.nn.Module") -> None:
        self.module = module

    def expect(self, height: int, width: int) -> None:
        """See `runtimes.base.Session.expect`: nothing depends on the size."""

    def run(self, batch: Any) -> Any:  # noqa: ANN401 - arrays, as in `runtimes.base.Session`
        """See `runtimes.base.Session.run`."""
        import torch

        with torch.inference_mode():
            return self.module(torch.from_numpy(batch)).numpy()

    def peak_vram_mib(self) -> None:
        """A CPU has none."""

    def close(self) -> None:
        """Nothing to release."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("upscalers", nargs="*", help="ids, with a scale after @x; by default all that are ready")
    parser.add_argument("--side", type=int, default=128, help="of the square picture, in pixels")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu-time", action="store_true")
    arguments = parser.parse_args()
    if arguments.threads:
        # NumPy's library reads it when it is imported.
        os.environ["OPENBLAS_NUM_THREADS"] = str(arguments.threads)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    print(f"{'upscaler':<26} {'runtime':<16} {'median':>9} {'ratio':>6} {'of roofline':>11} {'difference':>10}")
    for name in arguments.upscalers or _ready():
        upscaler_id, _, scale = name.partition("@x")
        _compare(upscaler_id, int(scale or 0), arguments.side, arguments.threads, arguments.rounds, clock)


def _ready() -> list[str]:
    import upscalers
    from upscalers.preparing import can_prepare

    able = [spec for spec in upscalers.registry() if can_prepare(spec)]
    return [f"{spec.id}@x{scale}" for spec in able for scale in spec.scales if spec.status(scale).kind == "ready"]


def _compare(upscaler_id: str, scale: int, side: int, threads: int, rounds: int, clock: Callable[[], float]) -> None:
    import numpy as np

    import upscalers
    from runtimes.base import usable_cores
    from runtimes.speed import matrix_gflops

    scale = scale or upscalers.get(upscaler_id).scales[0]
    rows, columns = np.mgrid[:side, :side]
    smooth = 128 + 80 * np.sin(rows / 7)[..., None] * np.cos(columns[..., None] / np.array([5, 9, 13]))
    picture = (smooth + np.random.default_rng(0).normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)
    contenders = _contenders(upscaler_id, scale, threads or usable_cores())
    gflop = _gflop(cast("PlainSession", contenders[0].upscaler.session).module, contenders[0].upscaler, side)
    rates: list[float] = []
    reference = None
    # The first round warms up.
    for number in range(rounds + 1):
        rates.append(_matrix_rate(matrix_gflops, clock))
        for contender in contenders:
            started = clock()
            result = contender.upscaler(picture).astype(int)
            seconds = clock() - started
            if reference is None:
                reference = result
            contender.difference = max(contender.difference, int(np.abs(result - reference).max()))
            if number:
                contender.seconds.append(seconds)
    rate = statistics.median(rates)
    base = statistics.median(contenders[0].seconds)
    for contender in contenders:
        typical = statistics.median(contender.seconds)
        share = f"{gflop / rate / typical:.0%}" if not contender.name.endswith("bf16") else ""
        print(
            f"{upscaler_id + f' x{scale}':<26} {contender.name:<16} {typical * 1000:7.0f} ms {base / typical:6.2f} {share:>11}"
            f" {contender.difference:>10}",
            flush=True,
        )
    print(f"{'':<26} {gflop:.1f} GFLOP in all, {rate:.0f} GFLOP/s")
    for contender in contenders:
        contender.upscaler.unload()


def _matrix_rate(matrix_gflops: Callable[[], float], clock: Callable[[], float]) -> float:
    """The matrix rate by the same clock as the networks: on a busy machine both are slower by the wall."""
    started, wall = clock(), time.perf_counter()
    rate = matrix_gflops()
    return rate * (time.perf_counter() - wall) / (clock() - started)


def _contenders(upscaler_id: str, scale: int, threads: int) -> list[Contender]:
    import upscalers
    from core.errors import UnavailableError
    from runtimes import RUNTIMES
    from runtimes.base import Placement
    from runtimes.conversion import convert
    from upscalers.base import NetworkUpscaler

    def made() -> "NetworkUpscaler":
        upscaler = upscalers.create(upscaler_id, scale)
        assert isinstance(upscaler, NetworkUpscaler)
        return upscaler

    source = made().needs_conversion("openvino")
    if source is None:
        sys.exit(f"{upscaler_id} is no PyTorch network.")
    refused = convert(source, made().small_sizes()).refused
    published = made().load("torch", Placement(device="cpu", threads=threads))
    published._session = PlainSession(_published(published))
    contenders = [Contender(PUBLISHED, published)]
    runtimes = ("torch",) if refused else ("torch", "openvino")
    ways: list[tuple[str, Precision]] = [(runtime, precision) for precision in ("f32", "bf16") for runtime in runtimes]
    for runtime, precision in ways:
        if RUNTIMES.get(runtime).unavailable_reason() is not None:
            continue
        try:
            upscaler = made().load(runtime, Placement(device="cpu", precision=precision, threads=threads))
        except UnavailableError as error:
            print(f"{upscaler_id}, {runtime} {precision}: {error}", file=sys.stderr)
            continue
        contenders.append(Contender(f"{runtime} {precision}", upscaler))
    return contenders


def _published(upscaler: "NetworkUpscaler") -> "torch.nn.Module":
    """The network without what this project changes in it."""
    from spandrel import ModelLoader

    from upscalers.spandrel_models import SpandrelUpscaler
    from upscalers.state_dicts import read_state_dict

    if isinstance(upscaler, SpandrelUpscaler):
        return ModelLoader(device="cpu").load_from_state_dict(read_state_dict(upscaler.weights[0].path)).model.float().eval()
    module = upscaler._source().module
    assert module is not None
    return module()


def _gflop(module: "torch.nn.Module", upscaler: "NetworkUpscaler", side: int) -> float:
    """Products and sums of all tiles together, as PyTorch counts them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from runtimes.tiling import plan_tiles

    total = 0.0
    with torch.inference_mode():
        for tile in plan_tiles(side, side, upscaler.tiling()):
            counter = FlopCounterMode(display=False)
            with counter:
                module(torch.zeros(1, 3, tile.y1 - tile.y0, tile.x1 - tile.x0))
            total += counter.get_total_flops() / 1e9
    return total


if __name__ == "__main__":
    main()
