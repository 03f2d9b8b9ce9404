"""What an ONNX file says of itself, read without running it and without opening any other file (https://onnx.ai/onnx/repo-docs/IR.html)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.errors import ModelFileError
from upscalers.model_rules import MAX_BYTES, MAX_TENSORS, exceeds_limits, is_damaged, is_no_upscaler, one_line

if TYPE_CHECKING:
    import onnx
    from google.protobuf.message import Message

MAX_NODES = 100_000
RGB_OR_LUMA = (3, 1)


@dataclass(frozen=True)
class OnnxFacts:
    """What the graph says of its input and its weights."""

    channels: int
    """3 (RGB) or 1 (luma); 3 where the graph leaves it open."""
    side_px: int | None
    """The only height and width that it takes; None where the graph leaves them open."""
    parameters: int
    """Numbers in its weights."""


def read_onnx(path: Path) -> OnnxFacts:
    """Read the graph and refuse what no image upscaler needs.

    Raises
    ------
    core.errors.ModelFileError
        It reads other files, is damaged, exceeds the limits, or does not take one RGB or luma picture.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise is_damaged("structure") from error
    if not model.graph.node:
        raise is_damaged("it holds no network")
    _check_tensors(model)
    channels, side_px = _input(model.graph)
    parameters = sum(math.prod(tensor.dims) for tensor in model.graph.initializer if tensor.data_type in _float_types())
    return OnnxFacts(channels, side_px, parameters)


def _check_tensors(model: "onnx.ModelProto") -> None:
    """Look at every tensor in the file: in the graph, in the graphs inside its nodes, in its functions."""
    import onnx

    count = size_bytes = nodes = 0
    for message in _messages(model):
        if isinstance(message, onnx.NodeProto):
            nodes += 1
            if nodes > MAX_NODES:
                raise exceeds_limits(f"it has more than {MAX_NODES:,} operations")
        if not isinstance(message, onnx.TensorProto):
            continue
        if message.data_location == onnx.TensorProto.EXTERNAL or message.external_data:
            raise ModelFileError("Model reads other files (external data); refused. Save it again with its weights in the one file.")
        count += 1
        size_bytes += math.prod(message.dims) * _item_bytes(message)
        if count > MAX_TENSORS:
            raise exceeds_limits(f"it holds more than {MAX_TENSORS:,} tensors")
        if size_bytes > MAX_BYTES:
            raise exceeds_limits(f"its tensors claim more than the {MAX_BYTES / 1e9:.1f} GB that are allowed")
        _check_numbers(message)


def _messages(top: "Message") -> "Iterator[Message]":
    """Every message inside `top`, at any depth, those inside tensors excepted."""
    import onnx
    from google.protobuf.message import Message

    waiting = [top]
    while waiting:
        message = waiting.pop()
        yield message
        if isinstance(message, onnx.TensorProto):
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting.extend([value] if isinstance(value, Message) else value)


def _check_numbers(tensor: "onnx.TensorProto") -> None:
    """A NaN in the weights may be lost on the way: OpenVINO makes 0 of it in a ReLU, and the picture looks like one."""
    from onnx import numpy_helper

    if tensor.data_type not in _float_types():
        return
    try:
        numbers = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError) as error:
        raise is_damaged(f"tensor {one_line(tensor.name)} holds fewer numbers than it says") from error
    if np.isnan(numbers.astype(np.float32, copy=False)).any():
        raise ModelFileError(f"Model holds NaN in its tensor {one_line(tensor.name)}: it can give no picture. Train or export it again.")


def _float_types() -> tuple[int, ...]:
    from onnx import TensorProto

    return (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def _item_bytes(tensor: "onnx.TensorProto") -> int:
    from onnx import helper

    try:
        return helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, ValueError, TypeError) as error:
        raise is_damaged(f"tensor {one_line(tensor.name)} has no known type") from error


def _input(graph: "onnx.GraphProto") -> tuple[int, int | None]:
    """Channels and fixed side of the one input that is no weight."""
    from onnx import TensorProto

    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise is_no_upscaler(f"it has {len(inputs)} inputs and {len(graph.output)} outputs; one picture each is expected")
    kind = inputs[0].type.tensor_type
    # 0 stands for what is left open; some programs write -1.
    dims = [max(0, dimension.dim_value) for dimension in kind.shape.dim]
    if kind.elem_type not in (TensorProto.FLOAT, TensorProto.FLOAT16) or len(dims) != 4:
        raise is_no_upscaler(f"its input is {_described(kind)}; float pictures of shape 1 x channels x height x width are expected")
    batch, channels, height, width = dims
    if batch > 1:
        raise is_no_upscaler(f"it takes {batch} pictures at once; one is expected")
    if channels not in (0, *RGB_OR_LUMA):
        last = ". Export it with channels before height and width (NCHW)" if width in RGB_OR_LUMA else ""
        raise is_no_upscaler(f"it takes {channels} channels; 3 (RGB) or 1 (luma) are expected{last}")
    if height != width:
        raise is_no_upscaler(f"it takes only pictures of {width or 'any'} x {height or 'any'} px; any size, or a fixed square, is expected")
    return channels or RGB_OR_LUMA[0], height or None


def _described(kind: "onnx.TypeProto.Tensor") -> str:
    from onnx import TensorProto

    name = TensorProto.DataType.Name(kind.elem_type).lower() if kind.elem_type in TensorProto.DataType.values() else "of no known type"
    return f"{name} with {len(kind.shape.dim)} dimensions"
