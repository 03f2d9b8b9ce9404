"""Model files that lie, break or attack, made small. Each writer takes the file to write; those with code also take a marker to create."""

import importlib
import io
import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tests import networks

if TYPE_CHECKING:
    import onnx
    import torch

PAGE = b"<!DOCTYPE html><html><body>404: not found</body></html>"
Write = Callable[[Path], object]

CODE = r"^Model contains code \("
DAMAGED = r"^Model is damaged \("
UNKNOWN = r"^Architecture not recognised: "
LIMITS = r"^Model exceeds load limits: "
EXTERNAL = r"^Model reads other files \(external data\)"
NO_NUMBER = r"NaN"
NO_UPSCALER = r"^Model is no image upscaler: "


class BadFile(NamedTuple):
    """A file that must be refused."""

    name: str
    write: Write
    words: str
    """Pattern of the refusal."""


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def marker_of(path: Path) -> Path:
    """The file that code hidden in `path` creates when it is run."""
    return path.parent / "code-was-run"


def _torch_save(value: Callable[[Path], Any], *, archive: bool = True) -> Write:
    def write(path: Path) -> None:
        import torch

        torch.save(value(path), path, _use_new_zipfile_serialization=archive)

    return write


def compact(**changes: Any) -> "dict[str, torch.Tensor]":
    """The tensors of a small network that enlarges by 2, unless `changes` say otherwise."""
    import torch

    arch = importlib.import_module("spandrel.architectures.Compact.__arch.SRVGG")
    torch.manual_seed(0)
    shape = {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 8, "num_conv": 2, "upscale": 2, "act_type": "prelu"}
    return arch.SRVGGNetCompact(**{**shape, **changes}).state_dict()


def write_compact_safetensors(path: Path) -> None:
    """A good file."""
    from safetensors.torch import save_file

    save_file(compact(), path)


def _good(path: Path) -> bytes:
    networks.write_compact(path, scale=2, convolutions=2, features=8)
    return path.read_bytes()


def _legacy(path: Path) -> bytes:
    _torch_save(lambda _: compact(), archive=False)(path)
    return path.read_bytes()


def _changed(make: Callable[[Path], bytes], change: Callable[[bytes], bytes]) -> Write:
    def write(path: Path) -> None:
        path.write_bytes(change(make(path)))

    return write


def flipped(data: bytes, position: int = -1) -> bytes:
    """The same bytes with one bit changed: in the middle, unless told otherwise."""
    position = len(data) // 2 if position < 0 else position
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def _torchscript(path: Path) -> None:
    import torch

    class Doubled(torch.nn.Module):
        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.interpolate(picture, scale_factor=2.0)

    with warnings.catch_warnings():  # PyTorch means to give the format up; files of it remain
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.save(torch.jit.trace(Doubled(), torch.zeros(1, 3, 8, 8)), path)


def _whole_model(path: Path) -> None:
    import torch

    torch.save(torch.nn.Sequential(torch.nn.Conv2d(3, 12, 3), torch.nn.PixelShuffle(2)), path)


def _repacked(change: Callable[[dict[str, bytes]], object], compression: int = zipfile.ZIP_STORED) -> Write:
    """A good archive of PyTorch with other entries."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(io.BytesIO(_good(path))) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        change(entries)
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, data in entries.items():
                archive.writestr(name, data)

    return write


def _pickled(code: bytes) -> Callable[[dict[str, bytes]], None]:
    """Replaces the listing of an archive's tensors by a pickle that is written by hand."""

    def change(entries: dict[str, bytes]) -> None:
        entries[next(name for name in entries if name.endswith("/data.pkl"))] = code

    return change


def _expanded(path: Path) -> None:
    """A few kilobytes that claim tensors of 20 GB: each looks at the same number again and again."""
    import torch

    tensors = {name: torch.zeros(1).expand(tensor.shape) for name, tensor in compact().items()}
    tensors["body.2.weight"] = torch.zeros(1).expand(24_000, 24_000, 3, 3)
    torch.save(tensors, path)


