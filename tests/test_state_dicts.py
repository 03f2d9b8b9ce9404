"""Weight files are read as tensors, and whatever else a file may be is refused in one line."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import WeightsError
from upscalers.state_dicts import read_state_dict


def _tensors() -> dict[str, Any]:
    import torch

    return {"head.weight": torch.arange(6.0).reshape(2, 3), "head.bias": torch.ones(2, dtype=torch.float16)}


def _save(stored: object, path: Path) -> None:
    import torch

    torch.save(stored, path)


def _refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as refused:
        read_state_dict(path)
    line = str(refused.value)
    assert "\n" not in line
    assert line.startswith(path.name)
    return line


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda tensors: tensors,
        lambda tensors: {"params_ema": tensors, "params": {}},
        lambda tensors: {"epoch": 3, "state_dict": tensors},
        lambda tensors: {f"module.{name}": tensor for name, tensor in tensors.items()},
    ],
    ids=["bare", "below params_ema", "beside an epoch", "from several GPUs"],
)
def test_names_and_tensors_come_out_as_a_network_has_them(wrapped: Callable[[dict[str, Any]], object], tmp_path: Path) -> None:
    tensors = _tensors()
    _save(wrapped(tensors), tmp_path / "net.pth")
    read = read_state_dict(tmp_path / "net.pth")
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert read[name].equal(tensor)


@pytest.mark.parametrize("stored", [{}, {"weight": 3}, {"params": {"weight": None, "bias": 1.0}}], ids=["nothing", "a number", "nested"])
def test_a_file_without_tensors_is_refused(stored: object, tmp_path: Path) -> None:
    _save(stored, tmp_path / "net.pth")
    assert "holds no state dict" in _refusal(tmp_path / "net.pth")


@pytest.mark.parametrize("stored", [[1, 2], "text", 7], ids=["list", "text", "number"])
def test_a_file_of_another_kind_is_refused(stored: object, tmp_path: Path) -> None:
    _save(stored, tmp_path / "net.pth")
    assert "no weight file" in _refusal(tmp_path / "net.pth")


def test_a_program_is_refused_before_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/constants.pkl", b"")
        archive.writestr("net/code/__torch__.py", "raise SystemExit")
    monkeypatch.setattr("torch.load", lambda *_, **__: pytest.fail("It was opened."))
    assert "TorchScript" in _refusal(tmp_path / "net.pt")


def test_damage_is_told_wherever_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    _save(_tensors(), path)
    whole = path.read_bytes()
    for body in (b"", b"<html>", whole[: len(whole) // 2], whole.replace(b"PK\x01\x02", b"PK\x00\x00")):
        path.write_bytes(body)
        assert "damaged" in _refusal(path)
