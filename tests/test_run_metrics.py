"""Runs with metrics on request and with tiles of another side: planned, computed, stored, and in every form that is written."""

import csv
import io
import json
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from PIL import Image

from benchmark.presentation.ranking_table import ranking_table
from benchmark.ranking.leaderboard import leaderboard
from benchmark.storage.store import Store
from core.errors import UsageError
from tests.paper_metrics import gmsd
from tests.pictures import noise, png, scene
from tests.run_helpers import PLUGINS, cells_of, compute, make_set, plan_of, run_command

SIZE = (180, 170)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures that are large enough for MS-SSIM after the border cut."""
    root = tmp_path / "set"
    root.mkdir()
    (root / "scene.png").write_bytes(png(scene(*SIZE)))
    (root / "noise.png").write_bytes(png(noise(*SIZE)))
    return root


def by_hand(path: Path) -> float:
    """GMSD of bicubic at x2, from Pillow and the paper's formulas."""
    with Image.open(path) as image:
        original = image.convert("RGB")
    small = original.resize((SIZE[0] // 2, SIZE[1] // 2), Image.Resampling.BICUBIC)
    return gmsd(np.asarray(small.resize(SIZE, Image.Resampling.BICUBIC)), np.asarray(original))


def test_metrics_are_computed_stored_and_in_every_form(folder: Path) -> None:
    asked = ("run", "--dataset", folder, "--scales", "2", "--upscalers", "bicubic,nearest", "--run", "more", "--metrics", "gmsd, ms-ssim")
    done = run_command(*asked, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    mean = document["means"][0]["scores"]
    wanted = fmean(by_hand(path) for path in folder.iterdir())
    assert document["metrics"] == ["gmsd", "ms-ssim"]
    assert mean["rgb"]["gmsd"] == pytest.approx(wanted, abs=1e-6)
    assert mean["rgb"].keys() - mean["y"].keys() == {"gmsd"}
    assert 0 < mean["y"]["ms_ssim"] < 1
    printed = run_command(*asked).stdout.splitlines()
    assert printed[1].split()[-2:] == ["GMSD", "MS-SSIM"]
    assert printed[2].split()[-2] == f"{wanted:.4f}"
    with Store.open() as store:
        stored = {picture: cell.row.scores for (picture, upscaler), cell in cells_of(store, "more").items() if upscaler == "bicubic"}
        ranking = next(each for each in leaderboard(store) if each.protocol == "rgb")
    assert {picture: scores and scores["rgb"].more["gmsd"] for picture, scores in stored.items()} == {
        path.name: pytest.approx(by_hand(path), abs=1e-6) for path in folder.iterdir()
    }
    assert f'<td data-head="GMSD">{wanted:.4f}</td>' in ranking_table(ranking, ranking.entries)
    lines = list(csv.DictReader(io.StringIO(run_command("leaderboard", "--format", "csv", "--protocol", "rgb").stdout)))
    found = next(float(line["metrics_gmsd_value"]) for line in lines if line["upscaler"] == "bicubic")
    assert found == mean["rgb"]["gmsd"]
    for form in ("markdown", "latex", "table"):
        text = run_command("leaderboard", "--format", form, "--protocol", "rgb").stdout
        assert "GMSD" in text
        assert f"{wanted:.4f}" in text


def test_without_the_options_a_plan_is_what_it_was_before_they_were_there(folder: Path) -> None:
    plan = plan_of(folder)
    assert list(plan.request) == [
        *("datasets", "scales", "upscalers", "ready_only", "lr", "downscale_libraries", "runtimes", "precision", "options", "seed"),
        "repeats",
    ]
    hashes = {each.request_sha256 for each in (plan, plan_of(folder, metrics=("gmsd",)), plan_of(folder, tile_px=64))}
    assert len(hashes) == 3


def test_a_run_goes_on_only_with_the_same_metrics_and_tiles(folder: Path) -> None:
    with Store.open() as store:
        run = store.create("mine", plan_of(folder, metrics=("gmsd",), tile_px=64))
        store.resume(run, plan_of(folder, metrics=("gmsd",), tile_px=64))
        with pytest.raises(UsageError, match=r"its metrics are \[\"gmsd\"\], not null; its tile_px are 64, not null"):
            store.resume(run, plan_of(folder))


def test_what_can_not_be_computed_is_refused_before_anything_starts(folder: Path) -> None:
    asked = ("run", "--dataset", folder, "--scales", "2", "--upscalers", "bicubic", "--run", "mine")
    for more, text in (
        (("--metrics", "gmsd,lpips"), "LPIPS (AlexNet) needs alexnet-owt-7be5be79.pth (244 MB): run `upscale-bench weights fetch lpips`"),
        (("--metrics", "gsmd"), "Did you mean 'gmsd'?"),
        (("--tile", "0"), "Tiles have a side of 1 to"),
    ):
        done = run_command(*asked, *more, UPSCALE_BENCH_WEIGHTS="")
        assert (done.returncode, done.stdout) == (2, "")
        assert text in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    with Store.open() as store:
        assert store.runs() == []


def test_tiles_of_another_side_are_computed_told_and_ranked_apart(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", 2, width=200, height=180)
    asked = ("run", "--dataset", folder, "--scales", "2", "--upscalers", "fake-tiled")
    environment = {"UPSCALE_BENCH_PLUGINS": PLUGINS}
    small = run_command(*asked, "--tile", "1", "--run", "small", **environment)
    assert (small.returncode, len(small.stderr.strip().splitlines())) == (2, 1)
    assert "fake-tiled takes tiles of" in small.stderr
    for name, more in (("own", ()), ("mine", ("--tile", "64"))):
        done = run_command(*asked, *more, "--run", name, **environment)
        assert done.returncode == 0, done.stderr
    with Store.open() as store:
        sides = {name: {(cell.row.tile, cell.row.tile_limit) for cell in cells_of(store, name).values()} for name in ("own", "mine")}
        ranking = next(each for each in leaderboard(store) if each.protocol == "y")
    assert sides == {"own": {(16, None)}, "mine": {(64, 64)}}
    assert {(entry.run, entry.tiles, entry.tile_limit) for entry in ranking.entries} == {("own", (16,), None), ("mine", (64,), 64)}


def test_interpolators_take_no_notice_of_tiles(tmp_path: Path) -> None:
    with Store.open() as store:
        assert compute(store, plan_of(make_set(tmp_path / "set", 1), tile_px=16))["state"] == "done"
        assert {(cell.row.tile, cell.row.tile_limit) for cell in cells_of(store).values()} == {(None, None)}