def _inflating(path: Path) -> None:
    """Zeros that unpack to a little more than 2 GB, written 16 MB at a time."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}))
        with archive.open("model/data/0", "w", force_zip64=True) as entry:
            for _ in range(129):
                entry.write(bytes(16 * 1024**2))


def _without(*names: str) -> "dict[str, torch.Tensor]":
    return {name: tensor for name, tensor in compact().items() if name not in names}


def _nan_weights(_: Path) -> "dict[str, torch.Tensor]":
    tensors = compact()
    tensors["body.2.weight"] = tensors["body.2.weight"] * float("nan")
    return tensors


def _many_tensors(_: Path) -> "dict[str, torch.Tensor]":
    import torch

    return {str(number): tensor for number, tensor in enumerate(torch.zeros(20_001).unbind())}


def _wrong_shape(_: Path) -> "dict[str, torch.Tensor]":
    return {**compact(), "body.2.bias": compact()["body.2.bias"][:3]}


def _surplus(_: Path) -> "dict[str, torch.Tensor]":
    return {**compact(), "body.2.gamma": compact()["body.2.bias"]}


PYTORCH = [
    # 51: code
    BadFile("archive.pth", _torch_save(lambda path: {"params": Touch(marker_of(path))}), CODE),
    BadFile("archive.ckpt", _torch_save(lambda path: {"params": compact(), "callbacks": Touch(marker_of(path))}), CODE),
    BadFile("legacy.pt", _torch_save(lambda path: {"params": Touch(marker_of(path))}, archive=False), CODE),
    BadFile("raw.pth", lambda path: path.write_bytes(pickle.dumps(Touch(marker_of(path)))), CODE),
    BadFile("builtin.pth", _repacked(_pickled(b"cbuiltins\neval\n(V1+1\ntR.")), CODE),
    BadFile("loader.pth", _repacked(_pickled(b"ctorch\nload\n(Vother.pth\ntR.")), CODE),
    BadFile("dotted.pth", _repacked(_pickled(b"\x80\x04\x8c\x0bcollections\x94\x8c\x14OrderedDict.__init__\x94\x93.")), CODE),
    # 52, 53: programs
    BadFile("torchscript.pth", _torchscript, r"TorchScript"),
    BadFile("torchscript.pt", _torchscript, r"TorchScript"),
    BadFile("whole_model.pth", _whole_model, r"^Model contains code .* Save its state_dict only"),
    # 54, 55, 56: damage
    BadFile("cut.pth", _changed(_good, lambda data: data[: len(data) // 2]), DAMAGED),
    BadFile("cut_end.pth", _changed(_good, lambda data: data[:-30]), DAMAGED),
    BadFile("cut_legacy.pth", _changed(_legacy, lambda data: data[: len(data) // 2]), DAMAGED),
    BadFile("page.pth", lambda path: path.write_bytes(PAGE), DAMAGED),
    BadFile("empty.ckpt", lambda path: path.write_bytes(b""), DAMAGED),
    BadFile("text.pt", lambda path: path.write_text("weights"), DAMAGED),
    BadFile("flipped.pth", _changed(_good, flipped), DAMAGED),
    BadFile("other_archive.pth", _repacked(lambda entries: (entries.clear(), entries.update(a=b"b"))), DAMAGED),
    BadFile("endless_pickle.pth", _repacked(_pickled(b"(" * 1000)), DAMAGED),
    # 58, 59: not these tensors
    BadFile("empty_dict.pth", _torch_save(lambda _: {}), UNKNOWN),
    BadFile("unknown.pth", _torch_save(lambda _: {"a.weight": compact()["body.2.bias"]}), UNKNOWN),
    BadFile("list.pth", _torch_save(lambda _: list(compact().values())), UNKNOWN),
    BadFile("numbers.pth", _torch_save(lambda _: {"epoch": 3, "name": "a"}), UNKNOWN),
    BadFile("missing.pth", _torch_save(lambda _: _without("body.1.weight")), UNKNOWN),
    BadFile("surplus.pth", _torch_save(_surplus), UNKNOWN),
    BadFile("wrong_shape.pth", _torch_save(_wrong_shape), UNKNOWN),
    # 60
    BadFile("nan.pth", _torch_save(_nan_weights), NO_NUMBER),
    # 62 and networks for something else
    BadFile("scale_64.pth", _torch_save(lambda _: compact(upscale=64, num_feat=1)), LIMITS),
    BadFile("denoiser.pth", _torch_save(lambda _: compact(upscale=1)), NO_UPSCALER),
    BadFile("four_channels.pth", _torch_save(lambda _: compact(num_in_ch=4, num_out_ch=4)), NO_UPSCALER),
]
"""Rows 51 to 62 of what must happen with bad input, and networks that are no upscalers of RGB or luma."""

GREEDY = [
    BadFile("expanded.pth", _expanded, LIMITS),
    BadFile("inflating.pth", _inflating, LIMITS),
    BadFile("long_listing.pth", _repacked(_pickled(b"N" * 17 * 1024**2), zipfile.ZIP_DEFLATED), LIMITS),
    BadFile("many_entries.pth", _repacked(lambda entries: entries.update({f"model/{n}": b"" for n in range(40_001)})), LIMITS),
    BadFile("many_tensors.pth", _torch_save(_many_tensors), LIMITS),
]
"""Row 61: files that must be refused before anything is built from them."""

DEEP = [
    BadFile("deep.pth", _torch_save(lambda _: {**compact(), "body.100000.weight": compact()["body.2.bias"]}), LIMITS),
    BadFile("digits.pth", _torch_save(lambda _: {f"body.{'9' * 5000}.weight": compact()["body.2.bias"]}), LIMITS),
]
"""Row 61: names that ask for layers without end."""


def _safetensors(header: dict[str, Any], data: bytes = b"") -> Write:
    def write(path: Path) -> None:
        encoded = json.dumps(header).encode()
        path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data)

    return write


def _tensor(shape: list[int], begin: int, end: int, kind: str = "F32") -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


def _good_safetensors(path: Path) -> bytes:
    write_compact_safetensors(path)
    return path.read_bytes()


SAFETENSORS = [
    BadFile("random.safetensors", lambda path: path.write_bytes(np.random.default_rng(0).bytes(4096)), DAMAGED),
    BadFile("page.safetensors", lambda path: path.write_bytes(PAGE), DAMAGED),
    BadFile("empty.safetensors", lambda path: path.write_bytes(b""), DAMAGED),
    BadFile("huge_header.safetensors", lambda path: path.write_bytes((2**62).to_bytes(8, "little") + b"{}"), DAMAGED),
    BadFile("overlap.safetensors", _safetensors({"a": _tensor([4], 0, 16), "b": _tensor([4], 8, 24)}, bytes(24)), DAMAGED),
    BadFile("lying.safetensors", _safetensors({"a": _tensor([1000, 1000], 0, 16)}, bytes(16)), DAMAGED),
    BadFile("overflow.safetensors", _safetensors({"a": _tensor([2**40, 2**40], 0, 16)}, bytes(16)), DAMAGED),
    BadFile("no_kind.safetensors", _safetensors({"a": _tensor([4], 0, 16, "X32")}, bytes(16)), DAMAGED),
    BadFile("cut.safetensors", _changed(_good_safetensors, lambda data: data[:-10]), DAMAGED),
    BadFile("cut_header.safetensors", _changed(_good_safetensors, lambda data: data[:60]), DAMAGED),
    BadFile("no_tensors.safetensors", _safetensors({}), UNKNOWN),
    BadFile("unknown.safetensors", _safetensors({"a": _tensor([4], 0, 16)}, bytes(16)), UNKNOWN),
    BadFile("deep.safetensors", _safetensors({"body.100000.weight": _tensor([4], 0, 16)}, bytes(16)), LIMITS),
]
"""Row 57, and the others as far as they can happen to this format."""


def onnx_graph(
    path: Path,
    nodes: "list[onnx.NodeProto]",
    tensors: "list[onnx.TensorProto]",
    *,
    shape: tuple[Any, ...] = (1, 3, "height", "width"),
    kind: str = "FLOAT",
    inputs: int = 1,
    domain: str = "",
) -> None:
    """Write a graph from `picture` to `enlarged`."""
    from onnx import TensorProto, helper

    number = getattr(TensorProto, kind)
    given = [helper.make_tensor_value_info(f"picture{index or ''}", number, shape) for index in range(inputs)]
    graph = helper.make_graph(nodes, "awkward", given, [helper.make_tensor_value_info("enlarged", number, None)], tensors)
    sets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    path.write_bytes(helper.make_model(graph, opset_imports=sets).SerializeToString())


def _node(operation: str, *inputs: str, output: str = "enlarged", **attributes: Any) -> "onnx.NodeProto":
    from onnx import helper

    return helper.make_node(operation, list(inputs), [output], **attributes)


def _constant(name: str, values: Any, kind: type = np.float32) -> "onnx.TensorProto":
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(values, kind), name)


def _repeating(path: Path, *before: "onnx.NodeProto", source: str = "picture", times: int = 2, **how: Any) -> None:
    """Each pixel `times` times along both sides; `before` are steps from `picture` to `source`."""
    onnx_graph(
        path,
        [*before, _node("Resize", source, "", "scales", mode="nearest", coordinate_transformation_mode="asymmetric")],
        [_constant("scales", [1, 1, times, times])],
        **how,
    )


def write_repeating_onnx(path: Path, **how: Any) -> None:
    """A good file: an ONNX network that repeats each pixel twice along both sides."""
    _repeating(path, **how)


def _external(location: str, *, subgraph: bool = False) -> Write:
    """A weight that lies in another file, which is there and would fit."""

    def write(path: Path) -> None:
        from onnx import TensorProto, helper

        (path.parent / "weights.bin").write_bytes(np.ones(3, np.float32).tobytes())
        tensor = TensorProto(name="gain", data_type=TensorProto.FLOAT, dims=[1, 3, 1, 1], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=location.format(folder=path.parent))
        if not subgraph:
            return onnx_graph(
                path,
                [_node("Mul", "picture", "gain", output="same"), _node("Resize", "same", "", "scales", mode="nearest")],
                [tensor, _constant("scales", [1, 1, 2, 2])],
            )
        branches = {
            name: helper.make_graph(
                [helper.make_node("Constant", [], ["gain"], value=tensor)],
                name,
                [],
                [helper.make_tensor_value_info("gain", TensorProto.FLOAT, None)],
            )
            for name in ("then_branch", "else_branch")
        }
        choice = _node("If", "always", output="factor", **branches)
        return onnx_graph(
            path,
            [choice, _node("Mul", "picture", "factor", output="same"), _node("Resize", "same", "", "scales", mode="nearest")],
            [_constant("always", True, np.bool_), _constant("scales", [1, 1, 2, 2])],
        )

    return write


def write_endless_loop(path: Path) -> None:
    """Row 65: a loop of 2^62 rounds before the picture comes out."""
    from onnx import TensorProto, helper

    state = [
        helper.make_tensor_value_info("round", TensorProto.INT64, []),
        helper.make_tensor_value_info("going", TensorProto.BOOL, []),
        helper.make_tensor_value_info("before", TensorProto.FLOAT, None),
    ]
    after = [
        helper.make_tensor_value_info("still_going", TensorProto.BOOL, []),
        helper.make_tensor_value_info("after", TensorProto.FLOAT, None),
    ]
    steps = [helper.make_node("Identity", ["going"], ["still_going"]), helper.make_node("Sin", ["before"], ["after"])]
    _repeating(
        path,
        _node("Loop", "rounds", "yes", "picture", output="looped", body=helper.make_graph(steps, "body", state, after)),
        source="looped",
    )
    _with_tensors(path, [_constant("rounds", 2**62, np.int64), _constant("yes", True, np.bool_)])


def write_swelling(path: Path) -> None:
    """A few hundred bytes that need gigabytes: a sum over as many numbers, made from the picture's size."""
    _repeating(
        path,
        _node("Shape", "picture", output="size"),
        _node("Mul", "size", "growth", output="larger"),
        _node("ConstantOfShape", "larger", output="zeros", value=_constant("", [0.0])),
        _node("ReduceSum", "zeros", output="nothing", keepdims=0),
        _node("Add", "picture", "nothing", output="same"),
        source="same",
    )
    _with_tensors(path, [_constant("growth", [1, 1, 1000, 1000], np.int64)])


