"""The command line's contract: documents, exit codes, one line for each error."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

import upscalers
from tests.engine_helpers import wait_until
from tests.pictures import noise, png, scene

ROOT = Path(__file__).resolve().parent.parent
ROW_FIELDS = {
    "upscaler",
    "scale",
    "runtime",
    "precision",
    "device",
    "threads",
    "workers",
    "tile",
    "options",
    "seed",
    "status",
    "reason",
    "contended",
    "weights_sha256",
    "verified_weights",
    "lr_source",
    "width",
    "height",
    "load_s",
    "first_s",
    "warm_p50_s",
    "warm_p95_s",
    "repeats",
    "output_mp_per_s",
    "peak_rss_mib",
    "peak_vram_mib",
    "output_path",
    "fingerprint",
    "scores",
}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "cli", *map(str, arguments)]


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, env=os.environ | environment, timeout=120, check=False)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(png(scene(61, 43)))
    return path


def test_compare_prints_one_document_with_every_promised_field(picture: Path, tmp_path: Path) -> None:
    done = run("compare", picture, "--scale", "2", "--upscalers", "bicubic,lanczos", "--repeats", "2", "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    assert document["scale"] == 2
    assert document["downscale"] == "bicubic"
    expected = {
        "width": 60,
        "height": 42,
        "stored_channels": 3,
        "notes": ["Cropped to 60×42, a multiple of 2."],
    }
    assert {name: document["image"][name] for name in expected} == expected
    assert [row["upscaler"] for row in document["rows"]] == ["bicubic", "lanczos"]
    for row in document["rows"]:
        assert set(row) >= ROW_FIELDS
        assert row["status"] == "ok"
        assert row["repeats"] == 2
        assert (row["width"], row["height"]) == (60, 42)
        assert set(row["scores"]) == {"rgb", "y", "y-float"}
        assert {"mse", "psnr_db", "ssim"} <= set(row["scores"]["y"])
        assert 0 < row["warm_p50_s"] <= row["warm_p95_s"]
        assert row["output_mp_per_s"] == pytest.approx(60 * 42 / 1e6 / row["warm_p50_s"])
        assert Path(row["output_path"]) == tmp_path / "out" / "x2" / f"{row['upscaler']}_x2_picture.png"
        assert Image.open(row["output_path"]).size == (60, 42)
    assert (tmp_path / "out" / "x2" / "strip_x2_picture.png").is_file()
    # An independent way to the same number.
    original = scene(61, 43)[:42, :60]
    small = Image.fromarray(original).resize((30, 21), Image.Resampling.BICUBIC)
    result = np.asarray(small.resize((60, 42), Image.Resampling.BICUBIC))
    mse = np.mean((result.astype(float) - original) ** 2)
    assert document["rows"][0]["scores"]["rgb"]["mse"] == pytest.approx(mse, abs=1e-9)
    assert document["rows"][0]["scores"]["rgb"]["psnr_db"] == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-9)


def test_a_known_but_unavailable_upscaler_is_a_row_and_exit_code_1(picture: Path) -> None:
    done = run("compare", picture, "--upscalers", "bicubic,opencv-edsr", "--repeats", "0", "--json", UPSCALE_BENCH_WEIGHTS="")
    assert done.returncode == 1
    rows = {row["upscaler"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["bicubic"]["status"] == "ok"
    assert rows["opencv-edsr"]["status"] == "unavailable"
    assert "upscale-bench weights fetch opencv-edsr" in rows["opencv-edsr"]["reason"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compare", "PICTURE", "--upscalers", "bicubc"], "Did you mean 'bicubic'?"),
        (["compare", "PICTURE", "--scale", "5"], "takes a scale of 2, 3, 4, 8; got 5"),
        (["compare", "PICTURE", "--upscalers", ""], "at least one upscaler"),
        (["compare", "PICTURE", "--precision", "f64"], "auto, f32, bf16 or f16; got 'f64'"),
        (["compare", "PICTURE", "--runtime", "opencvv"], "Did you mean 'opencv'?"),
        (["compare", "PICTURE", "--option", "denoise=1"], "Expected --option ID.key=value"),
        (["compare", "PICTURE", "--upscalers", "bicubic", "--option", "lanczos.a=1"], "not among the chosen"),
        (["compare", "PICTURE", "--upscalers", "bicubic", "--option", "bicubic.a=1"], "has no option 'a'"),
        (["compare", "PICTURE", "--downscale", "bicubik"], "Did you mean 'bicubic'?"),
        (["compare", "missing.png"], "There is no file 'missing.png'"),
        (["compare", "."], "is not a file"),
        (["compare", "TEXT"], "Not a supported image"),
        (["compare", "TINY", "--scale", "4"], "4"),
        (["upscale", "PICTURE", "--upscaler", "bicubic", "-o", "result.jpg"], "ends in .png"),
        (["upscale", "PICTURE", "--upscaler", "opencv-lapsrn", "--scale", "2.5", "-o", "r.png"], "x2, x4, x8"),
        (["upscale", "PICTURE", "--upscaler", "bicubic", "--scale", "17", "-o", "r.png"], "between 1 and 16"),
        (["compare"], "Missing argument"),
        (["compare", "PICTURE", "--nonsense"], "No such option"),
        (["weights", "fetch"], "--starter"),
        (["weights", "fetch", "opencv-esprn"], "Did you mean 'opencv-espcn'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], words: str, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "tiny.png").write_bytes(png(noise(3, 3)))
    places = {"PICTURE": str(picture), "TEXT": str(tmp_path / "text.png"), "TINY": str(tmp_path / "tiny.png")}
    done = run(*[places.get(argument, argument) for argument in arguments])
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_upscale_does_not_shrink_first_and_takes_fractions(picture: Path, tmp_path: Path) -> None:
    done = run("upscale", picture, "--upscaler", "lanczos", "--scale", "1.7", "-o", tmp_path / "deep" / "r.png")
    assert done.returncode == 0, done.stderr
    expected = Image.open(picture).resize((round(61 * 1.7), round(43 * 1.7)), Image.Resampling.LANCZOS)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "deep" / "r.png")), np.asarray(expected))


def test_a_result_above_the_limit_is_refused_before_work_starts(picture: Path, tmp_path: Path) -> None:
    done = run("upscale", picture, "--upscaler", "bicubic", "--scale", "8", "-o", tmp_path / "r.png", UPSCALE_BENCH_MAX_OUTPUT_MP="0.1")
    assert done.returncode == 2
    assert "limit is 0.1 MP" in done.stderr


def test_upscalers_lists_the_whole_registry_as_json() -> None:
    document = json.loads(run("upscalers", "--json").stdout)
    assert [entry["id"] for entry in document["upscalers"]] == upscalers.registry().ids()
    for entry in document["upscalers"]:
        assert (entry["reason"] is None) == (entry["status"] == "ready")


def test_weights_list_says_where_files_come_from() -> None:
    document = json.loads(run("weights", "list", "--json").stdout)
    assert {"upscaler", "scale", "file", "status", "sha256", "source"} <= set(document["weights"][0])


def test_fetching_offline_is_one_line_and_exit_code_1() -> None:
    done = run("weights", "fetch", "--starter", UPSCALE_BENCH_WEIGHTS="", UPSCALE_BENCH_OFFLINE="1")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "UPSCALE_BENCH_OFFLINE" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MAX_JOBS", "many", "UPSCALE_BENCH_MAX_JOBS can't be used as 'many'"),
        ("PLUGINS", "no_such_module", "UPSCALE_BENCH_PLUGINS names 'no_such_module'"),
    ],
)
def test_a_setting_that_can_not_be_used_is_one_line_and_exit_code_2(variable: str, value: str, words: str, picture: Path) -> None:
    done = run("compare", picture, "--upscalers", "bicubic", **{f"UPSCALE_BENCH_{variable}": value})
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_place_that_can_not_be_written_is_found_out_before_the_work(picture: Path) -> None:
    done = run("compare", picture, "--upscalers", "bicubic", "--out", "/dev/null/results")
    assert done.returncode == 2
    assert "can't be written" in done.stderr


def test_a_home_that_can_not_be_written_costs_no_result(picture: Path) -> None:
    done = run("compare", picture, "--upscalers", "bicubic", "--json", UPSCALE_BENCH_HOME="/proc/nowhere")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"][0]["status"] == "ok"


def test_directories_may_be_given_relative_to_where_one_stands(picture: Path, tmp_path: Path, weights_at_hand: list[Path]) -> None:
    (tmp_path / "here").mkdir()
    source = next(folder / "ESPCN_x2.pb" for folder in weights_at_hand if (folder / "ESPCN_x2.pb").exists())
    (tmp_path / "here" / "ESPCN_x2.pb").write_bytes(source.read_bytes())
    environment = os.environ | {"UPSCALE_BENCH_WEIGHTS": "here", "UPSCALE_BENCH_HOME": "home", "PYTHONPATH": str(ROOT)}
    arguments = command("compare", picture, "--scale", "2", "--upscalers", "opencv-espcn", "--repeats", "0", "--json")
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"][0]["verified_weights"] is True


def test_a_precision_that_a_runtime_lacks_is_an_unavailable_row(picture: Path) -> None:
    done = run("compare", picture, "--scale", "2", "--upscalers", "bicubic,opencv-espcn", "--precision", "f16", "--repeats", "0", "--json")
    assert done.returncode == 1
    rows = {row["upscaler"]: row for row in json.loads(done.stdout)["rows"]}
    assert (rows["bicubic"]["status"], rows["bicubic"]["precision"]) == ("ok", "f32")
    assert rows["opencv-espcn"]["status"] == "unavailable"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_command_leaves_nothing_running(sent: signal.Signals, code: int, picture: Path) -> None:
    arguments = command("compare", picture, "--upscalers", "fake-hang", "--repeats", "0")
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"UPSCALE_BENCH_PLUGINS": "tests.fakes"}
    )
    watched = psutil.Process(process.pid)
    wait_until(lambda: len(watched.children(recursive=True)) >= 2, 30)
    time.sleep(0.5)
    everyone = watched.children(recursive=True)
    started = time.monotonic()
    process.send_signal(sent)
    process.communicate(timeout=15)
    assert process.returncode == code
    assert time.monotonic() - started < 10
    wait_until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in everyone), 5)
