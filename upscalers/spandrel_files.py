"""Networks in files of unknown origin: which architecture of spandrel's a file holds, and the network itself."""

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import WeightsError
from upscalers.model_rules import (
    MAX_INDEX,
    MAX_SCALE,
    MAX_TENSORS,
    exceeds_limits,
    is_damaged,
    is_no_upscaler,
    is_unknown,
    one_line,
)
from upscalers.state_dicts import read_state_dict

if TYPE_CHECKING:
    import torch
    from spandrel import ImageModelDescriptor

NUMBER = re.compile(r"\d+")


def read_tensors(path: Path) -> "dict[str, torch.Tensor]":
    """The tensors of a `.safetensors` file or of a file written by `torch.save`, by name, without a common prefix.

    Raises
    ------
    core.errors.ModelFileError
        The file is damaged or holds no tensors by name, or their names ask for too many layers.
    """
    tensors = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_pytorch(path)
    if not tensors:
        raise is_unknown("the file holds no tensors")
    if len(tensors) > MAX_TENSORS:
        raise exceeds_limits(f"it holds more than {MAX_TENSORS:,} tensors")
    for name in tensors:
        # The digits are counted first: Python refuses to read a number of thousands of them.
        if any(len(digits.lstrip("0")) > 9 or int(digits) > MAX_INDEX for digits in NUMBER.findall(name)):
            raise exceeds_limits(f"tensor {one_line(name)} counts further than {MAX_INDEX:,}")
    return tensors


def _read_safetensors(path: Path) -> "dict[str, torch.Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from spandrel import canonicalize_state_dict

    try:
        return canonicalize_state_dict(load_file(path))
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise is_damaged(f"structure: {error}") from error


def _read_pytorch(path: Path) -> "dict[str, torch.Tensor]":
    try:
        return read_state_dict(path)
    except WeightsError as error:
        # The file has been scanned before: it is whole, and a mapping, but not one from names to tensors.
        raise is_unknown("the file holds other things than tensors by name (a state_dict)") from error


def open_network(path: Path) -> "ImageModelDescriptor[Any]":
    """The network of a file that `upscalers.pickle_scan` has let pass, or that is no pickle.

    Returns
    -------
    A network that enlarges RGB or luma by a whole number, in f32 on the CPU, in eval mode.

    Raises
    ------
    core.errors.ModelFileError
        The tensors belong to no network that spandrel knows, or to one that does something else.
    """
    from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

    tensors = read_tensors(path)
    # DAT calls it in the way that PyTorch announces to change; nothing that a person could act on.
    warnings.filterwarnings("ignore", message="torch.meshgrid", category=UserWarning)
    try:
        network = ModelLoader(device="cpu").load_from_state_dict(tensors)
    except UnsupportedModelError as error:
        raise is_unknown(f"spandrel knows no network with these {len(tensors):,} tensors") from error
    except MemoryError as error:
        raise exceeds_limits("the network needs more memory than there is") from error
    except Exception as error:
        # It takes the network's measures from single tensors and fails in any way where others are missing or do not fit.
        if "memory" in str(error):
            raise exceeds_limits("the network needs more memory than there is") from error
        raise is_unknown(f"its tensors are not those of the network that they resemble: {_reason(error)}") from error
    if not isinstance(network, ImageModelDescriptor) or network.purpose != "SR" or network.scale < 2:
        raise is_no_upscaler(f"it holds a {network.architecture.name} network for {_purpose(network.purpose)}")
    if network.scale > MAX_SCALE:
        raise exceeds_limits(f"it enlarges by {network.scale}; {MAX_SCALE} is allowed")
    if (network.input_channels, network.output_channels) not in {(3, 3), (1, 1)}:
        raise is_no_upscaler(
            f"it maps {network.input_channels} to {network.output_channels} channels; 3 to 3 (RGB) or 1 to 1 (luma) are expected"
        )
    network.float().eval()
    return network


def _purpose(purpose: str) -> str:
    known = {"Restoration": "cleaning pictures at their size", "FaceSR": "faces only", "Inpainting": "filling holes"}
    return known.get(purpose, "pictures at their size")


def _reason(error: Exception) -> str:
    """What a failed load says: PyTorch's list of keys begins on its second line."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return lines[min(1, len(lines) - 1)] if lines else type(error).__name__


def as_module(network: "ImageModelDescriptor[Any]") -> "torch.nn.Module":
    """The network as a module whose call is spandrel's: of networks with several outputs, or with another range, it gives the picture.

    It maps float32 `(1, C, H, W)` in 0..1 to `(1, C, scale·H, scale·W)` in 0..1.
    """
    import torch

    from upscalers.spandrel_models import for_inference

    if network.architecture.id == "DAT":
        return torch.nn.Sequential(for_inference(network), torch.nn.Hardtanh(0.0, 1.0)).eval()

    class Called(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network.model

        def forward(self, batch: "torch.Tensor") -> "torch.Tensor":
            return network(batch)

    return Called().eval()
