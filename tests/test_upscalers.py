"""Every upscaler at every scale keeps the contract of `Upscaler.__call__`."""

import os
from io import BytesIO
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

import upscalers
from core.errors import ModelError, UnavailableError, UnknownIdError, UsageError, WeightsError
from core.image import decode, resize_alpha
from core.weights import locate
from runtimes import RUNTIMES
from runtimes.base import NetworkSource, Placement
from tests import diffusion_models, networks
from tests.pictures import noise, scene
from upscalers.base import to_levels

CASES = [(spec.id, scale) for spec in upscalers.registry() for scale in spec.scales]
QUICK = {"sd-x4-upscaler": {"steps": 2}}
"""Options with which a test does not wait."""
SIZES = [(1, 1), (3, 5), (1, 500), (65, 127)]
"""Height and width."""


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stand-ins for the weights that are too large to have at hand."""
    folder = tmp_path_factory.mktemp("weights")
    for scale in (2, 3, 4):
        networks.write_edsr_graph(folder / f"EDSR_x{scale}.pb", scale=scale)
        for upscaler_id in ("rcan-bam", "drln-bam"):
            networks.write_residual(folder / upscaler_id / f"pytorch_model_{scale}x.pt", upscaler_id=upscaler_id, scale=scale)
        for upscaler_id, stem in (("dat-light", "DAT_light"), ("dat-s", "DAT_S"), ("dat-2", "DAT_2"), ("dat", "DAT")):
            networks.write_dat(folder / f"{stem}_x{scale}.pth", scale=scale, upscaler_id=upscaler_id)
    networks.write_rrdbnet(folder / "RealESRGAN_x2.pth", scale=2, unshuffle=True)
    networks.write_rrdbnet(folder / "RealESRGAN_x4.pth", scale=4)
    networks.write_rrdbnet(folder / "RealESRGAN_x8.pth", scale=8)
    networks.write_rrdbnet(folder / "ESRGAN.pth", scale=4, key=None)
    networks.write_rrdbnet(folder / "RealESRGAN_x4plus.pth", scale=4)
    networks.write_rrdbnet(folder / "RealESRGAN_x4plus_anime_6B.pth", scale=4)
    networks.write_rrdbnet(folder / "RealESRGAN_x2plus.pth", scale=2, unshuffle=True)
    diffusion_models.write(folder)
    return folder


@pytest.fixture
def weights(generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights at hand come first, the stand-ins after them."""
    at_hand = os.environ.get("UPSCALE_BENCH_WEIGHTS", "")
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", os.pathsep.join(filter(None, (at_hand, str(generated)))))


@pytest.fixture
def loaded(weights: None, request: pytest.FixtureRequest):
    """The upscaler of the test's case, ready to be called."""
    upscaler_id, scale = request.param
    spec = upscalers.get(upscaler_id)
    missing = [file.name for file in spec.required_weights(scale) if locate(file) is None]
    if missing:
        if os.environ.get("CI"):
            pytest.fail(f"{missing} should be in UPSCALE_BENCH_WEIGHTS.")
        pytest.skip(f"Set UPSCALE_BENCH_WEIGHTS to directories with {', '.join(missing)}.")
    with upscalers.create(upscaler_id, scale, QUICK.get(upscaler_id)).load(spec.runtime(), Placement(device="cpu")) as upscaler:
        yield upscaler


@pytest.mark.parametrize("loaded", CASES, indirect=True, ids=[f"{name}@x{scale}" for name, scale in CASES])
def test_every_upscaler_keeps_the_contract(loaded: upscalers.Upscaler) -> None:
    scale = int(loaded.scale)
    for height, width in SIZES:
        picture = noise(width, height)
        picture.setflags(write=False)
        before = picture.copy()
        progress = Mock()
        result = loaded(picture, seed=1, progress=progress)
        assert result.shape == (height * scale, width * scale, 3)
        assert result.dtype == np.uint8
        assert result.flags.c_contiguous
        assert np.array_equal(picture, before)
        done, total = progress.call_args.args
        assert done == total
        if loaded.spec.progress_unit == "tile":
            assert progress.call_count == total
        else:
            assert total % int(loaded.options["steps"]) == 0
        assert np.array_equal(result, loaded(picture, seed=1))
    # A grey picture with transparency, as it comes from its file.
    buffer = BytesIO()
    Image.fromarray(noise(11, 7)[..., :2], "LA").save(buffer, "PNG")
    grey = decode(buffer.getvalue())
    assert grey.alpha is not None
    result = loaded(grey.rgb, seed=1)
    assert result.shape == (7 * scale, 11 * scale, 3)
    assert resize_alpha(grey.alpha, 11 * scale, 7 * scale).shape == result.shape[:2]


REAL = [
    case
    for case in CASES
    if case[0].startswith(("opencv-espcn", "opencv-fsrcnn", "opencv-lapsrn", "realesr-")) or not upscalers.get(case[0]).weights
]


