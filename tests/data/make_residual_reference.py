"""Make the references of tests/test_residual.py: `python tests/data/make_residual_reference.py`, run from this repository's root.

The oracle is the package super-image 0.2.0 (https://github.com/eugenesiow/super-image), with which the weights were published.
It is no dependency of this project: install it beside torch in an environment of its own,
`pip install --no-deps super-image==0.2.0 h5py huggingface-hub`, with torchvision and opencv-python-headless there too.

It writes, for each network,

- `residual/ID.npz`: a thin variant with seeded random weights, a picture (`input`) and what the oracle makes of it at each scale
  (`output_x2`, ...). The weights lie one after the other in `values`; `layout` has a line for each tensor, such as
  `all/head.0.weight 8x3x3x3`, or `x4/tail.1.bias 3` for one that a single scale has. They are rounded to half precision before
  the oracle gets them, so that storing them so loses nothing.
- `residual/names.json`: per scale the number of parameters and tensors of the published size, and a hash over their names and shapes.
"""

import hashlib
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "residual"
SCALES = (2, 3, 4)


def thin_rcan(scale: int) -> Any:
    """Two groups of three blocks with 8 features."""
    oracle = importlib.import_module("super_image")
    return oracle.RcanModel(oracle.RcanConfig(scale=scale, bam=True, n_resgroups=2, n_resblocks=3, n_feats=8, reduction=4))


def thin_drln(scale: int) -> Any:
    """All 20 units, with 3 features: the oracle has no option for that, so its own layers are put in once more, thinner."""
    from torch import nn

    oracle = importlib.import_module("super_image")
    layers = importlib.import_module("super_image.models.drln.modeling_drln")
    attention = importlib.import_module("super_image.modeling_utils").BamBlock
    network, features = oracle.DrlnModel(oracle.DrlnConfig(scale=scale, bam=True)), 3
    for number in range(1, 21):
        block = layers.Bam(features, features)
        block.ca = attention(features, reduction=1)
        setattr(network, f"b{number}", block)
        parts = getattr(network, f"c{number}").body[0].in_channels // 64
        setattr(network, f"c{number}", layers.BasicBlock(parts * features, features, 3, 1, 1))
    network.head, network.tail = nn.Conv2d(3, features, 3, 1, 1), nn.Conv2d(features, 3, 3, 1, 1)
    network.upsample = layers.UpsampleBlock(features, scale, multi_scale=False)
    return network


def published(scale: int) -> Iterator[tuple[str, Any]]:
    """The networks at their published size, by id."""
    oracle = importlib.import_module("super_image")
    yield "rcan-bam", oracle.RcanModel(oracle.RcanConfig(scale=scale, bam=True))
    yield "drln-bam", oracle.DrlnModel(oracle.DrlnConfig(scale=scale, bam=True))


def draw(name: str, tensor: Any, random: np.random.Generator) -> np.ndarray:
    """Random numbers for one tensor, such that every layer matters to the result and none drowns it."""
    values = random.uniform(-1, 1, tensor.shape)
    if "_mean" in name:
        values = tensor.numpy() * (1 + 0.1 * values) + 0.05 * values
    elif "relu1" in name:
        values = 0.3 + 0.2 * values
    elif name.endswith("bias"):
        values *= 0.2
    else:
        attention = ".fc" in name or ".sa." in name
        values *= (2.0 if attention else 0.9) * np.sqrt(3 / values[0].size)
    return values.astype(np.float16)


def sizes(tensor: Any) -> str:
    """A shape as text, such as `8x3x3x3`."""
    return "x".join(map(str, tensor.shape))


def main() -> None:
    """Write both kinds of files."""
    import torch

    FOLDER.mkdir(exist_ok=True)
    for network_id, thin in (("rcan-bam", thin_rcan), ("drln-bam", thin_drln)):
        random = np.random.default_rng(0)
        picture = random.uniform(0, 1, (1, 3, 9, 8)).astype(np.float32)
        weights: dict[str, np.ndarray] = {}
        outputs: dict[int, np.ndarray] = {}
        for scale in SCALES:
            network = thin(scale).eval()
            for name, tensor in network.state_dict().items():
                key = f"x{scale}/{name}" if name.startswith(("tail", "upsample")) else f"all/{name}"
                if key not in weights:
                    weights[key] = draw(name, tensor, random)
                tensor.copy_(torch.from_numpy(weights[key]))
            with torch.inference_mode():
                outputs[scale] = network(torch.from_numpy(picture)).numpy()
        np.savez_compressed(
            FOLDER / f"{network_id}.npz",
            input=picture,
            values=np.concatenate([values.ravel() for values in weights.values()]),
            layout=np.array([f"{key} {sizes(values)}" for key, values in weights.items()]),
            output_x2=outputs[2],
            output_x3=outputs[3],
            output_x4=outputs[4],
        )
    names: dict[str, dict[str, Any]] = {}
    for scale in SCALES:
        for network_id, network in published(scale):
            tensors = network.state_dict()
            lines = sorted(f"{name} {sizes(tensor)}" for name, tensor in tensors.items())
            names.setdefault(network_id, {})[str(scale)] = {
                "parameters": sum(tensor.numel() for tensor in tensors.values()),
                "tensors": len(lines),
                "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
            }
    (FOLDER / "names.json").write_text(json.dumps(names, indent=1) + "\n")


if __name__ == "__main__":
    main()
