"""What the networks with balanced attention share: the attention itself, and enlargement by sub-pixel convolution."""

import math
from collections import OrderedDict
from collections.abc import Iterable

from torch import Tensor, nn


def named(**layers: nn.Module) -> nn.Sequential:
    """Layers that run one after the other, under names of their own: published weights are stored by name."""
    return nn.Sequential(OrderedDict(layers))


def convolution(inputs: int, outputs: int, side: int = 3) -> nn.Conv2d:
    """A convolution of `side`x`side` pixels that keeps height and width; the surroundings of the picture count as zero."""
    return nn.Conv2d(inputs, outputs, side, padding=side // 2)


class BalancedAttention(nn.Module):
    """Weighs each feature by its channel and by its place.

    A channel's weight comes from the means of all channels over the whole picture, so a tile and the picture that it was
    cut from give slightly different results. A place's weight comes from its largest feature and those within 3 pixels.

    Source: F. Wang, H. Hu, C. Shen, "BAM: A Lightweight and Efficient Balanced Attention Mechanism for Single Image Super
    Resolution", https://arxiv.org/abs/2104.07566.

    Parameters
    ----------
    features:
        Channels of the input.
    squeezed:
        Channels between the two layers that turn means into weights.
    """

    def __init__(self, features: int, squeezed: int) -> None:
        super().__init__()
        self.ca = named(
            mean=nn.AdaptiveAvgPool2d(1),
            fc1=nn.Conv2d(features, squeezed, 1, bias=False),
            relu1=nn.PReLU(squeezed),
            fc2=nn.Conv2d(squeezed, features, 1, bias=False),
            gate=nn.Sigmoid(),
        )
        self.sa = named(conv1=nn.Conv2d(1, 1, 7, padding=3, bias=False), gate=nn.Sigmoid())

    def forward(self, features: Tensor) -> Tensor:
        """Map `(N, features, H, W)` to the same shape; each value shrinks by a factor in (0, 1)."""
        return features * self.ca(features) * self.sa(features.amax(1, keepdim=True))


def steps_of(scale: int) -> list[int]:
    """The factors by which a network enlarges, one after the other: x4 is twice x2.

    Raises
    ------
    ValueError
        The scale is neither 3 nor a power of two from 2 on.
    """
    if scale == 3:
        return [3]
    if scale < 2 or scale & (scale - 1):
        raise ValueError(f"Expected 3 or a power of two from 2 on as scale, got {scale}.")
    return [2] * (scale.bit_length() - 1)


def are_kernels(*tensors: Tensor) -> bool:
    """Whether all tensors have the shape of a convolution's weights, `(outputs, inputs, height, width)`, and hold something."""
    return all(tensor.ndim == 4 and tensor.numel() for tensor in tensors)


def scale_of(kernels: Iterable[Tensor]) -> int:
    """The scale of a network whose enlarging convolutions have these kernels, `(features·factor², features, 3, 3)` each."""
    return math.prod(math.isqrt(kernel.shape[0] // kernel.shape[1]) for kernel in kernels)
