"""Scores that need no original, in whole comparisons; Pillow, numpy and scikit-image recompute them from the stored files."""

import csv
import io
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import metrics
from benchmark import export, jobs, scoring
from benchmark.plan import Plan
from benchmark.presentation.table import table
from benchmark.runner import ComparisonRun
from benchmark.schema import Comparison, Row
from benchmark.workers.local_engine import LocalEngine
from benchmark.workers.pool import WorkerPool
from metrics import lr_consistency, score_against_small
from tests.engine_helpers import directory, run
from tests.pictures import noise, png, scene

NEW_FIELDS = ("lr_consistency", "colour_shift", "lr_identical", "lr_downscale", "lr_fingerprint", "given")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    made = LocalEngine(tmp_path_factory.mktemp("comparisons"))
    yield made
    made.close()


def on_white(path: Path) -> Image.Image:
    """A stored picture as Pillow composites it."""
    with Image.open(path) as picture:
        if picture.mode == "RGBA":
            return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
        return picture.convert("RGB")


def recomputed(result: Image.Image, small: Image.Image, method: Image.Resampling) -> tuple[float, float]:
    """PSNR in dB and mean CIEDE2000, without any of the product's code."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    shrunk, reference = np.asarray(result.resize(small.size, method)), np.asarray(small)
    mse = np.mean((shrunk.astype(float) - reference) ** 2)
    return 10 * math.log10(255**2 / mse), float(deltaE_ciede2000(rgb2lab(reference), rgb2lab(shrunk)).mean())


def check(row: Row, expected: tuple[float, float]) -> None:
    assert row.lr_consistency == pytest.approx(expected[0], abs=1e-9)
    assert row.colour_shift == pytest.approx(expected[1], abs=0.005)
    assert row.lr_identical is False


@pytest.mark.parametrize("scale", [2, 1.7, 3.25])
def test_as_is_a_result_is_shrunk_by_bicubic_to_the_very_size_of_the_picture(engine: LocalEngine, scale: float) -> None:
    picture = scene(61, 43)
    job = run(engine, Plan(scale=scale, upscaler_ids=["bicubic", "nearest"], mode="as-is", repeats=0), png(picture))
    for row in job.rows:
        result = on_white(directory(engine, job) / str(row.output_path))
        assert result.size == (round(61 * scale), round(43 * scale))
        check(row, recomputed(result, Image.fromarray(picture), Image.Resampling.BICUBIC))
        assert row.lr_downscale == "bicubic"
        assert row.scores is None
        assert row.fingerprint is None
    assert job.rows[0].lr_consistency != job.rows[1].lr_consistency
    assert job.rows[0].lr_fingerprint
    assert f"{job.rows[0].lr_consistency:.2f} dB" in table(job, "rgb")


@pytest.mark.parametrize(("downscale", "method"), [("bicubic", Image.Resampling.BICUBIC), ("area", Image.Resampling.BOX)])
def test_restored_a_result_is_shrunk_as_the_small_picture_was_made(engine: LocalEngine, downscale: str, method: Image.Resampling) -> None:
    job = run(engine, Plan(scale=4, upscaler_ids=["lanczos"], downscale=downscale, repeats=0), png(scene(64, 48)))
    row, folder = job.rows[0], directory(engine, job)
    check(row, recomputed(on_white(folder / str(row.output_path)), on_white(folder / str(job.downscaled_path)), method))
    assert row.lr_downscale == downscale
    assert row.scores is not None


def test_pixels_that_are_only_repeated_shrink_back_to_the_very_picture(engine: LocalEngine) -> None:
    job = run(engine, Plan(scale=4, upscaler_ids=["nearest"], downscale="area", repeats=0), png(noise(64, 48)))
    row = job.rows[0]
    assert (row.lr_consistency, row.colour_shift, row.lr_identical) == (None, 0.0, True)
    assert json.loads(json.dumps(export.document(job), allow_nan=False))["rows"][0]["lr_identical"] is True
    as_is = run(engine, Plan(scale=2, upscaler_ids=["bicubic"], mode="as-is", repeats=0), png(np.full((8, 9, 3), 77, np.uint8)))
    assert as_is.rows[0].lr_identical is True
    assert ">identical<" in table(as_is, "rgb")


def test_transparency_is_shrunk_apart_and_scored_on_white(engine: LocalEngine) -> None:
    alpha = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    job = run(engine, Plan(scale=2, upscaler_ids=["bicubic"], repeats=0), png(np.dstack([scene(64, 48), alpha])))
    row, folder = job.rows[0], directory(engine, job)
    with Image.open(folder / str(row.output_path)) as result:
        bands = [band.resize((32, 24), Image.Resampling.BICUBIC) for band in result.split()]
    shrunk = Image.alpha_composite(Image.new("RGBA", (32, 24), "white"), Image.merge("RGBA", bands)).convert("RGB")
    expected, _ = recomputed(shrunk, on_white(folder / str(job.downscaled_path)), Image.Resampling.BICUBIC)
    # Pillow and the product may round a composite to neighbouring levels.
    assert row.lr_consistency == pytest.approx(expected, abs=0.05)


def test_a_constant_error_gives_the_psnr_of_its_square() -> None:
    small = np.full((6, 5, 3), 120, np.uint8)
    scores = score_against_small(small + np.uint8(10), small)
    assert scores["lr_consistency"] == pytest.approx(10 * math.log10(65025 / 100), abs=1e-12)
    assert not scores["lr_identical"]
    assert lr_consistency(small, small) == math.inf


def test_what_decides_the_score_decides_its_fingerprint(engine: LocalEngine) -> None:
    source = png(scene(64, 48))
    plans = (
        Plan(scale=2, upscaler_ids=["bicubic"], mode="as-is", repeats=0),
        Plan(scale=2, upscaler_ids=["bicubic"], mode="as-is", repeats=1),
        Plan(scale=3, upscaler_ids=["bicubic"], mode="as-is", repeats=0),
        Plan(scale=2, upscaler_ids=["lanczos"], repeats=0),
        Plan(scale=2, upscaler_ids=["lanczos"], downscale="area", repeats=0),
    )
    ids = [run(engine, plan, source).rows[0].lr_fingerprint for plan in plans]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4
    assert None not in ids


def test_they_are_columns_of_the_csv_and_stand_in_the_open_row_of_a_restored_picture(engine: LocalEngine) -> None:
    job = run(engine, Plan(scale=2, upscaler_ids=["bicubic"], repeats=0), png(scene(64, 48)))
    row = job.rows[0]
    line = next(csv.DictReader(io.StringIO(export.table_csv(job))))
    assert float(line["lr_consistency"]) == row.lr_consistency
    assert float(line["colour_shift"]) == row.colour_shift
    html = table(job, "rgb")
    assert f"{row.lr_consistency:.2f} dB, colour shift {row.colour_shift:.2f}" in html
    assert 'data-head="Agrees' not in html


@pytest.mark.parametrize("mode", ["restore", "as-is"])
def test_a_comparison_of_an_older_version_is_still_read_and_shown(engine: LocalEngine, mode: str) -> None:
    job = run(
        engine, Plan(scale=2, upscaler_ids=["bicubic"], mode="as-is" if mode == "as-is" else "restore", repeats=0), png(noise(24, 24))
    )
    path = directory(engine, job) / "job.json"
    document = json.loads(path.read_text())
    del document["lr_sha256"]
    for row in document["rows"]:
        for name in NEW_FIELDS:
            del row[name]
    path.write_text(json.dumps(document))
    old = engine.load(job.id)
    assert old.rows[0].lr_consistency is None
    assert old.rows[0].scores == job.rows[0].scores
    assert "Bicubic" in table(old, "rgb")
    assert export.archive(directory(engine, job), old)


def test_scoring_is_no_part_of_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored_after_s: list[float] = []

    def slowly(shrunk: np.ndarray, small: np.ndarray) -> metrics.ConsistencyScores:
        scored_after_s.append(time.monotonic() - started)
        time.sleep(1.5)
        return score_against_small(shrunk, small)

    monkeypatch.setattr(scoring.metrics, "score_against_small", slowly)
    folder = jobs.create(Plan(scale=2, upscaler_ids=["bicubic"], repeats=1), png(scene(64, 48)), name="a.png", user="a", root=tmp_path)
    pool = WorkerPool()
    started = time.monotonic()
    try:
        for _ in ComparisonRun(folder, pool).steps():
            pass
    finally:
        pool.close()
    row = jobs.load(folder).rows[0]
    assert row.status == "ok", row.reason
    assert len(scored_after_s) == 1
    assert row.waited_s is not None
    assert row.waited_s <= scored_after_s[0]
    assert row.first_s is not None
    assert row.first_s < 1.5
    assert row.warm_p50_s is not None
    assert row.warm_p50_s < 1.5


def test_a_row_without_its_picture_claims_nothing() -> None:
    row = Row(upscaler="a", scale=2, runtime="pillow", precision="f32", threads=1, lr_source="bicubic")
    row.lr_consistency, row.colour_shift, row.lr_identical, row.lr_downscale, row.lr_fingerprint = 30.0, 1.0, False, "bicubic", "0"
    job = Comparison(id="a", user="a", created_at=jobs.now(), mode="restore", scale=2, downscale="bicubic", rows=[row])
    jobs.stop_rows(job, "Stopped.")
    assert [getattr(row, name) for name in NEW_FIELDS] == [None] * 6
