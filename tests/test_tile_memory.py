"""The side of tiles follows from what a call may use."""

import numpy as np
import pytest

import upscalers
from core.settings import settings
from runtimes.base import Placement
from tests.pictures import noise
from upscalers.spec import UpscalerSpec

CUT = [spec for spec in upscalers.registry() if spec.tiling and not spec.stochastic]


@pytest.mark.parametrize("spec", CUT, ids=lambda spec: spec.id)
def test_every_tile_has_a_measured_need_that_fits_into_what_a_call_may_use(spec: UpscalerSpec) -> None:
    assert set(spec.tile_mib_per_mp) == set(spec.tiling)
    for scale, tiling in spec.tiling.items():
        assert 100 <= spec.tile_mib_per_mp[scale] * tiling.tile_px**2 / 1e6 <= settings().model_memory_mib
        cut = spec.cut(scale)
        assert cut is not None
        assert cut.tile_px <= tiling.tile_px


@pytest.mark.parametrize("memory_mib", [300, 600, 1200])
@pytest.mark.parametrize("spec", CUT, ids=lambda spec: spec.id)
def test_less_memory_makes_smaller_tiles(spec: UpscalerSpec, memory_mib: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_MODEL_MEMORY_MIB", str(memory_mib))
    for scale, tiling in spec.tiling.items():
        cut = spec.cut(scale)
        assert cut is not None
        needs_mib = spec.tile_mib_per_mp[scale] * cut.tile_px**2 / 1e6
        assert needs_mib <= 0.75 * memory_mib or cut.tile_px == cut.smallest_px
        assert (cut.overlap_px, cut.even) == (tiling.overlap_px, tiling.even)
        # The next larger side would be too much, or is more than was declared.
        assert spec.tile_mib_per_mp[scale] * (cut.tile_px + 32) ** 2 / 1e6 > 0.75 * memory_mib or cut.tile_px == tiling.tile_px


def test_a_side_that_somebody_asks_for_holds_whatever_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_MODEL_MEMORY_MIB", "300")
    asked = upscalers.get("opencv-lapsrn").with_tile(4, 512).cut(4)
    assert asked is not None
    assert asked.tile_px == 512


def test_tiles_that_memory_made_smaller_give_the_same_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = noise(230, 200)
    results, tiles = [], []
    for memory_mib in (3072, 256):
        monkeypatch.setenv("UPSCALE_BENCH_MODEL_MEMORY_MIB", str(memory_mib))
        with upscalers.create("opencv-lapsrn", 4).load("openvino", Placement()) as upscaler:
            results.append(upscaler(picture).astype(int))
            tiles.append(upscaler.tile_px(200, 230))
    assert tiles[0] is None
    assert tiles[1] is not None
    assert tiles[1] <= 192
    # Sums in another order may round differently.
    assert np.abs(results[0] - results[1]).max() <= 1
