"""LPIPS: how different a trained network finds two pictures."""

import functools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import WeightsError
from core.http_source import HttpSource
from core.weight_file import WeightFile
from core.weights import locate
from metrics.base import Pixels, check_pair
from metrics.planes import check_colour
from runtimes.base import usable_cores

if TYPE_CHECKING:
    import torch

ALEXNET = WeightFile(
    name="alexnet-owt-7be5be79.pth",
    source=HttpSource("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"),
    # Its publisher gives the first eight digits, in the name; several who fetched it have written down all of them.
    sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    size_bytes=244_408_911,
)
MIN_SIDE = 64
"""The network halves a picture four times; below this it has hardly anything left to look at."""
STRIDES = (4, 8, 16, 16, 16)
"""Pixels from one value to the next in each of the five layers that are compared."""
BAND_ROWS = 512
"""Rows that are compared at once; a multiple of the strides."""
REACH = 128
"""Rows around a band that its values depend on, rounded up to a multiple of the strides."""


def lpips(image: Pixels, reference: Pixels) -> float | None:
    """Learned perceptual image patch similarity, version 0.1 with AlexNet: a distance between what the network's layers see.

    Sum over five layers of the mean over all positions of `Σ w (x̂ - ŷ)²`, with features x̂, ŷ of unit length and weights w that
    were trained on viewers' choices. In colour; a grey picture stands in all three channels. The pictures are not resized.
    Lower is better: 0 for identical pictures, about 1 for unrelated ones.

    Parameters
    ----------
    image, reference:
        `(H, W, 3)` or `(H, W)`, 0 to 255, `uint8` or `float64`.

    Returns
    -------
    A number from 0; None when a side is under 64 pixels.

    Raises
    ------
    ImageError
        The shapes differ, or a picture is neither colour nor grey.
    WeightsError
        AlexNet's weights are not there, or not the published ones.

    References
    ----------
    Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018,
    https://arxiv.org/abs/1801.03924
    """
    check_pair(image, reference)
    check_colour(image)
    if min(image.shape[:2]) < MIN_SIDE:
        return None
    import torch

    found = locate(ALEXNET)
    if found is None or not found.verified:
        # With other weights it would be another metric under the same name.
        what = "is not there" if found is None else f"is not the published file: its sha256 is {found.sha256}"
        raise WeightsError(f"{ALEXNET.name} {what}. Run `upscale-bench weights fetch lpips`.")
    threads = torch.get_num_threads()
    torch.set_num_threads(usable_cores())
    try:
        return distance(load(str(found.path)), image, reference)
    finally:
        torch.set_num_threads(threads)


@functools.cache
def load(path: str) -> Any:  # noqa: ANN401 - the package has no types
    """The metric's network with the weights of AlexNet in this file.

    Raises
    ------
    WeightsError
        The file holds something else.
    """
    import lpips as package
    import torch

    with warnings.catch_warnings():
        # The package asks torchvision for a network without weights in a way that torchvision calls old.
        warnings.simplefilter("ignore", UserWarning)
        network: Any = package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    try:
        features = {
            name.removeprefix("features."): value
            for name, value in torch.load(path, map_location="cpu", weights_only=True).items()
            if name.startswith("features.")
        }
        for part in _slices(network):
            # The package cuts AlexNet's layers into five slices, and keeps their numbers.
            part.load_state_dict({name: features[name] for name in part.state_dict()})
    except Exception as error:
        raise WeightsError(f"{ALEXNET.name} is damaged or is not AlexNet: delete it and fetch it again.") from error
    return network.eval()


def distance(network: Any, image: Pixels, reference: Pixels) -> float:  # noqa: ANN401
    """The sum over layers, in bands of rows: the features of a large picture as a whole would take gigabytes.

    Parameters
    ----------
    network:
        As `load` gives it.
    image, reference:
        As for `lpips`.
    """
    import torch

    height = image.shape[0]
    sums, counts = [0.0] * len(STRIDES), [0] * len(STRIDES)
    with torch.inference_mode():
        for top in range(0, height, BAND_ROWS):
            bottom = height if top + 2 * BAND_ROWS > height else top + BAND_ROWS
            start, stop = max(0, top - REACH), min(height, bottom + REACH)
            maps = _layer_maps(network, *(_tensor(each[start:stop]) for each in (image, reference)))
            for layer, (each, stride) in enumerate(zip(maps, STRIDES, strict=True)):
                last = None if bottom == height else (bottom - start) // stride
                own = each[..., (top - start) // stride : last, :]
                sums[layer] += float(own.sum(dtype=torch.float64))
                counts[layer] += own.numel()
            if bottom == height:
                break
    return sum(total / count for total, count in zip(sums, counts, strict=True))


def _layer_maps(network: Any, image: "torch.Tensor", reference: "torch.Tensor") -> list["torch.Tensor"]:  # noqa: ANN401
    """Distances at each position of each layer."""
    import lpips as package

    maps = []
    pair = [network.scaling_layer(each) for each in (image, reference)]
    for part, weigh in zip(_slices(network), network.lins, strict=True):
        pair = [part(each) for each in pair]
        first, second = (package.normalize_tensor(each) for each in pair)
        maps.append(weigh((first - second) ** 2))
    return maps


def _slices(network: Any) -> tuple["torch.nn.Module", ...]:  # noqa: ANN401
    """AlexNet up to each of the layers that are compared."""
    net = network.net
    return net.slice1, net.slice2, net.slice3, net.slice4, net.slice5


def _tensor(rows: NDArray[Any]) -> "torch.Tensor":
    """`(1, 3, H, W)` from -1 to 1, `float32`."""
    import torch

    values = rows.astype(np.float32)
    if values.ndim == 2:
        values = np.repeat(values[..., np.newaxis], 3, axis=2)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None] / 127.5 - 1
