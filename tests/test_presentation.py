"""What the page says of a comparison at each moment: the status line, the tiles, the captions, the table."""

import re
from typing import Any

import pytest

from benchmark.presentation.results import page_line, shown_pictures, status_line
from benchmark.presentation.table import table
from benchmark.schema import Comparison, ImageFacts, Row
from tests.comparisons import MACHINE, row_of, scores_of

IMAGE = ImageFacts(name="bird", sha256="ab" * 32, width=64, height=48, stored_channels=3, has_alpha=False, notes=[])


def comparison(*rows: Row, **facts: Any) -> Comparison:
    usual = {"id": "0123456789abcdef", "user": "tester", "created_at": "2026-03-09T14:05:06.000+00:00", "state": "running"}
    more = {"mode": "restore", "scale": 4, "downscale": "bicubic", "image": IMAGE, "machine": MACHINE, "rows": list(rows)}
    return Comparison(**{**usual, **more, **facts})


def pending(upscaler: str, **facts: Any) -> Row:
    return row_of(upscaler, **{"status": "skipped", "stage": "waiting", **facts})


DONE = row_of("bicubic", output_path="a.png", scores=scores_of(28.125), warm_p50_s=0.0013, first_s=0.0021, repeats=20)


@pytest.mark.parametrize(
    ("job", "ahead", "line"),
    [
        (comparison(pending("bicubic"), state="queued"), 0, "Starting."),
        (comparison(pending("bicubic"), state="queued"), 1, "1 job ahead."),
        (comparison(pending("bicubic"), state="queued"), 3, "3 jobs ahead."),
        (comparison(DONE, pending("lanczos", expected_s=3.0), pending("dat-light", expected_s=4.0)), 0, "1 of 3 done, about 7.0 s left."),
        (comparison(DONE, pending("lanczos", expected_s=0.01)), 0, "1 of 2 done, about 1.0 s left."),
        (comparison(DONE, pending("lanczos"), pending("dat-light", expected_s=4.0)), 0, "1 of 3 done."),
        (comparison(row_of("bicubic", stage="timing", output_path="a.png")), 0, "All pictures are here; measuring warm times."),
        (comparison(DONE, state="cancelled", reason="Stopped. Run again."), 0, "Stopped. Run again."),
        (comparison(DONE, state="done"), 0, "Measured on Abacus 5."),
        (comparison(DONE, row_of("lanczos", status="oom"), state="done"), 0, "Measured on Abacus 5. 1 of 2 failed."),
        (comparison(DONE, state="done", machine={**MACHINE, "gpu": "Loom 9"}), 0, "Measured on Loom 9."),
    ],
)
def test_the_status_is_one_sentence(job: Comparison, ahead: int, line: str) -> None:
    assert status_line(job, ahead) == line
    assert page_line(job, ahead) == line


@pytest.mark.parametrize(
    ("row", "state", "message", "progress"),
    [
        (pending("dat-light"), "waiting", "Waiting", None),
        (pending("dat-light", stage="loading"), "loading", "Loading model", None),
        (pending("dat-light", stage="running", tiles_done=2, tiles_total=12), "running", "Tile 3 of 12", 2 / 12),
        (pending("dat-light", stage="running", tiles_done=12, tiles_total=12), "running", "Tile 12 of 12", 1.0),
        (pending("dat-light", stage="running", tiles_done=4, tiles_total=50, progress_unit="step"), "running", "Step 5 of 50", 0.08),
        (row_of("dat-light", stage="timing", output_path="b.png"), "timing", "Timing", None),
        (row_of("dat-light", output_path="b.png"), "ready", "", None),
        (row_of("dat-light", status="oom", reason="Out of memory."), "failed", "Out of memory.", None),
    ],
)
def test_a_tile_says_what_goes_on(row: Row, state: str, message: str, progress: float | None) -> None:
    (tile,) = shown_pictures(comparison(row), str)
    assert (tile.state, tile.message, tile.progress) == (state, message, progress)
    assert tile.url == row.output_path


def test_a_caption_is_aim_score_and_warm_time() -> None:
    once = row_of("realesr-general-x4v3", output_path="b.png", scores=scores_of(24.5), first_s=3.21)
    captions = [tile.caption for tile in shown_pictures(comparison(DONE, once, original_path="o.png"), str)]
    assert captions == ["64×48", "faithful · 28.12 dB · 1.3 ms", "vivid · 24.50 dB · 3.2 s"]


def test_the_best_is_marked_within_its_aim_and_ties_are_all_best() -> None:
    psnr_db = {"bicubic": 28.0, "lanczos": 28.96, "dat-light": 29.0, "realesr-general-x4v3": 24.0, "realesrgan-x4plus": 23.0}
    job = comparison(*(row_of(name, output_path="a.png", scores=scores_of(value)) for name, value in psnr_db.items()), state="done")
    html = table(job, "rgb")
    faithful, vivid = html.split("Vivid", 1)
    assert "Faithful" in faithful
    marked = [re.findall(r'aria-label="([^"]*?), best"', part) for part in (faithful, vivid)]
    assert marked == [["Lanczos", "DAT light"], ["Real-ESRGAN general"]]
    alone = table(comparison(DONE, state="done"), "rgb")
    assert ">best<" not in alone


def test_a_row_opens_when_the_comparison_has_ended() -> None:
    closed, open_ = (table(comparison(DONE, state=state), "rgb") for state in ("running", "done"))
    assert "<details>" not in closed
    assert open_.count("<details>") == open_.count("ub-more") == 1
    assert "Median of 20 warm calls" in re.sub(r'title="[^"]*"', "", open_)
    assert f"rgb {'0' * 16}" in open_