def _with_tensors(path: Path, tensors: "list[onnx.TensorProto]") -> None:
    import onnx

    model = onnx.load(path)
    model.graph.initializer.extend(tensors)
    onnx.save_model(model, path)


def _nan_onnx(path: Path) -> None:
    _repeating(path, _node("Mul", "picture", "gain", output="same"), source="same")
    _with_tensors(path, [_constant("gain", np.nan)])


def _nan_made(path: Path) -> None:
    _repeating(path, _node("Sub", "picture", "one", output="below"), _node("Log", "below", output="log"), source="log")
    _with_tensors(path, [_constant("one", 1.0)])


def _claiming(path: Path) -> None:
    from onnx import TensorProto

    _repeating(path)
    _with_tensors(path, [TensorProto(name="large", data_type=TensorProto.FLOAT, dims=[100_000, 100_000])])


def _short_tensor(path: Path) -> None:
    from onnx import TensorProto

    _repeating(path)
    _with_tensors(path, [TensorProto(name="short", data_type=TensorProto.FLOAT, dims=[100], raw_data=b"1234")])


def _other_range(path: Path) -> None:
    """A network for 0..255: it takes the mean of such pictures off, as EDSR does, and puts it back after its ReLU."""
    _repeating(
        path,
        _node("Sub", "picture", "mean", output="shifted"),
        _node("Relu", "shifted", output="cut"),
        _node("Add", "cut", "mean", output="back"),
        source="back",
    )
    _with_tensors(path, [_constant("mean", 100.0)])


