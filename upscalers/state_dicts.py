"""Weight files of PyTorch networks, read as tensors and nothing else: a pickle may hold code, and none of it is run."""

import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import WeightsError

if TYPE_CHECKING:
    import torch

DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
)
"""What `torch.load` and what unwraps its result raise for a file that is no weight file."""


def read_state_dict(path: Path) -> "dict[str, torch.Tensor]":
    """The tensors of a weight file by name, on the CPU, in the precision in which they were stored.

    Training programs save them bare or below a key such as `params_ema` or `state_dict`, some with `module.` before each
    name; all of these give the same names.

    Parameters
    ----------
    path:
        A file written by `torch.save`.

    Raises
    ------
    core.errors.WeightsError
        The file is damaged, holds something other than tensors, or is a program (TorchScript). One line; it names the file.
    """
    import torch
    from spandrel import canonicalize_state_dict

    try:
        if _is_torchscript(path):
            raise WeightsError(f"{path.name} contains code (TorchScript); refused. Put the published weights in its place.")
        state_dict = canonicalize_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except DAMAGE as error:
        raise WeightsError(f"{path.name} is damaged or is no weight file: delete it and fetch it again.") from error
    if not state_dict or not all(isinstance(tensor, torch.Tensor) for tensor in state_dict.values()):
        raise WeightsError(f"{path.name} holds no state dict (tensors by name): put the published weights in its place.")
    return state_dict


def _is_torchscript(path: Path) -> bool:
    """Whether a file is a program rather than tensors: such archives hold their constants apart."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
