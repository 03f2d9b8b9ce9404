"""DRLN with balanced attention in place of its Laplacian attention.

Sources: S. Anwar, N. Barnes, "Densely Residual Laplacian Super-Resolution", https://arxiv.org/abs/1906.12021; balanced
attention: https://arxiv.org/abs/2104.07566. Names and shapes of the tensors are those of the weights at
https://huggingface.co/eugenesiow/drln-bam.
"""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from upscalers.architectures.balanced_attention import BalancedAttention, are_kernels, convolution, named, scale_of, steps_of

UNREAD = 4
"""The unit whose compressed features nobody reads: the networks were trained with unit 5 getting what unit 4 got."""


@dataclass(frozen=True, kw_only=True)
class DRLNBAMSize:
    """How large the network is. The defaults are the published size."""

    scale: int
    """2, 3, 4 or 8."""
    cascades: tuple[int, ...] = (3, 3, 3, 3, 4, 4)
    """Units in each cascade."""
    features: int = 64
    """Channels between the ends."""
    squeezed: int = 4
    """Channels in the middle of the channel attention."""

    @classmethod
    def of(cls, state_dict: Mapping[str, Tensor]) -> Self | None:
        """The size of the network that these tensors belong to; None if it is another kind of network.

        Only what the size follows from is looked at: loading the tensors strictly checks the rest.
        """
        head, squeeze = state_dict.get("head.weight"), state_dict.get("b1.ca.ca.fc1.weight")
        enlarging = [tensor for name, tensor in state_dict.items() if re.fullmatch(r"upsample\.up\.body\.\d+\.weight", name)]
        compressing = []
        while (kernel := state_dict.get(f"c{len(compressing) + 1}.body.0.weight")) is not None:
            compressing.append(kernel)
        if head is None or squeeze is None or not enlarging or not are_kernels(head, squeeze, *enlarging, *compressing):
            return None
        features = head.shape[0]
        # A unit compresses what its cascade began with and the blocks since: two parts mark the first unit of a cascade.
        firsts = [index for index, kernel in enumerate(compressing) if kernel.shape[1] == 2 * features]
        return cls(
            scale=scale_of(enlarging),
            cascades=tuple(end - start for start, end in itertools.pairwise([*firsts, len(compressing)])),
            features=features,
            squeezed=squeeze.shape[0],
        )

    def build(self) -> "DRLNBAM":
        """A network of this size with random weights."""
        return DRLNBAM(self)


class DRLNBAM(nn.Module):
    """DRLN-BAM: cascades of densely connected residual units, each cascade with a connection past it, then sub-pixel enlargement.

    The shifts by the mean colour of DIV2K are convolutions whose numbers come from the weight file, in the range [0, 1] of
    the pictures.
    """

    def __init__(self, size: DRLNBAMSize) -> None:
        super().__init__()
        features = size.features
        self.sub_mean = named(shifter=convolution(3, 3, 1))
        self.head = convolution(3, features)
        numbers = itertools.count(1)
        self._cascades = [[next(numbers) for _ in range(units)] for units in size.cascades]
        """The numbers of the units, as they stand in the names of the layers."""
        for cascade in self._cascades:
            for parts, number in enumerate(cascade, start=2):
                self.add_module(f"b{number}", _Block(features, size.squeezed))
                self.add_module(f"c{number}", _rectified(parts * features, features, 3))
        enlarging = [
            layer
            for factor in steps_of(size.scale)
            for layer in (convolution(features, features * factor**2), nn.ReLU(inplace=True), nn.PixelShuffle(factor))
        ]
        self.upsample = named(up=named(body=nn.Sequential(*enlarging)))
        self.tail = convolution(features, 3)
        self.add_mean = named(shifter=convolution(3, 3, 1))

    def forward(self, picture: Tensor) -> Tensor:
        """Enlarge `(N, 3, H, W)` float RGB in [0, 1] to `(N, 3, scale·H, scale·W)`, which may leave [0, 1] a little."""
        shallow = self.head(self.sub_mean(picture))
        # A cascade reads the sum with the connection past the one before, but gathers that one's features without it.
        compressed = total = shallow
        for cascade in self._cascades:
            gathered, unit = [compressed], total
            for number in cascade:
                gathered.append(self.get_submodule(f"b{number}")(unit))
                if number != UNREAD:
                    unit = self.get_submodule(f"c{number}")(torch.cat(gathered, 1))
            compressed, total = unit, unit + total
        return self.add_mean(self.tail(self.upsample(total + shallow)))


class _Block(nn.Module):
    """Three residual pairs of convolutions, each of which sees all features before it; then one layer back to `features` channels."""

    def __init__(self, features: int, squeezed: int) -> None:
        super().__init__()
        self.r1 = _ResidualPair(features)
        self.r2 = _ResidualPair(2 * features)
        self.r3 = _ResidualPair(4 * features)
        self.g = _rectified(8 * features, features, 1)
        self.ca = BalancedAttention(features, squeezed)

    def forward(self, features: Tensor) -> Tensor:
        for pair in (self.r1, self.r2, self.r3):
            features = torch.cat([features, pair(features)], 1)
        return self.ca(self.g(features))


class _ResidualPair(nn.Module):
    """Two convolutions with a connection past them, rectified after the sum."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(features, features), nn.ReLU(inplace=True), convolution(features, features))

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(self.body(features) + features)


def _rectified(inputs: int, outputs: int, side: int) -> nn.Sequential:
    return named(body=nn.Sequential(convolution(inputs, outputs, side), nn.ReLU(inplace=True)))