@pytest.mark.parametrize("loaded", REAL, indirect=True, ids=lambda case: f"{case[0]}@x{case[1]}")
def test_a_flat_grey_picture_stays_grey(loaded: upscalers.Upscaler) -> None:
    result = loaded(np.full((40, 40, 3), 128, np.uint8))
    middle = result[result.shape[0] // 3 : -result.shape[0] // 3, result.shape[1] // 3 : -result.shape[1] // 3].astype(int)
    assert np.abs(middle - 128).max() <= 6


@pytest.mark.parametrize("spec", list(upscalers.registry()), ids=lambda spec: spec.id)
def test_every_spec_is_complete(spec: upscalers.UpscalerSpec) -> None:
    assert spec.id == spec.id.lower()
    assert " " not in spec.id
    assert spec.summary.endswith(".")
    assert spec.reference.startswith("https://")
    assert spec.license
    assert spec.scales == tuple(sorted(spec.scales))
    assert set(spec.runtimes) <= set(RUNTIMES.ids())
    assert set(spec.weights) in (set(), set(spec.scales))
    assert all(scale in spec.seconds_per_mp for scale in spec.scales)
    for scale in spec.scales:
        status = spec.status(scale)
        assert (status.reason is None) == (status.kind == "ready")


def test_weight_file_names_are_unique_across_the_catalogue() -> None:
    names = [file.name for spec in upscalers.registry() for files in spec.weights.values() for file in files]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("upscaler_id", "resample"), [(name, Image.Resampling[name.upper()]) for name in ("nearest", "bilinear", "bicubic", "lanczos")]
)
def test_interpolators_are_pillows_filters_also_at_fractions(upscaler_id: str, resample: Image.Resampling) -> None:
    picture = Image.fromarray(scene(37, 21))
    result = upscalers.upscale(picture, upscaler_id, scale=2.5)
    assert result.size == (92, 52)
    assert np.array_equal(np.asarray(result), np.asarray(picture.resize((92, 52), resample)))


@pytest.mark.parametrize("runtime", ["opencv", "openvino"])
@pytest.mark.parametrize(
    ("upscaler_id", "stem", "algorithm"),
    [
        ("opencv-espcn", "ESPCN", "espcn"),
        ("opencv-fsrcnn", "FSRCNN", "fsrcnn"),
        ("opencv-fsrcnn-small", "FSRCNN-small", "fsrcnn"),
        ("opencv-lapsrn", "LapSRN", "lapsrn"),
    ],
)
def test_opencv_networks_give_the_pixels_of_dnn_superres(
    upscaler_id: str, stem: str, algorithm: str, runtime: str, weights_at_hand: list[Path]
) -> None:
    import cv2

    picture = scene(65, 48)
    for scale in upscalers.get(upscaler_id).scales:
        oracle = cv2.dnn_superres.DnnSuperResImpl.create()
        oracle.readModel(
            str(next(folder / f"{stem}_x{scale}.pb" for folder in weights_at_hand if (folder / f"{stem}_x{scale}.pb").exists()))
        )
        oracle.setModel(algorithm, scale)
        expected = oracle.upsample(np.ascontiguousarray(picture[..., ::-1]))[..., ::-1].astype(int)
        with upscalers.create(upscaler_id, scale).load(runtime, Placement()) as upscaler:
            difference = np.abs(upscaler(picture).astype(int) - expected)
        assert difference.max() <= 2
        assert (difference > 0).mean() < 0.005


@pytest.mark.parametrize("runtime", ["opencv", "openvino"])
def test_edsr_takes_bgr_without_the_mean_and_gives_it_back(runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.signal import correlate2d

    kernel = networks.write_edsr_graph(tmp_path / "EDSR_x2.pb", scale=2)
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    picture = noise(12, 9)
    with upscalers.create("opencv-edsr", 2).load(runtime, Placement()) as upscaler:
        result = upscaler(picture)
    mean = np.array([103.1545782, 111.561547, 114.35629928])
    bgr = picture[..., ::-1].astype(float) - mean
    planes = [sum(correlate2d(bgr[..., i], kernel[..., i, o], mode="same") for i in range(3)) for o in range(12)]
    expected = np.empty((18, 24, 3))
    for row in range(2):
        for column in range(2):
            for channel in range(3):
                expected[row::2, column::2, channel] = planes[(row * 2 + column) * 3 + channel]
    expected = np.clip(np.rint(expected + mean), 0, 255)[..., ::-1]
    assert np.abs(result.astype(int) - expected).max() <= 1
    assert (result != expected).mean() < 0.01


def test_denoise_strength_mixes_the_weights_of_two_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    paths = [tmp_path / "realesr-general-x4v3.pth", tmp_path / "realesr-general-wdn-x4v3.pth"]
    for seed, path in enumerate(paths):
        networks.write_compact(path, scale=4, convolutions=2, features=8, seed=seed)
    states = [torch.load(path, weights_only=True)["params"] for path in paths]
    picture = scene(16, 12)

    def enlarge(denoise: float) -> np.ndarray:
        with upscalers.create("realesr-general-x4v3", 4, {"denoise": denoise}).load("torch", Placement(device="cpu")) as upscaler:
            return upscaler(picture)

    first, second, mixed = enlarge(1.0), enlarge(0.0), enlarge(0.25)
    torch.save({"params": {name: 0.25 * states[0][name] + 0.75 * states[1][name] for name in states[0]}}, paths[0])
    assert np.array_equal(mixed, enlarge(1.0))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, mixed)


