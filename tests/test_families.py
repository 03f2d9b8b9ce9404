"""The families that spandrel reads: networks of the published size, both ways of naming tensors, and files in the wrong place."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import upscalers
from core.errors import WeightsError
from runtimes.base import Placement
from tests import networks
from tests.pictures import noise, scene

if TYPE_CHECKING:
    import torch

FULL_SIZE: list[tuple[str, int, Callable[[Path], None]]] = [
    ("realesrgan-x4plus", 4, lambda path: networks.write_rrdbnet(path, scale=4, blocks=23)),
    ("realesrgan-x2plus", 2, lambda path: networks.write_rrdbnet(path, scale=2, blocks=23, unshuffle=True)),
    ("realesrgan-x4plus-anime-6b", 4, lambda path: networks.write_rrdbnet(path, scale=4, blocks=6)),
    ("realesrgan", 8, lambda path: networks.write_rrdbnet(path, scale=8, blocks=23)),
    ("esrgan", 4, lambda path: networks.write_rrdbnet(path, scale=4, blocks=23, key=None)),
    ("realesr-general-x4v3", 4, lambda path: networks.write_compact(path, scale=4, convolutions=32)),
    ("realesr-animevideov3", 4, lambda path: networks.write_compact(path, scale=4, convolutions=16)),
    ("dat-light", 3, lambda path: networks.write_dat(path, scale=3, upscaler_id="dat-light", shallow=False)),
    ("dat-s", 2, lambda path: networks.write_dat(path, scale=2, upscaler_id="dat-s", shallow=False)),
    ("dat-2", 3, lambda path: networks.write_dat(path, scale=3, upscaler_id="dat-2", shallow=False)),
    ("dat", 4, lambda path: networks.write_dat(path, scale=4, upscaler_id="dat", shallow=False)),
]


def tensors_in(path: Path) -> "dict[str, torch.Tensor]":
    import torch

    held = torch.load(path, weights_only=True, map_location="cpu")
    return next((held[key] for key in ("params_ema", "params") if key in held), held)


@pytest.mark.parametrize(("upscaler_id", "scale", "write"), FULL_SIZE, ids=[f"{name}@x{scale}" for name, scale, _ in FULL_SIZE])
def test_a_network_of_the_published_size_has_the_stated_numbers_and_keeps_the_contract(
    upscaler_id: str, scale: int, write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = upscalers.get(upscaler_id)
    path = tmp_path / spec.required_weights(scale)[0].name
    write(path)
    assert sum(tensor.numel() for tensor in tensors_in(path).values() if tensor.is_floating_point()) >= spec.parameter_count[scale]
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    with upscalers.create(upscaler_id, scale).load("torch", Placement(device="cpu")) as upscaler:
        result = upscaler(noise(17, 5))
    assert result.shape == (5 * scale, 17 * scale, 3)
    assert np.std(result.astype(float)) > 0


PAPER = {"dat": 14.80e6, "dat-s": 11.21e6, "dat-2": 11.21e6, "dat-light": 0.573e6}
"""Parameters at x4. Source: https://arxiv.org/abs/2308.03364, tables 1 and 3."""


@pytest.mark.parametrize("upscaler_id", PAPER)
def test_the_stated_numbers_of_parameters_are_the_papers(upscaler_id: str) -> None:
    assert upscalers.get(upscaler_id).parameter_count[4] == pytest.approx(PAPER[upscaler_id], rel=0.002)


@pytest.mark.parametrize("upscaler_id", ["realesr-general-x4v3", "realesr-animevideov3"])
def test_published_files_hold_the_stated_number_of_parameters(upscaler_id: str, weights_at_hand: list[Path]) -> None:
    spec = upscalers.get(upscaler_id)
    name = spec.required_weights(4)[0].name
    path = next(folder / name for folder in weights_at_hand if (folder / name).exists())
    assert sum(tensor.numel() for tensor in tensors_in(path).values()) == spec.parameter_count[4]


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_old_and_new_names_of_the_tensors_give_the_same_pixels(scale: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    path = tmp_path / f"RealESRGAN_x{scale}.pth"
    picture = scene(18, 12)

    def enlarge() -> np.ndarray:
        with upscalers.create("realesrgan", scale).load("torch", Placement(device="cpu")) as upscaler:
            return upscaler(picture)

    networks.write_rrdbnet(path, scale=scale, blocks=2, unshuffle=scale == 2, key=None)
    old_names = tensors_in(path)
    first = enlarge()
    new_names = networks.renamed_like_basicsr(old_names, blocks=2)
    assert not set(old_names) & set(new_names)
    assert {"conv_first.weight", "body.1.rdb3.conv5.bias", "conv_hr.weight", f"conv_up{3 if scale == 8 else 2}.bias"} <= set(new_names)
    torch.save({"params_ema": new_names}, path)
    assert np.array_equal(first, enlarge())


@pytest.mark.parametrize(
    ("upscaler_id", "write", "held", "needed"),
    [
        ("dat", lambda path: networks.write_rrdbnet(path, scale=4), "ESRGAN x4", "DAT x4"),
        ("dat", lambda path: networks.write_dat(path, scale=2), "DAT x2", "DAT x4"),
        ("esrgan", lambda path: networks.write_compact(path, scale=4, convolutions=2), "RealESRGAN Compact x4", "ESRGAN x4"),
        ("realesrgan", lambda path: networks.write_rrdbnet(path, scale=8), "ESRGAN x8", "ESRGAN x4"),
        ("realesr-animevideov3", lambda path: networks.write_dat(path, scale=3), "DAT x3", "RealESRGAN Compact x4"),
    ],
)
def test_a_file_of_another_family_or_scale_is_refused_and_both_are_named(
    upscaler_id: str, write: Callable[[Path], None], held: str, needed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    path = tmp_path / upscalers.get(upscaler_id).required_weights(4)[0].name
    write(path)
    with pytest.raises(WeightsError) as refused:
        upscalers.create(upscaler_id, 4).load("torch", Placement(device="cpu"))
    text = str(refused.value)
    assert path.name in text
    assert f"holds {held} weights" in text
    assert f"needs {needed} weights" in text
    assert "\n" not in text


def test_a_network_for_grey_pictures_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    arch = importlib.import_module("spandrel.architectures.Compact.__arch.SRVGG")
    torch.manual_seed(0)
    grey = arch.SRVGGNetCompact(num_in_ch=1, num_out_ch=1, num_feat=8, num_conv=2, upscale=4, act_type="prelu")
    torch.save({"params": grey.state_dict()}, tmp_path / "realesr-animevideov3.pth")
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="maps 1 to 1 channels, not RGB to RGB"):
        upscalers.create("realesr-animevideov3", 4).load("torch", Placement(device="cpu"))
