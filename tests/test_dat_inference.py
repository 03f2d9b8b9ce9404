"""DAT arranged for inference gives the pixels of spandrel's own network."""

import copy
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import upscalers
from upscalers.spandrel_models import SpandrelUpscaler

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

SIZES = [(64, 64), (16, 16), (33, 40)]
"""With the masks that the file holds; smaller than a window; a multiple of nothing."""
SHAPES: list[dict[str, Any]] = [
    {"split_size": [8, 32], "expansion_factor": 2, "upscale": 2, "resi_connection": "3conv", "upsampler": "pixelshuffledirect"},
    {"split_size": [8, 16], "expansion_factor": 4, "upscale": 3, "resi_connection": "1conv", "upsampler": "pixelshuffle"},
    {"split_size": [16, 16], "expansion_factor": 2, "upscale": 4, "qkv_bias": False, "img_range": 255.0},
]


def spandrels_network(shape: dict[str, Any]) -> "torch.nn.Module":
    """A thin network with shifted windows in a group of each parity, of weights large enough to matter."""
    import torch

    arch = importlib.import_module("spandrel.architectures.DAT.__arch.DAT")
    torch.manual_seed(0)
    network = arch.DAT(img_size=64, embed_dim=64, depth=[3, 1], num_heads=[4, 4], **shape)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if "qkv.weight" in name or ".pos." in name:
                tensor.copy_((2.0 if ".pos." in name else 0.25) * torch.randn_like(tensor))
            elif "temperature" in name:
                tensor.copy_(3 * torch.rand_like(tensor))
        for name, tensor in network.named_buffers():
            if "running" in name:
                tensor.copy_(0.5 + torch.rand_like(tensor))
    return network.eval()


@pytest.fixture(autouse=True)
def one_thread() -> "Iterator[None]":
    """Threads of small networks wait for each other longer than they work, above all where the machine is busy."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("shape", SHAPES, ids=["light", "wide", "no bias"])
@pytest.mark.parametrize("batch", [1, 2])
def test_random_networks_give_the_pixels_of_the_published_code(shape: dict[str, Any], batch: int) -> None:
    import torch

    from upscalers.architectures.dat_inference import DATInference

    network = spandrels_network(shape)
    ours = DATInference(copy.deepcopy(network)).eval()
    for height, width in SIZES if batch == 1 else SIZES[2:]:
        picture = torch.rand(batch, 3, height, width)
        with torch.inference_mode():
            expected, result = network(picture), ours(picture)
        assert expected.std() > 0.01
        assert (result - expected).abs().max() <= 1e-5


def test_published_weights_give_the_pixels_of_the_published_code(dat_light: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    upscaler = upscalers.create("dat-light", 4)
    assert isinstance(upscaler, SpandrelUpscaler)
    upscaler._locate(upscaler._files())
    ours = upscaler._module()
    monkeypatch.setattr("upscalers.spandrel_models.for_inference", lambda network: network.model.eval())
    theirs = upscaler._module()
    assert type(ours) is not type(theirs)
    for height, width in ((64, 64), (33, 40)):
        picture = torch.rand(1, 3, height, width)
        with torch.inference_mode():
            assert (ours(picture) - theirs(picture)).abs().max() < 0.1 / 255