def test_full_strength_needs_only_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    networks.write_compact(tmp_path / "realesr-general-x4v3.pth", scale=4, convolutions=2, features=8)
    assert upscalers.create("realesr-general-x4v3", 4).load("torch", Placement(device="cpu"))
    with pytest.raises(WeightsError, match=r"realesr-general-wdn-x4v3\.pth"):
        upscalers.create("realesr-general-x4v3", 4, {"denoise": 0.5}).load("torch", Placement(device="cpu"))


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: networks.write_compact(path, scale=2, convolutions=2, features=8), "Compact x2 weights"),
        (lambda path: path.write_bytes(b"<html>not here</html>"), "damaged"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (
            lambda path: (
                networks.write_rrdbnet(path.with_suffix(".whole"), scale=4)
                or path.write_bytes(path.with_suffix(".whole").read_bytes()[:5000])
            ),
            "damaged",
        ),
    ],
    ids=["wrong scale", "web page", "empty", "cut"],
)
def test_a_wrong_or_damaged_weight_file_is_refused_in_one_line(write, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    write(tmp_path / "realesr-animevideov3.pth")
    with pytest.raises(WeightsError, match=words) as refused:
        upscalers.create("realesr-animevideov3", 4).load("torch", Placement(device="cpu"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("runtime", ["opencv", "openvino"])
@pytest.mark.parametrize("damage", ["garbage", "empty", "cut"])
def test_a_damaged_graph_is_refused_in_one_line(runtime: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    networks.write_edsr_graph(tmp_path / "EDSR_x2.pb", scale=2)
    whole = (tmp_path / "EDSR_x2.pb").read_bytes()
    (tmp_path / "EDSR_x2.pb").write_bytes({"garbage": b"garbage" * 100, "empty": b"", "cut": whole[: len(whole) // 2]}[damage])
    with pytest.raises(WeightsError, match=r"EDSR_x2\.pb is damaged") as refused:
        upscalers.create("opencv-edsr", 2).load(runtime, Placement())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("runtime", ["opencv", "openvino"])
def test_a_graph_without_the_result_is_refused_in_one_line(runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    networks.write_edsr_graph(tmp_path / "EDSR_x2.pb", scale=2)
    graph = (tmp_path / "EDSR_x2.pb").read_bytes()
    (tmp_path / "EDSR_x2.pb").write_bytes(graph.replace(b"NCHW_output", b"ABCD_output"))
    with pytest.raises(WeightsError, match=r"EDSR_x2\.pb is damaged: it has no node NCHW_output") as refused:
        upscalers.create("opencv-edsr", 2).load(runtime, Placement())
    assert "\n" not in str(refused.value)


def test_code_in_a_pickle_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    marker = tmp_path / "marker"

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    (tmp_path / "realesr-animevideov3.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(WeightsError):
        upscalers.create("realesr-animevideov3", 4).load("torch", Placement(device="cpu"))
    assert not marker.exists()


def test_user_mistakes_are_named() -> None:
    with pytest.raises(UnknownIdError, match="Did you mean 'opencv-fsrcnn'"):
        upscalers.get("opencv-frscnn")
    with pytest.raises(UsageError, match="x2, x4, x8"):
        upscalers.create("opencv-lapsrn", 3)
    with pytest.raises(UsageError, match="has no option 'strength'"):
        upscalers.create("bicubic", 2, {"strength": 1})
    with pytest.raises(UsageError, match="from 0 to 1; got '7'"):
        upscalers.create("realesr-general-x4v3", 4, {"denoise": "7"})
    with pytest.raises(UsageError, match="from 0 to 1; got 'nan'"):
        upscalers.create("realesr-general-x4v3", 4, {"denoise": "nan"})
    with pytest.raises(UsageError, match="runs on openvino, opencv, not on torch"):
        upscalers.get("opencv-espcn").runtime("torch")


def test_not_a_number_is_no_picture() -> None:
    with pytest.raises(ModelError, match="NaN"):
        to_levels(np.array([0.5, np.nan], np.float32))
    assert to_levels(np.array([-0.1, 0.5, 1.2], np.float32)).tolist() == [0, 128, 255]


@pytest.mark.parametrize("runtime", list(RUNTIMES), ids=lambda runtime: runtime.id)
def test_every_runtime_keeps_the_contract(runtime) -> None:
    assert runtime.unavailable_reason() is None
    assert runtime.version().split()[-1][0].isdigit()
    with pytest.raises(UnavailableError) as refused:
        runtime.open(NetworkSource(key="nothing"), Placement())
    assert "\n" not in str(refused.value)
