"""What tiles do to a result: told exactly, and where."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import upscalers
from benchmark import jobs
from benchmark.presentation.table import table
from benchmark.tile_audit import audit
from core.errors import ImageError
from runtimes.tiling import Tiling, plan_tiles
from tests.comparisons import row_of, scores_of, store
from tests.pictures import png, scene

SCALE = 2
TILING = Tiling(40, 10)
TILES = plan_tiles(60, 100, TILING)
WHOLE = scene(200, 120)
"""Of a small picture of 100x60: five cores of 20 px across and two of 30 down, each read with its 10 px around."""


def test_equal_results_are_the_same_picture() -> None:
    found = audit(WHOLE.copy(), WHOLE, TILING, TILES, SCALE)
    assert (found.same, found.largest_levels, found.mean_levels, found.tiles) == (True, 0, 0.0, 10)


def test_the_largest_difference_is_found_where_it_is() -> None:
    tiled = WHOLE.copy()
    tiled[77, 133, 1] ^= 128
    found = audit(tiled, WHOLE, TILING, TILES, SCALE)
    assert (found.largest_levels, found.largest_at, found.same) == (128, (133, 77), False)
    assert found.mean_levels == pytest.approx(128 / WHOLE.size)
    assert found.share_above_1 == pytest.approx(1 / WHOLE.size)


def test_one_level_is_rounding() -> None:
    tiled = np.where(WHOLE < 255, WHOLE + 1, WHOLE).astype(np.uint8)
    assert audit(tiled, WHOLE, TILING, TILES, SCALE).same


def test_differences_at_seams_are_told_from_those_elsewhere() -> None:
    at_seam, within = WHOLE.copy(), WHOLE.copy()
    # Cores begin at every 20th small pixel: 40, 80 ... in the result.
    at_seam[:, 80] ^= 64
    within[:, 60] ^= 64
    seam, middle = audit(at_seam, WHOLE, TILING, TILES, SCALE), audit(within, WHOLE, TILING, TILES, SCALE)
    assert seam.mean_near_seams > 0 == seam.mean_elsewhere
    # Column 60 is near no seam from side to side, but crosses the seam between the rows of tiles.
    assert 0 < middle.mean_near_seams < middle.mean_elsewhere


def test_results_of_two_sizes_are_refused() -> None:
    with pytest.raises(ImageError, match="200x120 in tiles and 200x118 whole"):
        audit(WHOLE, WHOLE[:118], TILING, TILES, SCALE)


# -- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "small.png"
    path.write_bytes(png(scene(150, 90)))
    return path


def run(picture: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", "tile-audit", str(picture), *arguments]
    environment = os.environ | {"UPSCALE_BENCH_HOME": str(picture.parent / "home")}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


def test_a_network_with_enough_overlap_gives_the_same_picture(picture: Path) -> None:
    done = run(picture, "--upscaler", "opencv-espcn", "--scale", "2", "--tile", "64", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["same"]
    assert not found["whole_picture"]
    assert (found["tiles"], found["tile_px"], found["overlap_px"]) == (10, 64, 16)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--upscaler", "bicubic"), "bicubic is always run whole at x4"),
        (("--upscaler", "opencv-espcn"), "fits into one tile of 1024: choose a smaller --tile"),
        (("--upscaler", "opencv-espcn", "--tile", "8"), "tiles of 64 pixels or more"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(picture: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run(picture, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


# -- models that look at everything --------------------------------------------------------------------------------


def test_models_with_attention_over_the_picture_are_marked() -> None:
    marked = {spec.id for spec in upscalers.registry() if spec.whole_picture}
    assert marked == {"dat-light", "dat-s", "dat-2", "dat", "rcan-bam", "drln-bam", "sd-x4-upscaler"}


@pytest.mark.parametrize("dependent", [True, False])
def test_their_scores_under_tiles_are_labelled(tmp_path: Path, dependent: bool) -> None:
    row = row_of("dat-light", scores=scores_of(30), tile=256, tile_dependent=dependent)
    job = jobs.load(store(tmp_path, scene(64, 48), scene(16, 12), {"dat-light": scene(64, 48)}, {"dat-light": row}))
    assert ("scored in tiles" in table(job, "rgb")) == dependent
