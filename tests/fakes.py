"""Upscalers that behave well or badly on purpose. They enter the registry through `UPSCALE_BENCH_PLUGINS=tests.fakes`."""

import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.errors import OutOfMemoryError
from core.image import RGB8
from core.settings import settings
from core.weight_sources import Source, SourceError, Transfer
from core.weights import WeightFile
from runtimes.base import Placement
from runtimes.tiling import Tiling
from upscalers.base import Upscaler, to_levels
from upscalers.parameters import Parameter
from upscalers.spec import UpscalerSpec

MIB = 1024 * 1024


def repeat_pixels(tile: RGB8, scale: float) -> RGB8:
    """Nearest neighbour by hand: what a well-behaved fake gives."""
    return tile.repeat(int(scale), axis=0).repeat(int(scale), axis=1)


class Fake(Upscaler):
    """Repeats pixels, after doing what its family member is about."""

    before = staticmethod(lambda _: None)

    def _load(self, runtime: str, placement: Placement) -> None:
        pass

    def _unload(self) -> None:
        pass

    def _forward(self, tile: RGB8, seed: int | None) -> RGB8:
        self.before(self)
        return repeat_pixels(tile, self.scale)


def _fill_memory(_: Upscaler) -> None:
    hoard = []
    while True:
        hoard.append(np.ones(64 * MIB, np.uint8))
        time.sleep(0.01)


def _nan(_: Upscaler) -> None:
    to_levels(np.full((2, 2), np.nan, np.float32))


def _chatter(_: Upscaler) -> None:
    # More than any pipe holds, on the file descriptor itself.
    os.write(1, b"x" * 300_000)


class Hungry(Upscaler):
    """Wants more memory than there is, already while loading."""

    def _load(self, runtime: str, placement: Placement) -> None:
        _fill_memory(self)

    def _forward(self, tile: RGB8, seed: int | None) -> RGB8:
        return tile

    def _unload(self) -> None:
        pass


class Wide(Fake):
    """Runs out of memory when a tile has more pixels than a square of 64."""

    def _forward(self, tile: RGB8, seed: int | None) -> RGB8:
        if tile.shape[0] * tile.shape[1] > 64**2:
            raise OutOfMemoryError("Out of memory: choose smaller tiles, a smaller picture or a region.")
        return repeat_pixels(tile, self.scale)


class Once(Fake):
    """Crashes until its file `UPSCALE_BENCH_HOME/calm` is there."""

    def _forward(self, tile: RGB8, seed: int | None) -> RGB8:
        if not (settings().home / "calm").exists():
            os.abort()
        return repeat_pixels(tile, self.scale)


@dataclass(frozen=True)
class Made(Source):
    """Gives 5 MB without a network.

    While `UPSCALE_BENCH_HOME/no weights` is there it gives none, while `half the weights` is there only the first 2 MB.
    """

    needs_network: ClassVar[bool] = False

    @property
    def origin(self) -> str:
        return "made by a test"

    def download(self, transfer: Transfer) -> None:
        if (settings().home / "no weights").exists():
            raise SourceError("the server answered 404 Not Found")
        transfer.begin(total=5 * 10**6)
        transfer.write(bytes(2 * 10**6))
        while (settings().home / "half the weights").exists():
            transfer.pause(0.05)
        transfer.write(bytes(3 * 10**6))


class Fetched(Fake):
    """Needs a weight file."""

    def _load(self, runtime: str, placement: Placement) -> None:
        self._locate(self.spec.required_weights(self.scale))


def _raise(_: Upscaler) -> None:
    raise RuntimeError("a defect with a /secret/path in its text")


def _fake(spec_id: str, before: Callable[[Upscaler], object], *, runtime: str = "opencv", tiling: Tiling | None = None) -> UpscalerSpec:
    family = type(f"Fake_{spec_id}", (Fake,), {"before": staticmethod(before)})
    return UpscalerSpec(
        id=spec_id,
        name=spec_id,
        group="CNN",
        summary="A fake.",
        aim="faithful",
        scales=(2, 3, 4, 8),
        runtimes=(runtime,),
        license="Apache-2.0",
        reference="https://example.org",
        tiling=dict.fromkeys((2, 3, 4, 8), tiling) if tiling else {},
        parameters=(Parameter(name="sleep", label="Sleep", default=0.0, minimum=0.0, maximum=60.0, help="Seconds per tile."),),
        build=family,
    )


SPECS = (
    _fake("fake-good", lambda self: time.sleep(float(self.options["sleep"]))),
    _fake("fake-tiled", lambda self: time.sleep(float(self.options["sleep"])), tiling=Tiling(16, 2)),
    _fake("fake-chatty", _chatter),
    dataclasses.replace(_fake("fake-hungry", _chatter), build=Hungry),
    _fake("fake-crash", lambda _: os.abort()),
    _fake("fake-exit", lambda _: os._exit(7)),
    _fake("fake-hang", lambda _: time.sleep(3600)),
    _fake("fake-greedy", _fill_memory),
    _fake("fake-nan", _nan),
    _fake("fake-defect", _raise),
    dataclasses.replace(_fake("fake-wide", _chatter, tiling=Tiling(512, 8)), build=Wide),
    dataclasses.replace(_fake("fake-once", _chatter), build=Once),
    dataclasses.replace(
        _fake("fake-fetched", _chatter),
        build=Fetched,
        weights=dict.fromkeys((2, 3, 4, 8), (WeightFile(name="fetched.bin", source=Made(), sha256=None, size_bytes=5 * 10**6),)),
    ),
)
