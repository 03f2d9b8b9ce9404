"""The published tables come out of the store: Set5 and Set14, with the small pictures that come with them and with our own."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmark.runs.plan import GIVEN
from benchmark.runs.summary import document
from benchmark.storage.store import Store
from tests.run_helpers import compute, plan_of, problems, run_command

INTERPOLATORS = ("nearest", "bilinear", "bicubic", "lanczos")
QUICK_NETWORKS = ("opencv-espcn", "opencv-fsrcnn")
PUBLISHED = {
    ("Set5", 2): (33.64, 0.9292),
    ("Set5", 3): (30.39, 0.8678),
    ("Set5", 4): (28.42, 0.8101),
    ("Set14", 2): (30.22, 0.8683),
    ("Set14", 3): (27.53, 0.7737),
    ("Set14", 4): (25.99, 0.7023),
}
"""Bicubic under `y`: PSNR in dB, SSIM."""
LR = {"given-lr": GIVEN, "pillow-lr": "bicubic"}


def means(store: Store) -> list[dict[str, Any]]:
    assert problems(store) == []
    found = document(store, store.run("test"))
    assert found["cells_done"] == found["cells_total"]
    return found["means"]


def test_bicubic_gives_the_published_table_of_set5_and_set14(store: Store, published_sets: Path) -> None:
    event = compute(store, plan_of(published_sets / "Set5", published_sets / "Set14", scales=(2, 3, 4)))
    assert event["state"] == "done"
    found = {(mean["dataset"], mean["scale"]): mean for mean in means(store)}
    assert found.keys() == PUBLISHED.keys()
    for place, (psnr_db, ssim) in PUBLISHED.items():
        luma = found[place]["scores"]["y"]
        assert luma["psnr_db"] == pytest.approx(psnr_db, abs=0.005), place
        assert luma["ssim"] == pytest.approx(ssim, abs=0.0002), place
    told = json.loads(run_command("claims", "--json").stdout)
    judged = [claim for claim in told["claims"] if claim["system"] == "bicubic" and claim["dataset"] in ("Set5", "Set14")]
    assert [claim["status"] for claim in judged] == ["reproduced"] * 12
    assert {claim["run"] for claim in judged} == {"test"}
    assert told["counts"] == {"reproduced": 12 + 4, "not measurable here": 61}, "and the four counts of parameters"


def assert_expected(store: Store, published_sets: Path, lr: str, scale: int, wanted: tuple[str, ...] | None) -> None:
    """Means over Set5 equal those that independent programs computed."""
    table = json.loads((published_sets.parent / "docs" / "expected_set5.json").read_text())[f"Set5/x{scale}/{lr}"]
    ids = tuple(name for name in table if wanted is None or name in wanted)
    assert compute(store, plan_of(published_sets / "Set5", scales=(scale,), upscaler_ids=ids, lr=LR[lr]))["state"] == "done"
    found = {mean["upscaler"]: mean["scores"] for mean in means(store)}
    assert found.keys() == set(ids)
    for name in ids:
        for protocol, numbers in table[name].items():
            exact = name in INTERPOLATORS
            psnr_db, ssim = found[name][protocol]["psnr_db"], found[name][protocol]["ssim"]
            assert psnr_db == pytest.approx(numbers["psnr_db"], abs=0.005 if exact else 0.01), (name, protocol)
            assert ssim == pytest.approx(numbers["ssim"], abs=0.0002 if exact else 0.0003), (name, protocol)


@pytest.mark.parametrize("lr", list(LR))
def test_quick_networks_give_the_expected_numbers_of_set5(store: Store, published_sets: Path, weights_at_hand: list[Path], lr: str) -> None:
    assert_expected(store, published_sets, lr, 4, QUICK_NETWORKS)


@pytest.mark.long
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("lr", list(LR))
def test_all_networks_at_hand_give_the_expected_numbers_of_set5(
    store: Store, published_sets: Path, weights_at_hand: list[Path], lr: str, scale: int
) -> None:
    assert_expected(store, published_sets, lr, scale, None)