def _other_levels(path: Path) -> None:
    """A network that takes 0..1 and gives 0..255."""
    _repeating(path, _node("Mul", "picture", "levels", output="larger"), source="larger")
    _with_tensors(path, [_constant("levels", 255.0)])


def _good_onnx(path: Path) -> bytes:
    networks.write_onnx(path, scale=2)
    return path.read_bytes()


ONNX = [
    # 63
    BadFile("beside.onnx", _external("weights.bin"), EXTERNAL),
    BadFile("absolute.onnx", _external("{folder}/weights.bin"), EXTERNAL),
    BadFile("above.onnx", _external("../../../../etc/passwd"), EXTERNAL),
    BadFile("in_a_branch.onnx", _external("weights.bin", subgraph=True), EXTERNAL),
    # 64
    BadFile(
        "own_operation.onnx",
        lambda path: onnx_graph(path, [_node("Enlarge", "picture", domain="com.example")], [], domain="com.example"),
        UNKNOWN,
    ),
    # 66
    BadFile("random.onnx", lambda path: path.write_bytes(np.random.default_rng(0).bytes(4096)), DAMAGED),
    BadFile("page.onnx", lambda path: path.write_bytes(PAGE), DAMAGED),
    BadFile("empty.onnx", lambda path: path.write_bytes(b""), DAMAGED),
    BadFile("cut.onnx", _changed(_good_onnx, lambda data: data[: len(data) // 2]), DAMAGED),
    BadFile("no_nodes.onnx", lambda path: onnx_graph(path, [], []), DAMAGED),
    BadFile("short_tensor.onnx", _short_tensor, DAMAGED),
    # 60, 61, 62
    BadFile("nan.onnx", _nan_onnx, NO_NUMBER),
    BadFile("makes_nan.onnx", _nan_made, NO_NUMBER),
    BadFile("claiming.onnx", _claiming, LIMITS),
    BadFile("scale_64.onnx", lambda path: _repeating(path, times=64), LIMITS),
    # graphs that are no upscalers of one RGB or luma picture
    BadFile("same_size.onnx", lambda path: onnx_graph(path, [_node("Relu", "picture")], []), NO_UPSCALER),
    BadFile("classifier.onnx", lambda path: onnx_graph(path, [_node("ReduceMean", "picture", axes=[2, 3], keepdims=0)], []), NO_UPSCALER),
    BadFile("two_inputs.onnx", lambda path: _repeating(path, inputs=2), NO_UPSCALER),
    BadFile("bytes.onnx", lambda path: _repeating(path, kind="UINT8"), NO_UPSCALER),
    BadFile("last_channels.onnx", lambda path: _repeating(path, shape=(1, "h", "w", 3)), NO_UPSCALER),
    BadFile("static_last_channels.onnx", lambda path: _repeating(path, shape=(1, 64, 64, 3)), NO_UPSCALER),
    BadFile("four_channels.onnx", lambda path: _repeating(path, shape=(1, 4, "h", "w")), NO_UPSCALER),
    BadFile("batch.onnx", lambda path: _repeating(path, shape=(8, 3, 64, 64)), NO_UPSCALER),
    BadFile("oblong.onnx", lambda path: _repeating(path, shape=(1, 3, 64, 128)), NO_UPSCALER),
    BadFile("tiny_tiles.onnx", lambda path: _repeating(path, shape=(1, 3, 8, 8)), NO_UPSCALER),
    BadFile(
        "noisy.onnx",
        lambda path: _repeating(
            path, _node("RandomUniformLike", "picture", output="noise"), _node("Add", "picture", "noise", output="same"), source="same"
        ),
        NO_UPSCALER,
    ),
    BadFile("other_range.onnx", _other_range, NO_UPSCALER),
    BadFile("other_levels.onnx", _other_levels, NO_UPSCALER),
]
"""Rows 60 to 66, and graphs that do something else."""
