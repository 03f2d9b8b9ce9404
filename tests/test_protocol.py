"""Which pixels are compared, and the published and the measured tables that must come out."""

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.degradation import downscale
from core.errors import ImageError, UnknownIdError
from metrics import PROTOCOLS, Fingerprint, ProtocolScores, psnr_db, score
from metrics.protocol import LumaPlane, prepare

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

FINGERPRINT = Fingerprint(
    protocol="y",
    downscale="bicubic",
    downscale_library="Pillow 13.0.0",
    scale=4,
    crop="right and bottom to a multiple of the scale",
    tile=64,
    weights_sha256="ab" * 32,
    options=(("denoise", 0.5),),
    seed=None,
    runtime="openvino",
    runtime_version="OpenVINO 2026.1.0",
    precision="f32",
    stored_channels=3,
    lr_source="bicubic",
    region=(8, 16, 512, 512),
)


def rgb(path: Path) -> np.ndarray:
    return np.array(Image.open(path).convert("RGB"))


def score_set(folder: Path, scale: int, method: str, *, given_lr: bool = True) -> list[dict[str, ProtocolScores]]:
    """Scores of each picture of a set, enlarged by Pillow."""
    scores = []
    for path in sorted((folder / f"x{scale}" / "HR").glob("*.png")):
        original = rgb(path)
        small = rgb(folder / f"x{scale}" / "LR" / path.name) if given_lr else downscale(original, scale)
        large = np.array(Image.fromarray(small).resize((original.shape[1], original.shape[0]), FILTERS[method]))
        stored_channels = 1 if Image.open(path).mode == "L" else 3
        scores.append(score(large, original, scale=scale, stored_channels=stored_channels))
    return scores


def mean(scores: list[dict[str, ProtocolScores]], protocol: str, metric: str) -> float:
    return fmean(one[protocol][metric] for one in scores)


@pytest.mark.parametrize(
    ("dataset", "pictures", "scale", "psnr_db", "ssim"),
    [
        ("Set5", 5, 2, 33.64, 0.9292),
        ("Set5", 5, 3, 30.39, 0.8678),
        ("Set5", 5, 4, 28.42, 0.8101),
        ("Set14", 14, 2, 30.22, 0.8683),
        ("Set14", 14, 3, 27.53, 0.7737),
        ("Set14", 14, 4, 25.99, 0.7023),
    ],
)
def test_bicubic_gives_the_numbers_of_the_papers(
    published_sets: Path, dataset: str, pictures: int, scale: int, psnr_db: float, ssim: float
) -> None:
    scores = score_set(published_sets / dataset, scale, "bicubic")
    assert len(scores) == pictures
    assert mean(scores, "y", "psnr_db") == pytest.approx(psnr_db, abs=0.005)
    assert mean(scores, "y", "ssim") == pytest.approx(ssim, abs=0.0002)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("lr", ["given", "pillow"])
def test_interpolators_give_the_measured_table_of_set5_under_every_protocol(published_sets: Path, scale: int, lr: str) -> None:
    table = published_sets.parent / "docs" / "expected_set5.json"
    if not table.exists():
        pytest.skip(f"There is no {table.name} beside the test data.")
    expected = json.loads(table.read_text(encoding="utf-8"))[f"Set5/x{scale}/{lr}-lr"]
    for method in FILTERS:
        scores = score_set(published_sets / "Set5", scale, method, given_lr=lr == "given")
        for protocol in PROTOCOLS.ids():
            for metric, tolerance in (("mse", 0.001), ("psnr_db", 0.0002), ("ssim", 0.0001)):
                assert mean(scores, protocol, metric) == pytest.approx(expected[method][protocol][metric], abs=tolerance), (
                    method,
                    protocol,
                    metric,
                )


def test_only_the_stored_mode_decides_how_a_grey_picture_is_scored(published_sets: Path) -> None:
    paths = sorted((published_sets / "Set14" / "x4" / "HR").glob("*.png"))
    grey = [path for path in paths if (np.ptp(rgb(path), axis=2) == 0).all()]
    assert sorted(Image.open(path).mode for path in grey) == ["L", "RGB"]
    # Bicubic x4 over all pictures as published; by equal channels it would be higher, always through luma lower.
    own_values_for = {"stored mode": {"L"}, "equal channels": {"L", "RGB"}, "never": set[str]()}
    means = {rule: set14_bicubic_psnr_db(paths, set(grey), modes) for rule, modes in own_values_for.items()}
    assert {rule for rule, value in means.items() if round(value, 2) == 25.99} == {"stored mode"}


