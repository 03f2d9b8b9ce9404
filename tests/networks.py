"""Weight files that tests make themselves: networks of the published kinds with random numbers, shallow where the real ones are deep."""

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def write_rrdbnet(path: Path, *, scale: int, blocks: int = 1, unshuffle: bool = False, key: str | None = "params_ema") -> None:
    """An ESRGAN network under the names that spandrel's class has, which are those of 2018.

    Real-ESRGAN's x2 one folds pixels into channels first and then enlarges by four.
    """
    import torch

    arch = importlib.import_module("spandrel.architectures.ESRGAN.__arch.RRDB")
    torch.manual_seed(0)
    network = arch.RRDBNet(in_nc=12 if unshuffle else 3, num_blocks=blocks, scale=4 if unshuffle else scale)
    tensors = {name: tensor * 0.5 for name, tensor in network.state_dict().items()}
    torch.save({key: tensors} if key else tensors, path)


def renamed_like_basicsr(tensors: "dict[str, torch.Tensor]", blocks: int) -> "dict[str, torch.Tensor]":
    """The same tensors under the names of BasicSR, which Real-ESRGAN's files carry."""
    last = max(int(name.split(".")[1]) for name in tensors)
    ends = {"model.0": "conv_first", f"model.1.sub.{blocks}": "conv_body", f"model.{last}": "conv_last", f"model.{last - 2}": "conv_hr"}
    ends |= {f"model.{3 * index}": f"conv_up{index}" for index in range(1, (last - 4) // 3 + 1)}
    block = re.compile(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0$")
    renamed = {}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        new = ends.get(layer) or block.sub(r"body.\1.rdb\2.conv\3", layer)
        renamed[f"{new}.{kind}"] = tensor
    return renamed


def write_compact(path: Path, *, scale: int, convolutions: int, features: int = 64, seed: int = 0) -> None:
    """A Real-ESRGAN compact network."""
    import torch

    arch = importlib.import_module("spandrel.architectures.Compact.__arch.SRVGG")
    torch.manual_seed(seed)
    network = arch.SRVGGNetCompact(num_in_ch=3, num_out_ch=3, num_feat=features, num_conv=convolutions, upscale=scale, act_type="prelu")
    torch.save({"params": network.state_dict()}, path)


DAT_SHAPES: dict[str, dict[str, Any]] = {
    "dat-light": {
        "embed_dim": 60, "split_size": [8, 32], "depth": [18], "num_heads": [6], "expansion_factor": 2,
        "resi_connection": "3conv", "upsampler": "pixelshuffledirect",
    },
    "dat-s": {"embed_dim": 180, "split_size": [8, 16], "depth": [6] * 6, "num_heads": [6] * 6, "expansion_factor": 2},
    "dat-2": {"embed_dim": 180, "split_size": [8, 32], "depth": [6] * 6, "num_heads": [6] * 6, "expansion_factor": 2},
    "dat": {"embed_dim": 180, "split_size": [8, 32], "depth": [6] * 6, "num_heads": [6] * 6, "expansion_factor": 4},
}  # fmt: skip
"""The settings of https://arxiv.org/abs/2308.03364, section 4.1, and of its published option files."""


def write_dat(path: Path, *, scale: int, upscaler_id: str = "dat-light", shallow: bool = True) -> None:
    """A DAT network; `shallow` leaves one group of two blocks, of DAT light's width."""
    import torch

    shape = DAT_SHAPES[upscaler_id]
    if shallow:
        shape = {**shape, "embed_dim": 60, "depth": [2], "num_heads": [6]}
    arch = importlib.import_module("spandrel.architectures.DAT.__arch.DAT")
    torch.manual_seed(0)
    network = arch.DAT(img_size=64, in_chans=3, upscale=scale, img_range=1.0, **shape)
    torch.save({"params": network.state_dict()}, path)


def write_residual(path: Path, *, upscaler_id: str, scale: int, shallow: bool = True) -> None:
    """An RCAN-BAM or DRLN-BAM network, in the folder that the path names; a thin one, or of the published size."""
    import torch

    from upscalers.architectures.drln_bam import DRLNBAMSize
    from upscalers.architectures.rcan_bam import RCANBAMSize

    thin = {
        "rcan-bam": RCANBAMSize(scale=scale, groups=1, blocks=2, features=8),
        "drln-bam": DRLNBAMSize(scale=scale, cascades=(2, 1), features=8),
    }
    published = {"rcan-bam": RCANBAMSize(scale=scale), "drln-bam": DRLNBAMSize(scale=scale)}
    torch.manual_seed(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save((thin if shallow else published)[upscaler_id].build().state_dict(), path)


def write_edsr_graph(path: Path, *, scale: int, seed: int = 0) -> np.ndarray:
    """A frozen TensorFlow graph with EDSR's ends: NHWC input, one 3x3 convolution to scale² pixels, NCHW output.

    Returns the kernel, `(3, 3, 3, 3·scale²)`, for an oracle.
    """
    # Their classes are made at import: a type checker sees none of them.
    graph_type = importlib.import_module("tensorboard.compat.proto.graph_pb2").GraphDef
    shape_type = importlib.import_module("tensorboard.compat.proto.tensor_shape_pb2").TensorShapeProto
    kinds = importlib.import_module("tensorboard.compat.proto.types_pb2")

    kernel = np.random.default_rng(seed).normal(0, 0.1, (3, 3, 3, 3 * scale**2)).astype(np.float32)
    kernel[1, 1] += np.tile(np.eye(3, dtype=np.float32), scale**2)
    graph = graph_type()

    def node(name: str, operation: str, *inputs: str):
        made = graph.node.add()
        made.name, made.op = name, operation
        made.input.extend(inputs)
        return made

    def constant(name: str, values: np.ndarray, kind: int) -> None:
        made = node(name, "Const")
        made.attr["dtype"].type = kind
        tensor = made.attr["value"].tensor
        tensor.dtype = kind
        tensor.tensor_shape.CopyFrom(shape_type(dim=[shape_type.Dim(size=side) for side in values.shape]))
        tensor.tensor_content = values.tobytes()

    source = node("IteratorGetNext", "Placeholder")
    source.attr["dtype"].type = kinds.DT_FLOAT
    source.attr["shape"].shape.CopyFrom(shape_type(dim=[shape_type.Dim(size=side) for side in (1, -1, -1, 3)]))
    constant("kernel", kernel, kinds.DT_FLOAT)
    convolution = node("convolution", "Conv2D", "IteratorGetNext", "kernel")
    convolution.attr["T"].type = kinds.DT_FLOAT
    convolution.attr["strides"].list.i.extend([1, 1, 1, 1])
    convolution.attr["padding"].s = b"SAME"
    convolution.attr["data_format"].s = b"NHWC"
    shuffle = node("NHWC_output", "DepthToSpace", "convolution")
    shuffle.attr["T"].type = kinds.DT_FLOAT
    shuffle.attr["block_size"].i = scale
    shuffle.attr["data_format"].s = b"NHWC"
    constant("order", np.array([0, 3, 1, 2], np.int32), kinds.DT_INT32)
    output = node("NCHW_output", "Transpose", "NHWC_output", "order")
    output.attr["T"].type = kinds.DT_FLOAT
    output.attr["Tperm"].type = kinds.DT_INT32
    path.write_bytes(graph.SerializeToString())
    return kernel


def write_onnx(path: Path, *, scale: int, channels: int = 3, side: int | None = None, half: bool = False, seed: int = 0) -> np.ndarray:
    """An ONNX network for values in 0..1: one 3x3 convolution near to repeating each pixel, and pixels out of channels.

    `side` fixes its input to so many pixels a side. Returns the kernel, `(channels·scale², channels, 3, 3)`, for `enlarged_by`.
    """
    from onnx import TensorProto, helper, numpy_helper, save_model

    kernel = np.random.default_rng(seed).normal(0, 0.02, (channels * scale**2, channels, 3, 3)).astype(np.float32)
    kernel -= kernel.mean((1, 2, 3), keepdims=True)
    for output in range(channels * scale**2):
        kernel[output, output // scale**2, 1, 1] += 1
    number = np.float16 if half else np.float32
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["picture", "kernel"], ["pixels"], pads=[1, 1, 1, 1]),
            helper.make_node("DepthToSpace", ["pixels"], ["enlarged"], blocksize=scale, mode="CRD"),
        ],
        "enlarger",
        [helper.make_tensor_value_info("picture", kind, [1, channels, side or "height", side or "width"])],
        [helper.make_tensor_value_info("enlarged", kind, [1, channels, side and side * scale, side and side * scale])],
        [numpy_helper.from_array(kernel.astype(number), "kernel")],
    )
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return kernel


def enlarged_by(kernel: np.ndarray, planes: np.ndarray, scale: int) -> np.ndarray:
    """What the network of `write_onnx` makes of `planes`, `(channels, H, W)`, worked out by SciPy in double precision."""
    from scipy.signal import correlate2d

    channels, height, width = planes.shape
    result = np.empty((channels, height * scale, width * scale))
    for output, weights in enumerate(kernel.astype(float)):
        channel, place = divmod(output, scale**2)
        row, column = divmod(place, scale)
        result[channel, row::scale, column::scale] = sum(
            correlate2d(plane, weight, mode="same") for plane, weight in zip(planes.astype(float), weights, strict=True)
        )
    return result
