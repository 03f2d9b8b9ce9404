"""Metrics on request at the command line."""

import json
from pathlib import Path

from tests.pictures import png, scene
from tests.test_cli import run


def test_the_weights_of_a_metric_are_listed_and_fetched_by_its_name() -> None:
    entries = json.loads(run("weights", "list", "--json").stdout)["weights"]
    (entry,) = [entry for entry in entries if entry.get("metric") == "lpips"]
    assert (entry["file"], entry["size_bytes"], entry["upscaler"]) == ("alexnet-owt-7be5be79.pth", 244_408_911, None)
    done = run("weights", "fetch", "lpips", UPSCALE_BENCH_WEIGHTS="", UPSCALE_BENCH_OFFLINE="1")
    assert done.returncode == 1
    assert done.stderr.strip().startswith("alexnet-owt-7be5be79.pth can't be fetched")
    assert len(done.stderr.strip().splitlines()) == 1


def test_compare_computes_them_when_asked_and_says_why_where_it_can_not(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(png(scene(180, 170)))
    asked = ("compare", path, "--scale", "2", "--upscalers", "bicubic", "--repeats", "0", "--metrics")
    document = json.loads(run(*asked, "gmsd, ms-ssim", "--json").stdout)
    scores = document["rows"][0]["scores"]
    assert document["metrics"] == ["gmsd", "ms-ssim"]
    assert 0 < scores["rgb"]["gmsd"] < 0.5
    assert 0 < scores["y"]["ms_ssim"] < 1
    assert "vif" not in scores["rgb"]
    done = run(*asked, "all", UPSCALE_BENCH_WEIGHTS="")
    assert done.returncode == 0
    head, row, *reasons = done.stdout.splitlines()[1:]
    assert head.split()[-5:] == ["MS-SSIM", "VIF", "GMSD", "HaarPSI", "LPIPS"]
    assert row.split()[-1] == "-"
    assert row.split()[-3] == f"{scores['rgb']['gmsd']:.4f}"
    assert [line.partition(":")[0] for line in reasons] == ["LPIPS (AlexNet) needs alexnet-owt-7be5be79.pth (244 MB)"]


def test_a_metric_that_there_is_not_is_refused_in_one_line(tmp_path: Path) -> None:
    done = run("compare", tmp_path / "none.png", "--metrics", "gsmd")
    assert (done.returncode, done.stderr) == (2, "Unknown metric 'gsmd'. Did you mean 'gmsd'?\n")
