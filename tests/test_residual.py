"""RCAN-BAM and DRLN-BAM give what the package gives with which their weights were published; see data/make_residual_reference.py."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import upscalers
from core.errors import UnavailableError, WeightsError
from runtimes.base import Placement, Precision
from tests import networks
from tests.pictures import noise

FOLDER = Path(__file__).parent / "data" / "residual"
NAMES = json.loads((FOLDER / "names.json").read_text())
CASES = [(network_id, scale) for network_id in ("rcan-bam", "drln-bam") for scale in (2, 3, 4)]


def stored(network_id: str, scale: int) -> "tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]":
    """The weights of the thin network, its input and the oracle's output."""
    reference = np.load(FOLDER / f"{network_id}.npz")
    weights, start = {}, 0
    for line in reference["layout"]:
        key, _, shape = str(line).partition(" ")
        sides = [int(side) for side in shape.split("x")]
        values = reference["values"][start : start + int(np.prod(sides))].reshape(sides).astype(np.float32)
        start += values.size
        where, _, name = key.partition("/")
        if where in ("all", f"x{scale}"):
            weights[name] = values
    assert start == reference["values"].size
    return weights, reference["input"], reference[f"output_x{scale}"]


def size_of(network_id: str, tensors):
    from upscalers.architectures.drln_bam import DRLNBAMSize
    from upscalers.architectures.rcan_bam import RCANBAMSize

    return {"rcan-bam": RCANBAMSize, "drln-bam": DRLNBAMSize}[network_id].of(tensors)


@pytest.mark.parametrize(("network_id", "scale"), CASES)
def test_the_result_is_the_publishers_to_a_hundred_thousandth(network_id: str, scale: int) -> None:
    import torch

    weights, picture, expected = stored(network_id, scale)
    tensors = {name: torch.from_numpy(values) for name, values in weights.items()}
    size = size_of(network_id, tensors)
    assert size is not None
    assert size.scale == scale
    network = size.build().eval()
    network.load_state_dict(tensors, strict=True)
    with torch.inference_mode():
        result = network(torch.from_numpy(picture)).numpy()
    assert result.shape == expected.shape == (1, 3, 9 * scale, 8 * scale)
    assert np.abs(expected).max() > 0.1
    assert np.abs(result - expected).max() <= 1e-5 * max(1.0, float(np.abs(expected).max()))


@pytest.mark.parametrize(("network_id", "scale"), CASES)
def test_the_published_size_has_the_published_names_shapes_and_number_of_parameters(network_id: str, scale: int) -> None:
    import torch

    from upscalers.architectures.drln_bam import DRLNBAMSize
    from upscalers.architectures.rcan_bam import RCANBAMSize

    with torch.device("meta"):
        network = {"rcan-bam": RCANBAMSize, "drln-bam": DRLNBAMSize}[network_id](scale=scale).build()
    tensors = network.state_dict()
    lines = sorted(f"{name} {'x'.join(map(str, tensor.shape))}" for name, tensor in tensors.items())
    expected = NAMES[network_id][str(scale)]
    assert len(lines) == expected["tensors"]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == expected["sha256"]
    count = sum(tensor.numel() for tensor in tensors.values())
    assert count == expected["parameters"] == upscalers.get(network_id).parameter_count[scale]


def test_the_numbers_of_parameters_are_those_of_the_publisher() -> None:
    assert {key: upscalers.get(key).parameter_count[2] for key in NAMES} == {"rcan-bam": 15_441_667, "drln-bam": 34_163_455}
    assert {key: upscalers.get(key).parameter_count[4] for key in NAMES} == {"rcan-bam": 15_589_379, "drln-bam": 34_311_167}


def load(upscaler_id: str, scale: int, precision: Precision = "f32") -> upscalers.Upscaler:
    return upscalers.create(upscaler_id, scale).load("torch", Placement(device="cpu", precision=precision))


@pytest.mark.parametrize(
    ("held_id", "held_scale", "words"),
    [("drln-bam", 4, "holds DRLN-BAM at x4; RCAN-BAM at x4 is needed"), ("rcan-bam", 2, "holds RCAN-BAM at x2; RCAN-BAM at x4 is needed")],
)
def test_a_file_of_another_kind_or_scale_is_refused_and_both_are_named(
    held_id: str, held_scale: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    networks.write_residual(tmp_path / "rcan-bam" / "pytorch_model_4x.pt", upscaler_id=held_id, scale=held_scale)
    with pytest.raises(WeightsError, match=words):
        load("rcan-bam", 4)


def test_a_tensor_too_few_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    path = tmp_path / "drln-bam" / "pytorch_model_2x.pt"
    networks.write_residual(path, upscaler_id="drln-bam", scale=2)
    tensors = torch.load(path, weights_only=True)
    del tensors["tail.bias"]
    torch.save(tensors, path)
    with pytest.raises(WeightsError, match="tensors missing, left over or of wrong shapes"):
        load("drln-bam", 2)


def test_rcan_refuses_half_precision_which_its_mean_shift_does_not_survive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    networks.write_residual(tmp_path / "rcan-bam" / "pytorch_model_2x.pt", upscaler_id="rcan-bam", scale=2)
    with pytest.raises(UnavailableError, match="needs f32"):
        load("rcan-bam", 2, "bf16")


@pytest.mark.parametrize("upscaler_id", ["rcan-bam", "drln-bam"])
def test_the_published_size_runs_once(upscaler_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from upscalers.architectures.drln_bam import DRLNBAMSize
    from upscalers.architectures.rcan_bam import RCANBAMSize

    torch.manual_seed(0)
    path = tmp_path / upscaler_id / "pytorch_model_3x.pt"
    path.parent.mkdir()
    network = (RCANBAMSize if upscaler_id == "rcan-bam" else DRLNBAMSize)(scale=3).build()
    torch.save({name: tensor.half() for name, tensor in network.state_dict().items()}, path)
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    with load(upscaler_id, 3) as upscaler:
        assert upscaler(noise(7, 5)).shape == (15, 21, 3)
