"""RCAN with balanced attention in place of its channel attention.

Sources: Y. Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks",
https://arxiv.org/abs/1807.02758; balanced attention: https://arxiv.org/abs/2104.07566. Names and shapes of the tensors are
those of the weights at https://huggingface.co/eugenesiow/rcan-bam.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn

from upscalers.architectures.balanced_attention import BalancedAttention, are_kernels, convolution, scale_of, steps_of


@dataclass(frozen=True, kw_only=True)
class RCANBAMSize:
    """How large the network is. The defaults are the published size."""

    scale: int
    """2, 3, 4 or 8."""
    groups: int = 10
    """Residual groups."""
    blocks: int = 20
    """Residual blocks in each group."""
    features: int = 64
    """Channels between the ends."""
    squeezed: int = 4
    """Channels in the middle of the channel attention."""

    @classmethod
    def of(cls, state_dict: Mapping[str, Tensor]) -> Self | None:
        """The size of the network that these tensors belong to; None if it is another kind of network.

        Only what the size follows from is looked at: loading the tensors strictly checks the rest.
        """
        head, squeeze = state_dict.get("head.0.weight"), state_dict.get("body.0.body.0.body.3.ca.fc1.weight")
        enlarging = [tensor for name, tensor in state_dict.items() if re.fullmatch(r"tail\.0\.\d+\.weight", name)]
        if head is None or squeeze is None or not enlarging or not are_kernels(head, squeeze, *enlarging):
            return None
        # Counted, not read off the highest number: a made-up name can't ask for a billion blocks.
        blocks = {match.groups() for name in state_dict if (match := re.match(r"body\.(\d+)\.body\.(\d+)\.body\.", name))}
        groups = {group for group, _ in blocks}
        return cls(
            scale=scale_of(enlarging),
            groups=len(groups),
            blocks=len(blocks) // len(groups),
            features=head.shape[0],
            squeezed=squeeze.shape[0],
        )

    def build(self) -> "RCANBAM":
        """A network of this size with random weights."""
        return RCANBAM(self)


class RCANBAM(nn.Module):
    """RCAN-BAM: residual blocks in residual groups in one residual body, then sub-pixel enlargement.

    The two shifts by the mean colour are convolutions whose numbers come from the weight file. In the published files they
    stand for 255 times the mean of DIV2K, although the pictures that the network was trained on lie in [0, 1]: it works 114
    below and above its input, which f32 can bear and half precision can't.
    """

    def __init__(self, size: RCANBAMSize) -> None:
        super().__init__()
        features = size.features
        self.sub_mean = convolution(3, 3, 1)
        self.head = nn.Sequential(convolution(3, features))
        groups = [
            _Residual(*(_block(features, size.squeezed) for _ in range(size.blocks)), convolution(features, features))
            for _ in range(size.groups)
        ]
        self.body = nn.Sequential(*groups, convolution(features, features))
        enlarging = [
            layer for factor in steps_of(size.scale) for layer in (convolution(features, features * factor**2), nn.PixelShuffle(factor))
        ]
        self.tail = nn.Sequential(nn.Sequential(*enlarging), convolution(features, 3))
        self.add_mean = convolution(3, 3, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """Enlarge `(N, 3, H, W)` float RGB in [0, 1] to `(N, 3, scale·H, scale·W)`, which may leave [0, 1] a little."""
        shallow = self.head(self.sub_mean(picture))
        return self.add_mean(self.tail(self.body(shallow) + shallow))


class _Residual(nn.Module):
    """Layers whose result is added to what they got."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        return self.body(features) + features


def _block(features: int, squeezed: int) -> _Residual:
    return _Residual(
        convolution(features, features), nn.ReLU(inplace=True), convolution(features, features), BalancedAttention(features, squeezed)
    )
