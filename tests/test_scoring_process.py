"""Metrics on request in a comparison: computed after every time, by a process of their own, and seen wherever scores are."""

import csv
import io
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

import metrics
from benchmark import export, given, jobs, scoring_process
from benchmark.given_small import Upload
from benchmark.plan import Plan
from benchmark.presentation.results import status_line
from benchmark.presentation.table import table
from benchmark.presentation.use_model import use_of
from benchmark.runner import ComparisonRun
from benchmark.schema import Comparison, ProtocolScores
from benchmark.scoring_process import Request, ScoringProcess
from benchmark.timing import CancelledError
from benchmark.workers.local_engine import LocalEngine
from benchmark.workers.pool import WorkerPool
from core.errors import UnknownIdError, UsageError
from tests.engine_helpers import directory, run, wait_until
from tests.pictures import noise, png, scene

NAMES = ("ms-ssim", "vif", "haarpsi")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    made = LocalEngine(tmp_path_factory.mktemp("comparisons"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def compared(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Half transparent at the top, and with a border that leaves too little of the height for MS-SSIM in luma."""
    alpha = np.full((164, 180, 1), 255, np.uint8)
    alpha[:40] = 128
    plan = Plan(scale=4, upscaler_ids=["bicubic", "nearest"], repeats=1, metrics=NAMES)
    return run(engine, plan, png(np.dstack([scene(180, 164), alpha])))


def on_white(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        rgba = picture.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))


def request(folder: Path, *names: str) -> Request:
    for name, picture in (("a.png", noise(48, 48)), ("b.png", scene(48, 48))):
        (folder / name).write_bytes(png(picture))
    paths = {"result": str(folder / "a.png"), "original": str(folder / "b.png")}
    return Request(names=list(names), **paths, width=48, height=48, scale=2, stored_channels=3)


def test_what_was_asked_for_stands_among_the_scores(engine: LocalEngine, compared: Comparison) -> None:
    folder = directory(engine, compared)
    original = on_white(folder / str(compared.original_path))
    for row in compared.rows:
        assert row.scores is not None
        result = on_white(folder / str(row.output_path))
        expected = metrics.score_more(NAMES, result, original, scale=4, stored_channels=3)
        # Pillow and the product may round a composite to neighbouring levels.
        assert row.scores["rgb"].more == pytest.approx(expected["rgb"]["values"], abs=1e-3)
        assert list(row.scores["rgb"].more) == ["ms_ssim", "vif", "haarpsi"]
        assert row.scores["y"].more == {"ms_ssim": None}
        assert row.scores["y"].reasons["ms_ssim"].endswith("after the border cut of 4 pixels; here are 172x156.")
    bicubic, nearest = (row.scores["rgb"].more["haarpsi"] for row in compared.rows if row.scores)
    assert (bicubic or 0) > (nearest or 1)


def test_documents_tables_and_downloads_have_it(engine: LocalEngine, compared: Comparison) -> None:
    row = compared.rows[0]
    scores = row.scores
    assert scores is not None
    value = scores["rgb"].more["vif"]
    assert value is not None
    document = json.loads(json.dumps(export.document(compared), allow_nan=False))
    assert document["metrics"] == list(NAMES)
    assert document["rows"][0]["scores"]["rgb"]["vif"] == value
    assert "ms_ssim" in document["rows"][0]["scores"]["y"]["reasons"]
    line = next(csv.DictReader(io.StringIO(export.table_csv(compared))))
    assert float(line["rgb_vif"]) == value
    assert line["y_ms_ssim"] == ""
    assert not any("reason" in name for name in line if name != "reason")
    archive = zipfile.ZipFile(io.BytesIO(export.archive(directory(engine, compared), compared)))
    assert json.loads(archive.read("comparison.json"))["rows"] == [
        {**each, "output_path": f"{each['upscaler']}_x4_picture.png"} for each in document["rows"]
    ]
    html = table(compared, "rgb")
    assert f'<td data-head="VIF" title="Higher is better">{value:.4f}</td>' in html
    assert 'data-head="VIF"' not in table(compared, "y")
    assert f'title="{scores["y"].reasons["ms_ssim"]}">–</td>' in table(compared, "y")
    facts = dict(use_of(row).facts)
    assert facts["VIF (pixel domain)"] == f"{value:.4f} rgb (higher is better)"
    assert facts["MS-SSIM"] == f"{scores['rgb'].more['ms_ssim']:.4f} rgb, {scores['y'].reasons['ms_ssim']}"
    assert "GMSD" not in facts


def test_a_stored_comparison_is_read_back_with_it_and_an_older_one_without(engine: LocalEngine, compared: Comparison) -> None:
    text = (directory(engine, compared) / "job.json").read_text()
    assert Comparison.model_validate_json(text).rows[0].scores == compared.rows[0].scores
    old = json.loads(text)
    del old["metrics"]
    for scores in old["rows"][0]["scores"].values():
        for name in ("reasons", "ms_ssim", "vif", "haarpsi"):
            scores.pop(name, None)
    read = Comparison.model_validate(old)
    assert read.metrics == []
    assert read.rows[0].scores is not None
    assert read.rows[0].scores["rgb"].more == {}
    with pytest.raises(ValueError, match="vif"):
        ProtocolScores.model_validate({**old["rows"][0]["scores"]["rgb"], "vif": "much"})


def test_an_added_result_gets_the_same_scores(engine: LocalEngine, compared: Comparison) -> None:
    folder = directory(engine, compared)
    own = (folder / str(compared.rows[1].output_path)).read_bytes()
    row = given.add(folder, Upload(own, "theirs.png"), name="Theirs")
    assert row.scores is not None
    assert compared.rows[1].scores is not None
    assert row.scores["rgb"].more == compared.rows[1].scores["rgb"].more
    assert jobs.load(folder).rows[-1].scores == row.scores
    given.remove(folder, row.upscaler)


def test_it_is_computed_when_everything_has_been_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[tuple[str, int]]] = []
    lines: list[str] = []

    def slowly(*_: object) -> dict[str, metrics.MoreScores]:
        seen.append([(row.stage, row.repeats) for row in comparison.job.rows])
        lines.append(status_line(comparison.job, 0))
        time.sleep(0.7)
        return {}

    monkeypatch.setattr(ScoringProcess, "ask", slowly)
    plan = Plan(scale=2, upscaler_ids=["bicubic", "lanczos"], repeats=2, metrics=["gmsd"])
    comparison = ComparisonRun(jobs.create(plan, png(scene(64, 48)), name="a.png", user="a", root=tmp_path), pool := WorkerPool())
    try:
        for _ in comparison.steps():
            pass
    finally:
        pool.close()
    assert seen == [[("done", 2), ("done", 2)]] * 2
    assert lines == ["All pictures and times are here; computing more scores."] * 2
    assert comparison.job.state == "done"
    assert all((row.warm_p95_s or 1) < 0.7 for row in comparison.job.rows)


def test_without_a_wish_no_process_is_started_and_no_document_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring_process, "_start", lambda: pytest.fail("started"))
    plan = Plan(scale=2, upscaler_ids=["bicubic"], repeats=0)
    comparison = ComparisonRun(jobs.create(plan, png(scene(64, 48)), name="a.png", user="a", root=tmp_path), pool := WorkerPool())
    try:
        for _ in comparison.steps():
            pass
    finally:
        pool.close()
    (row,) = comparison.job.rows
    assert row.scores is not None
    assert all(scores.more == {} and scores.reasons == {} for scores in row.scores.values())
    assert "vif" not in json.dumps(export.document(comparison.job))


def test_the_process_does_not_import_pytorch_for_what_does_not_need_it(tmp_path: Path) -> None:
    asked = request(tmp_path, "ms-ssim", "vif", "gmsd", "haarpsi")
    code = f"import sys; from benchmark.scoring_process import _answer; _answer({asked!r}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_what_a_library_prints_does_not_reach_the_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen

    def chatty(command: list[str], **keywords: object) -> subprocess.Popen[str]:
        code = (
            "import os, metrics; from benchmark import scoring_process as s; plain = metrics.score_more; "
            "metrics.score_more = lambda *a, **k: (print('hello', flush=True), os.write(1, b'there'), plain(*a, **k))[2]; s.main()"
        )
        return start([command[0], "-c", code], **keywords)  # pyright: ignore[reportCallIssue, reportArgumentType]

    monkeypatch.setattr(subprocess, "Popen", chatty)
    with ScoringProcess() as process:
        assert process.ask(request(tmp_path, "gmsd"))["rgb"]["values"]["gmsd"] is not None


def test_a_process_that_dies_gives_a_reason_and_the_next_request_a_new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, codes = scoring_process._start, ["import os, sys; sys.stdin.readline(); os._exit(3)", "import os; os.kill(os.getpid(), 9)"]

    def start() -> "subprocess.Popen[str]":
        if not codes:
            return plain()
        return subprocess.Popen([sys.executable, "-c", codes.pop(0)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    monkeypatch.setattr(scoring_process, "_start", start)
    asked = request(tmp_path, "gmsd", "ms-ssim")
    with ScoringProcess() as process:
        for how in ("exit code 3", "signal 9"):
            scores = process.ask(asked)
            assert scores["rgb"]["values"] == {"gmsd": None, "ms_ssim": None}
            assert scores["y"]["reasons"]["ms_ssim"] == f"The scoring process ended ({how}): choose a smaller picture or region."
        assert process.ask(asked)["rgb"]["values"]["gmsd"] is not None


def test_a_picture_that_is_gone_is_a_reason_and_no_end(tmp_path: Path) -> None:
    asked = request(tmp_path, "gmsd")
    with ScoringProcess() as process:
        lost = process.ask(Request(**{**asked, "result": str(tmp_path / "none.png")}))
        assert lost["rgb"]["reasons"]["gmsd"] == "Internal error (FileNotFoundError); the log has the details."
        assert process.ask(asked)["rgb"]["values"]["gmsd"] is not None


def test_cancel_ends_the_process_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []

    def start() -> "subprocess.Popen[str]":
        code = "import time; time.sleep(60)"
        started.append(subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[0]

    monkeypatch.setattr(scoring_process, "_start", start)
    begun = time.monotonic()
    with ScoringProcess() as process, pytest.raises(CancelledError):
        process.ask(request(tmp_path, "gmsd"), lambda: time.monotonic() - begun > 0.3)
    assert time.monotonic() - begun < 2
    wait_until(lambda: not psutil.pid_exists(started[0].pid), 2)


def test_a_plan_knows_the_metrics_and_needs_an_original_for_them() -> None:
    with pytest.raises(UnknownIdError, match="Did you mean 'haarpsi'"):
        Plan(scale=2, upscaler_ids=["bicubic"], metrics=["haar-psi"])
    with pytest.raises(UsageError, match="has none"):
        Plan(scale=2, upscaler_ids=["bicubic"], mode="as-is", metrics=["gmsd"])