def set14_bicubic_psnr_db(paths: list[Path], grey: set[Path], own_values_for: set[str]) -> float:
    """Mean PSNR under `y` if grey pictures of these modes are scored on their own values."""
    values: list[float] = []
    for path in paths:
        original, small = rgb(path), Image.fromarray(rgb(path.parents[1] / "LR" / path.name))
        large = np.array(small.resize((original.shape[1], original.shape[0]), FILTERS["bicubic"]))
        own = path in grey and Image.open(path).mode in own_values_for
        value = psnr_db(*prepare(large, original, protocol=PROTOCOLS.get("y"), scale=4, stored_channels=1 if own else 3))
        assert value is not None
        values.append(value)
    return fmean(values)


def test_a_picture_stored_with_one_channel_is_scored_on_its_own_values() -> None:
    rng = np.random.default_rng(0)
    reference = np.repeat(rng.integers(0, 256, (40, 40, 1)).astype(np.uint8), 3, axis=2)
    image = np.repeat(rng.integers(0, 256, (40, 40, 1)).astype(np.uint8), 3, axis=2)
    image[..., 1:] = 0
    inner = np.s_[2:-2, 2:-2, 0]
    expected_mse = np.square(image[inner].astype(float) - reference[inner]).mean()
    own = score(image, reference, scale=2, stored_channels=1)
    assert own["y"] == own["y-float"]
    assert own["y"]["mse"] == pytest.approx(expected_mse, rel=1e-12)
    assert own["rgb"] == score(image, reference, scale=2, stored_channels=3)["rgb"]


@pytest.mark.parametrize(
    ("colour", "luma"),
    [
        ((0, 0, 0), 16.0),
        ((255, 255, 255), 235.0),
        ((255, 0, 0), 81.481),
        ((0, 255, 0), 144.553),
        ((0, 0, 255), 40.966),
        ((128, 128, 128), 16 + 219 * 128 / 255),
    ],
)
def test_luma_is_that_of_bt_601(colour: tuple[int, int, int], luma: float) -> None:
    pixel = np.array([[colour]], np.uint8)
    assert LumaPlane(pixel, rounded=False)[:].item() == pytest.approx(luma, abs=1e-12)
    assert LumaPlane(pixel, rounded=True)[:].item() == round(luma)


def test_luma_halfway_between_two_levels_is_rounded_up() -> None:
    # 65481 R + 128553 G + 24966 B = 127500 (modulo 255000), found by trying all colours.
    halves = [(r, g, b) for r, g, b in np.ndindex(256, 256, 8) if (65_481 * r + 128_553 * g + 24_966 * b) % 255_000 == 127_500]
    assert halves
    pixels = np.array([halves], np.uint8)
    exact = LumaPlane(pixels, rounded=False)[:]
    assert (exact % 1 == 0.5).all()
    assert (LumaPlane(pixels, rounded=True)[:] == exact + 0.5).all()


@pytest.mark.parametrize(("protocol_id", "shape"), [("rgb", (50, 60, 3)), ("y", (44, 54)), ("y-float", (44, 54))])
def test_the_luma_protocols_cut_one_scale_from_each_side(protocol_id: str, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)
    planes = prepare(image, image, protocol=PROTOCOLS.get(protocol_id), scale=3, stored_channels=3)
    assert [plane.shape for plane in planes] == [shape, shape]
    assert planes[0][:].shape == shape


def test_rows_of_luma_are_those_of_the_whole_plane() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)
    plane = LumaPlane(image, rounded=False)
    expected = 16 + image.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255
    np.testing.assert_allclose(plane[:], expected, atol=1e-12)
    np.testing.assert_array_equal(plane[7:19], plane[:][7:19])


def test_two_sizes_are_refused_before_anything_is_cut() -> None:
    with pytest.raises(ImageError, match="20x10 with 3 channels and the original 10x20"):
        prepare(
            np.zeros((10, 20, 3), np.uint8),
            np.zeros((20, 10, 3), np.uint8),
            protocol=PROTOCOLS.get("y"),
            scale=2,
            stored_channels=3,
        )


def test_a_misspelt_protocol_gets_a_suggestion() -> None:
    with pytest.raises(UnknownIdError, match="y-float"):
        PROTOCOLS.get("y_float")


def test_a_fingerprint_is_the_same_everywhere() -> None:
    # sha256 of the fields as JSON with sorted keys and no spaces, made with `sha256sum`.
    assert FINGERPRINT.id == "ea7fa6f2ba7925a5"


def test_a_fingerprint_changes_with_every_field() -> None:
    fields = FINGERPRINT.as_dict()
    other: dict[str, Any] = {
        **dict.fromkeys(fields, "other"),
        "scale": 3,
        "tile": None,
        "stored_channels": 1,
        "region": None,
        "options": (),
    }
    ids = {FINGERPRINT.id} | {Fingerprint(**{**vars(FINGERPRINT), name: other[name]}).id for name in fields}
    assert len(ids) == len(fields) + 1


def test_a_fingerprint_survives_json() -> None:
    fields = FINGERPRINT.as_dict()
    assert json.loads(json.dumps(fields)) == fields
    assert fields["region"] == [8, 16, 512, 512]
