"""The published tables come out: Set5, downscaled here, through the whole engine."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest

from benchmark.plan import Plan
from benchmark.workers.local_engine import LocalEngine
from tests.engine_helpers import run

INTERPOLATORS = ("nearest", "bilinear", "bicubic", "lanczos")
PSNR_TOLERANCE_DB = {True: 0.005, False: 0.01}
SSIM_TOLERANCE = {True: 0.0002, False: 0.0003}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """One engine for all pictures: models stay warm."""
    made = LocalEngine(tmp_path_factory.mktemp("comparisons"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def expected(published_sets: Path) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Means over Set5, computed by independent programs."""
    return json.loads((published_sets.parent / "docs" / "expected_set5.json").read_text())


def means(engine: LocalEngine, folder: Path, scale: int, ids: list[str]) -> dict[str, dict[str, tuple[float, float]]]:
    """PSNR and SSIM per upscaler and protocol, averaged over the pictures of a folder."""
    scores: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for path in sorted(folder.glob("*.png")):
        job = run(engine, Plan(scale=scale, upscaler_ids=ids, repeats=0), path.read_bytes(), timeout_s=240)
        for row in job.rows:
            assert row.status == "ok", row.reason
            assert row.scores is not None
            assert row.tile is None
            for protocol, values in row.scores.items():
                assert values.psnr_db is not None
                assert values.ssim is not None
                scores.setdefault(row.upscaler, {}).setdefault(protocol, []).append((values.psnr_db, values.ssim))
    return {
        name: {protocol: (fmean(psnr for psnr, _ in pairs), fmean(ssim for _, ssim in pairs)) for protocol, pairs in protocols.items()}
        for name, protocols in scores.items()
    }


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_set5_gives_the_expected_numbers(
    scale: int, engine: LocalEngine, expected, published_sets: Path, weights_at_hand: list[Path]
) -> None:
    table = expected[f"Set5/x{scale}/pillow-lr"]
    got = means(engine, published_sets / "Set5" / f"x{scale}" / "HR", scale, list(table))
    for upscaler_id, protocols in table.items():
        classical = upscaler_id in INTERPOLATORS
        for protocol, numbers in protocols.items():
            psnr_db, ssim = got[upscaler_id][protocol]
            assert psnr_db == pytest.approx(numbers["psnr_db"], abs=PSNR_TOLERANCE_DB[classical]), (upscaler_id, protocol)
            assert ssim == pytest.approx(numbers["ssim"], abs=SSIM_TOLERANCE[classical]), (upscaler_id, protocol)


def test_dat_light_gives_the_expected_numbers(tmp_path: Path, published_sets: Path, dat_light: Path) -> None:
    engine = LocalEngine(tmp_path)
    try:
        got = means(engine, published_sets / "Set5" / "x4" / "HR", 4, ["dat-light"])["dat-light"]
    finally:
        engine.close()
    assert got["y"][0] == pytest.approx(32.543, abs=0.02)
    assert got["y-float"][0] == pytest.approx(32.565, abs=0.02)
    assert got["rgb"][0] == pytest.approx(30.494, abs=0.02)
