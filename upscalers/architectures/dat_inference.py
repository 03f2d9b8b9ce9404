"""DAT arranged for inference: spandrel's network and weights, the same pixels, a fraction of the time on a CPU.

Sources: Z. Chen et al., "Dual Aggregation Transformer for Image Super-Resolution", https://arxiv.org/abs/2308.03364; the network
that this follows is spandrel's `DAT` (https://github.com/chaiNNer-org/spandrel), after https://github.com/zhengchen1999/DAT.

What differs, none of it visible in the pixels (tests/test_dat_inference.py):

- Attention inside windows is one `scaled_dot_product_attention`, which PyTorch and OpenVINO both fuse. The bias of relative positions
  depends on the weights alone and is worked out once.
- Shifted windows have no mask of windows × pixels² numbers. Each pixel carries a code of its side of the border instead, as three more
  channels of query and key: their product is 0 between pixels of one side and at most -100, what the mask would add, across the border.
- Attention between channels multiplies whole matrices and keeps the heads apart in the 60x60 or 180x180 result; lengths are divided out
  there instead of normalising every pixel.
- Features stay `(B, H, W, C)` from end to end, the memory order in which convolutions (channels-last) and linear layers agree.
- No shape is a constant, so that one conversion serves pictures of all sizes.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

BORDER = 50.0
"""Half of what keeps pixels on two sides of a border apart: the published mask adds -100, of which exp leaves nothing in f32."""
CODES = 3
SHORTEST = 1e-12
"""Vectors shorter than this are divided by it, as `torch.nn.functional.normalize` does."""
OTHER_HEAD = -1e30


class DATInference(nn.Module):
    """A DAT network of spandrel's, taken over with its layers: the one given must not be used afterwards.

    Maps float RGB in 0..1, `(B, 3, H, W)` of at least 16 px a side, to `(B, 3, scale·H, scale·W)`.
    """

    mean: Tensor

    def __init__(self, network: Any) -> None:  # noqa: ANN401 - spandrel's class is private to it
        super().__init__()
        self.network = network
        self.register_buffer("mean", network.mean.clone())
        for layer in network.layers:
            for block in layer.blocks:
                kind = _SpatialAttention if hasattr(block.attn, "split_size") else _ChannelAttention
                block.attn, block.ffn = kind(block.attn), _GatedFeedForward(block.ffn)

    def forward(self, picture: Tensor) -> Tensor:
        """Enlarge."""
        net = self.network
        shallow = net.conv_first((picture - self.mean) * net.img_range)
        features = _normalised(net.before_RG[1], _pixels_last(shallow))
        for layer in net.layers:
            before = features
            for block in layer.blocks:
                features = features + block.attn(_normalised(block.norm1, features))
                features = features + block.ffn(_normalised(block.norm2, features))
            features = _pixels_last(layer.conv(_channels_first(features))) + before
        deep = net.conv_after_body(_channels_first(_normalised(net.norm, features))) + shallow
        direct = net.upsampler == "pixelshuffledirect"
        enlarged = net.upsample(deep) if direct else net.conv_last(net.upsample(net.conv_before_upsample(deep)))
        return enlarged / net.img_range + self.mean


def _channels_first(features: Tensor) -> Tensor:
    """`(B, H, W, C)` as `(B, C, H, W)`; memory stays as it is."""
    return features.permute(0, 3, 1, 2)


def _pixels_last(features: Tensor) -> Tensor:
    return features.permute(0, 2, 3, 1)


def _normalised(norm: nn.Module, features: Tensor) -> Tensor:
    """Layer normalisation of each pixel. OpenVINO has it as one operation for three dimensions, not for four."""
    batch, height, width, channels = features.shape
    return norm(features.reshape(batch, height * width, channels)).reshape(batch, height, width, channels)


class _SpatialAttention(nn.Module):
    """Attention inside windows, upright ones for one half of the channels and lying ones for the other, beside a convolution."""

    weights: Tensor

    def __init__(self, old: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.branch_width = old.dim // 2
        self.multiple_px = max(old.split_size)
        high, wide = old.shift_size
        self.shifts = ((high, wide), (wide, high)) if _is_shifted(old.rg_idx, old.b_idx) else ()
        shifts = self.shifts or (None, None)
        self.branches = nn.ModuleList(_Windows(windows, shift) for windows, shift in zip(old.attns, shifts, strict=True))
        self.register_buffer("weights", _query_key_value(old, coded=bool(self.shifts)))
        self.projection, self.convolution = old.proj, old.dwconv
        self.channels, self.pixels = old.channel_interaction, old.spatial_interaction

    def forward(self, features: Tensor) -> Tensor:
        _, height, width, _ = features.shape
        below, right = (-height) % self.multiple_px, (-width) % self.multiple_px
        # What linear layers add as their bias comes along as a channel, which is 0 beyond the picture like all others.
        inside = functional.pad(torch.cat([features, torch.ones_like(features[..., :1])], -1), (0, 0, 0, right, 0, below))
        mixed = functional.linear(torch.cat([inside, *self._codes(inside)], -1), self.weights)
        first, second = mixed.split(mixed.shape[-1] // 2, -1)
        values = torch.cat([first[..., -self.branch_width :], second[..., -self.branch_width :]], -1)[:, :height, :width]
        attended = torch.cat([branch(part) for branch, part in zip(self.branches, (first, second), strict=True)], -1)[:, :height, :width]
        local = self.convolution(_channels_first(values))
        by_channel = _pixels_last(torch.sigmoid(self.channels(local)))
        by_pixel = torch.sigmoid(self.pixels(_channels_first(attended)))
        return self.projection(attended * by_channel + _pixels_last(local * by_pixel))

    def _codes(self, padded: Tensor) -> "Iterator[Tensor]":
        """1, and for each branch the sides of the two borders along which its shifted windows are cut: -1 or 1, `(B, H, W, 1)` each."""
        if not self.shifts:
            return
        one = torch.ones_like(padded[..., :1])
        yield one
        _, height, width, _ = padded.shape
        for high, wide in self.shifts:
            yield one * _side(height, high, padded)[:, None, None]
            yield one * _side(width, wide, padded)[:, None]


def _is_shifted(group: int, block: int) -> bool:
    """Every other spatial block has shifted windows; which ones begin differs between even and odd groups."""
    return block % 4 == 0 if group % 2 else block % 4 == 2


def _side(length: int, shift: int, like: Tensor) -> Tensor:
    """-1 for the first `shift` of `length` pixels, which a shifted window sees beside the last ones; 1 for the others."""
    return torch.where(torch.arange(length, device=like.device) < shift, -1.0, 1.0).to(like.dtype)


def _query_key_value(old: Any, *, coded: bool) -> Tensor:  # noqa: ANN401
    """The layer that makes queries, keys and values, its rows ordered by branch, its bias as a column, the codes as rows of their own."""
    channels, half, heads = old.dim, old.dim // 2, old.num_heads // 2
    width = half // heads
    weights = old.qkv.weight.detach()
    bias = torch.zeros(3 * channels) if old.qkv.bias is None else old.qkv.bias.detach()
    rows = torch.cat([weights, bias[:, None], weights.new_zeros(3 * channels, 2 * CODES - 1 if coded else 0)], 1)
    query, key, value = rows.reshape(3, 2, heads, width, -1)
    query = query * old.attns[0].scale
    if coded:
        one, sides = channels + 1, (channels + 2, channels + 4)
        codes = rows.new_zeros(2, heads, CODES, rows.shape[1])
        for branch, first in enumerate(sides):
            for place, column in enumerate((first, first + 1, one)):
                codes[branch, :, place, column] = 1.0
        query = torch.cat([query, codes * torch.tensor([BORDER, BORDER, -2 * BORDER])[:, None]], 2)
        key = torch.cat([key, codes], 2)
    return torch.cat([part.flatten(1, 2) for part in (query, key, value)], 1).flatten(0, 1).contiguous()


class _Windows(nn.Module):
    """Attention inside the windows of one branch."""

    bias: Tensor

    def __init__(self, old: Any, shift: "tuple[int, int] | None") -> None:  # noqa: ANN401
        super().__init__()
        self.high, self.wide = old.H_sp, old.W_sp
        self.heads, self.branch_width, self.shift = old.num_heads, old.dim, shift
        pixels = self.high * self.wide
        with torch.no_grad():
            bias = old.pos(old.rpe_biases)[old.relative_position_index.flatten()].reshape(pixels, pixels, -1).permute(2, 0, 1)
        self.register_buffer("bias", bias[None].contiguous())

    def forward(self, mixed: Tensor) -> Tensor:
        """Queries, keys and values of each pixel, `(B, H, W, ·)`, to `(B, H, W, C/2)`."""
        batch, height, width, channels = mixed.shape
        rows, columns = height // self.high, width // self.wide
        if self.shift is not None:
            mixed = torch.roll(mixed, [-pixels for pixels in self.shift], (1, 2))
        windows = mixed.reshape(batch, rows, self.high, columns, self.wide, channels).permute(0, 1, 3, 2, 4, 5)
        coded = (channels - self.branch_width) // 2
        parts = windows.reshape(batch * rows * columns, self.high * self.wide, channels).split([coded, coded, self.branch_width], -1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=self.bias, scale=1.0).transpose(1, 2)
        attended = attended.reshape(batch, rows, columns, self.high, self.wide, self.branch_width).permute(0, 1, 3, 2, 4, 5)
        attended = attended.reshape(batch, height, width, self.branch_width)
        return attended if self.shift is None else torch.roll(attended, self.shift, (1, 2))


class _ChannelAttention(nn.Module):
    """Attention between channels over all pixels, beside a convolution."""

    def __init__(self, old: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.query_key_value, self.projection, self.convolution = old.qkv, old.proj, old.dwconv
        self.channels, self.pixels = old.channel_interaction, old.spatial_interaction
        width = old.proj.in_features // old.num_heads
        head = torch.arange(old.proj.in_features) // width
        self.register_buffer("other_head", torch.where(head[:, None] == head, 0.0, OTHER_HEAD))
        self.register_buffer("temperature", old.temperature.detach().flatten().repeat_interleave(width)[:, None])

    def forward(self, features: Tensor) -> Tensor:
        batch, height, width, channels = features.shape
        query, key, value = self.query_key_value(features).reshape(batch, height * width, 3 * channels).split(channels, -1)
        lengths = [part.square().sum(1).sqrt().clamp_min(SHORTEST) for part in (query, key)]
        alike = query.transpose(1, 2) @ key * (self.temperature / (lengths[0][:, :, None] * lengths[1][:, None]))
        attended = (value @ (alike + self.other_head).softmax(-1).transpose(1, 2)).reshape(batch, height, width, channels)
        local = self.convolution(_channels_first(value.reshape(batch, height, width, channels)))
        by_channel = torch.sigmoid(self.channels(_channels_first(attended)))
        by_pixel = _pixels_last(torch.sigmoid(self.pixels(local)))
        return self.projection(attended * by_pixel + _pixels_last(local * by_channel))


class _GatedFeedForward(nn.Module):
    """Two linear layers; between them one half of the channels, looked at with a convolution, weighs the other."""

    def __init__(self, old: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.widen, self.activation, self.narrow = old.fc1, old.act, old.fc2
        self.norm, self.convolution = old.sg.norm, old.sg.conv

    def forward(self, features: Tensor) -> Tensor:
        kept, gate = self.activation(self.widen(features)).chunk(2, -1)
        gate = self.convolution(_channels_first(_normalised(self.norm, gate)))
        return self.narrow(_pixels_last(_channels_first(kept) * gate))
