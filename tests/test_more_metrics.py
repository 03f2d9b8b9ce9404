"""The metrics that are computed on request. The oracles: the papers once more, plainly (`tests.paper_metrics`), piq, and lpips."""

import json
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.errors import UnknownIdError, WeightsError
from metrics import METRICS, MORE, base, learned, score, score_more
from tests import paper_metrics
from tests.pictures import noise, scene

PLAIN: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "ms_ssim": paper_metrics.ms_ssim,
    "vif": paper_metrics.vif,
    "gmsd": paper_metrics.gmsd,
    "haarpsi": paper_metrics.haarpsi,
}
each_plain = pytest.mark.parametrize("name", list(PLAIN))


def pair(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture made worse in several ways, and the picture."""
    reference = (0.7 * scene(width, height) + 0.3 * noise(width, height)).astype(np.uint8)
    worse = reference.astype(float) + np.random.default_rng(5).normal(0, 8, reference.shape)
    worse[:, : width // 3] = 128 + 0.6 * (worse[:, : width // 3] - 128)
    worse[height // 2 :, :, 2] += 12
    return worse.clip(0, 255).astype(np.uint8), reference


@each_plain
@pytest.mark.parametrize("size", [(176, 208), (165, 201), (200, 163)])
@pytest.mark.parametrize("grey", [False, True])
def test_values_are_those_of_the_paper(name: str, size: tuple[int, int], grey: bool) -> None:
    image, reference = (np.ascontiguousarray(each[..., 0]) if grey else each for each in pair(*size))
    assert METRICS.get(name).fn(image, reference) == pytest.approx(PLAIN[name](image, reference), abs=1e-9)


@pytest.mark.parametrize(("name", "function", "tolerance"), [
    ("ms_ssim", "multi_scale_ssim", 1e-9),
    ("vif", "vif_p", 1e-6),
    ("gmsd", "gmsd", 1e-9),
    # It has more digits in its colour differences than the authors' code.
    ("haarpsi", "haarpsi", 1e-4),
])  # fmt: skip
def test_values_are_those_of_piq(name: str, function: str, tolerance: float) -> None:
    import piq
    import torch

    image, reference = pair(192, 176)
    tensors = [torch.from_numpy(each.astype(np.float64).transpose(2, 0, 1))[None] for each in (image, reference)]
    expected = float(getattr(piq, function)(*tensors, data_range=255.0))
    assert METRICS.get(name).fn(image, reference) == pytest.approx(expected, abs=tolerance)


@each_plain
@pytest.mark.parametrize("strip_pixels", [1, 3_000, 1 << 30])
def test_strips_do_not_change_a_value(monkeypatch: pytest.MonkeyPatch, name: str, strip_pixels: int) -> None:
    image, reference = pair(165, 203)
    expected = METRICS.get(name).fn(image, reference)
    monkeypatch.setattr(base, "STRIP_PIXELS", strip_pixels)
    monkeypatch.setattr(base, "MIN_STRIP_ROWS", 1)
    assert METRICS.get(name).fn(image, reference) == pytest.approx(expected, abs=1e-12)


@each_plain
def test_the_same_pictures_have_the_same_value_to_the_last_bit(name: str) -> None:
    image, reference = pair(400, 700)
    assert len({METRICS.get(name).fn(image, reference) for _ in range(5)}) == 1


@each_plain
def test_no_whole_plane_is_held_in_memory(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(base, "STRIP_PIXELS", 1 << 13)
    monkeypatch.setattr(base, "MIN_STRIP_ROWS", 8)
    pool = ThreadPoolExecutor(2)
    monkeypatch.setattr(base, "_pool", lambda _: pool)
    image, reference = pair(1500, 1600)
    tracemalloc.start()
    METRICS.get(name).fn(image, reference)
    peak_mib = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    # One plane in float64 is 18 MiB; two of a quarter of that are the most that is kept.
    assert peak_mib < 1500 * 1600 * 8 / 2**20


def test_more_contrast_than_the_original_has_a_vif_above_1() -> None:
    reference = 128 + 0.5 * (scene(80, 80).astype(float) - 128)
    assert (METRICS.get("vif").fn(128 + 1.3 * (reference - 128), reference) or 0.0) > 1.1


def test_edges_that_differ_evenly_have_no_gmsd() -> None:
    flat = np.full((40, 40), 90, np.uint8)
    assert METRICS.get("gmsd").fn(flat, flat) == 0
    assert (METRICS.get("gmsd").fn(flat, scene(40, 40)[..., 0]) or 0.0) > 0.05


def test_of_a_flat_original_there_is_no_vif_and_the_reason_says_so() -> None:
    flat = np.full((64, 64, 3), 77, np.uint8)
    scores = score_more(["vif"], noise(64, 64), flat, scale=2, stored_channels=3)
    assert scores == {
        "rgb": {"values": {"vif": None}, "reasons": {"vif": "The original is flat: there is no information that could be kept."}}
    }


@pytest.mark.parametrize("name", ["ms_ssim", "vif", "gmsd", "haarpsi"])
def test_black_pictures_are_alike_or_undefined(name: str) -> None:
    black = np.zeros((170, 170, 3), np.uint8)
    assert METRICS.get(name).fn(black, black.copy()) == (None if name == "vif" else METRICS.get(name).identical)


def test_each_metric_stands_under_its_protocols_and_every_gap_has_a_reason() -> None:
    image, reference = pair(176, 168)
    scores = score_more(MORE.ids(), image, reference, scale=4, stored_channels=3)
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    assert list(scores["rgb"]["values"]) == ["ms_ssim", "vif", "gmsd", "haarpsi", "lpips"]
    assert list(scores["y"]["values"]) == list(scores["y-float"]["values"]) == ["ms_ssim"]
    for under in scores.values():
        assert set(under["reasons"]) == {name for name, value in under["values"].items() if value is None}
    # 168 less 4 on both sides.
    assert scores["y"]["reasons"]["ms_ssim"] == "MS-SSIM needs 161 pixels a side after the border cut of 4 pixels; here are 168x160."
    assert "upscale-bench weights fetch lpips" in scores["rgb"]["reasons"]["lpips"]


def test_the_luma_protocols_compare_rounded_and_unrounded_luma() -> None:
    image, reference = pair(200, 200)
    scores = score_more(["ms-ssim"], image, reference, scale=2, stored_channels=3)
    weights = np.array([65.481, 128.553, 24.966]) / 255
    planes = [16 + each[2:-2, 2:-2] @ weights for each in (image, reference)]
    rounded = [np.floor(each + 0.5 + 1e-9) for each in planes]
    assert scores["y-float"]["values"]["ms_ssim"] == pytest.approx(paper_metrics.ms_ssim(*planes), abs=1e-9)
    assert scores["y"]["values"]["ms_ssim"] == pytest.approx(paper_metrics.ms_ssim(*rounded), abs=1e-9)
    assert scores["rgb"]["values"]["ms_ssim"] == pytest.approx(paper_metrics.ms_ssim(image, reference), abs=1e-9)


def test_one_metric_that_fails_takes_none_of_the_others_along(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr("metrics.gradients.math.sqrt", broken)
    scores = score_more(["gmsd", "haarpsi"], *pair(32, 32), scale=2, stored_channels=3)["rgb"]
    assert scores["values"]["haarpsi"] is not None
    assert scores["reasons"] == {"gmsd": "Internal error (ZeroDivisionError); the log has the details."}


def test_what_nobody_asked_for_is_not_computed() -> None:
    assert set(score(*pair(40, 40), scale=2, stored_channels=3)["rgb"]) == {"mse", "psnr_db", "ssim", "identical", "reason"}
    assert score_more([], *pair(40, 40), scale=2, stored_channels=3) == {}
    with pytest.raises(UnknownIdError, match="Did you mean 'ms-ssim'"):
        score_more(["msssim"], *pair(40, 40), scale=2, stored_channels=3)


@pytest.mark.parametrize("size", [(64, 64), (70, 65), (90, 1000), (70, 1031), (80, 1100)])
def test_lpips_in_bands_is_lpips_of_the_whole(random_alexnet: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    import torch

    network = learned.load(str(random_alexnet))
    image, reference = pair(*size)
    tensors = [torch.from_numpy(each.astype(np.float32).transpose(2, 0, 1))[None] / 127.5 - 1 for each in (image, reference)]
    with torch.inference_mode():
        expected = float(network(*tensors))
    monkeypatch.setattr(learned, "BAND_ROWS", 256)
    assert expected > 1e-3
    assert learned.lpips(image, reference) == pytest.approx(expected, rel=1e-5)


def test_lpips_sees_what_the_file_says(random_alexnet: Path) -> None:
    import torch

    published = torch.load(random_alexnet, weights_only=True)
    # The package numbers the layers within its slices: slice2.3.weight.
    loaded = {name.split(".", 1)[1]: value for name, value in learned.load(str(random_alexnet)).net.state_dict().items()}
    assert {f"features.{name}" for name in loaded} == {name for name in published if name.startswith("features.")}
    assert all(torch.equal(value, published[f"features.{name}"]) for name, value in loaded.items())


def test_lpips_takes_no_weights_but_the_published_ones(alexnet_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(alexnet_file.parent))
    with pytest.raises(WeightsError, match="is not the published file: its sha256 is"):
        learned.lpips(*pair(64, 64))


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "alexnet-owt-7be5be79.pth"
    path.write_bytes(b"PK\x03\x04 not a network")
    with pytest.raises(WeightsError, match="damaged or is not AlexNet"):
        learned.load(str(path))


def test_a_metric_whose_package_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda _: None)
    assert MORE.get("lpips").unavailable_reason() == "LPIPS (AlexNet) needs the package lpips: run `pip install lpips`."
    assert MORE.get("vif").unavailable_reason() is None
