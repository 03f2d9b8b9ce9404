"""OpenVINO on the CPU: reads ONNX files, frozen TensorFlow graphs, and PyTorch networks that were converted before
(https://docs.openvino.ai).

Left alone, it computes in bf16 where the CPU can, turns a wish for f16 into bf16, pins its threads to cores that other
processes use too, and reports its use to its makers: all four are decided here.
"""

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from core.errors import OutOfMemoryError, UnavailableError, WeightsError
from runtimes import converted
from runtimes.base import F32, FrozenGraph, NetworkSource, Placement, Precision, Runtime, Session

if TYPE_CHECKING:
    from pathlib import Path

    import openvino

# Importing openvino sends an event over the network, and makes files in the home directory, if this package can be imported.
# An entry of None makes its import fail (https://docs.python.org/3/reference/import.html#the-module-cache); openvino then does
# without. It stands here, at the top, because whoever imports openvino has imported this module first.
sys.modules.setdefault("openvino_telemetry", None)  # pyright: ignore[reportArgumentType]: the stub of `sys` knows no None

CONVERTED = "The converted network"
NO_MEMORY = "Out of memory: choose a smaller picture, region or tile."
KEPT_SIZES = 2
"""How many compiled forms a network keeps that is compiled for each size: the tiles of a picture, and the picture before."""
MEMORY_WORDS = ("bad_alloc", "Failed to allocate", "out of memory", "not enough memory")
"""What its messages say when memory was lacking; its exceptions have no type for it."""


class OpenVINOSession:
    """A compiled network with one input and one output."""

    device_name = "CPU"

    def __init__(self, compiled: "openvino.CompiledModel") -> None:
        self._compiled: openvino.CompiledModel | None = compiled
        self._request: openvino.InferRequest | None = compiled.create_infer_request()

    @property
    def precision(self) -> Precision:
        """The number format in which the compiled network computes, as OpenVINO itself states it."""
        if self._compiled is None:
            raise RuntimeError("The session is closed.")
        return self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()

    def expect(self, height: int, width: int) -> None:
        """See `runtimes.base.Session.expect`: nothing depends on the size."""

    def run(self, batch: F32) -> F32:
        """See `runtimes.base.Session.run`."""
        if self._request is None:
            raise RuntimeError("The session is closed.")
        try:
            # The input is read in place and the result copied once: the request keeps its own buffer for the next call.
            outputs = self._request.infer([np.ascontiguousarray(batch)], share_inputs=True, share_outputs=True)
            result = np.array(outputs[0], np.float32)
        except RuntimeError as error:
            if any(words in str(error) for words in MEMORY_WORDS):
                raise OutOfMemoryError(NO_MEMORY) from error
            raise
        if not result.size:
            # Where the memory for a result of changing size can't be had, it raises nothing and gives one without pixels.
            raise OutOfMemoryError(NO_MEMORY)
        return result

    def peak_vram_mib(self) -> float | None:
        """A CPU has no device memory of its own."""
        return None

    def close(self) -> None:
        """Release the network."""
        self._request = None
        self._compiled = None


class SizedSession:
    """A network that is compiled for each size of its input: attention then runs in half of the time."""

    device_name = "CPU"

    def __init__(self, model: "openvino.Model", name: str, placement: Placement) -> None:
        self._model: openvino.Model | None = model
        self._name, self._placement = name, placement
        self._sessions: OrderedDict[tuple[int, ...], OpenVINOSession] = OrderedDict()

    @property
    def precision(self) -> Precision:
        """The number format in which it computes, as OpenVINO itself states it. Raises where nothing was run yet."""
        return next(reversed(self._sessions.values())).precision

    def expect(self, height: int, width: int) -> None:
        """See `runtimes.base.Session.expect`: compiles, which takes a second or more."""
        if self._model is None:
            raise RuntimeError("The session is closed.")
        self._session((1, self._model.input(0).partial_shape[1].get_length(), height, width))

    def run(self, batch: F32) -> F32:
        """See `runtimes.base.Session.run`."""
        return self._session(batch.shape).run(batch)

    def _session(self, shape: tuple[int, ...]) -> OpenVINOSession:
        """The network compiled for inputs of this shape; the sizes not used for longest are given up for it."""
        if self._model is None:
            raise RuntimeError("The session is closed.")
        if shape not in self._sessions:
            while len(self._sessions) >= KEPT_SIZES:
                self._sessions.popitem(last=False)[1].close()
            sized = self._model.clone()
            sized.reshape(list(shape))
            self._sessions[shape] = OpenVINOSession(compile_network(sized, self._name, self._placement))
        self._sessions.move_to_end(shape)
        return self._sessions[shape]

    def peak_vram_mib(self) -> float | None:
        """A CPU has no device memory of its own."""
        return None

    def close(self) -> None:
        """Release the network."""
        self._model = None
        while self._sessions:
            self._sessions.popitem()[1].close()


class OpenVINORuntime(Runtime):
    """OpenVINO on the CPU, in f32 unless bf16 is asked for. What it opens computes in that and nothing else."""

    id = "openvino"
    name = "OpenVINO"
    module = "openvino"
    precisions = ("f32", "bf16")

    def version(self) -> str:
        """Name and version."""
        import openvino

        # Such as 2026.4.1-22982-e213a147257-releases/2026/4; what follows the first dash tells nothing to a reader.
        return f"OpenVINO {openvino.__version__.partition('-')[0]}"

    def open(self, source: NetworkSource, placement: Placement) -> Session:
        """See `runtimes.base.Runtime.open`.

        Raises
        ------
        core.errors.WeightsError
            The file is damaged, or uses operations that OpenVINO has not.
        """
        if placement.precision not in self.precisions or placement.device not in ("auto", "cpu"):
            raise UnavailableError(f"OpenVINO runs in f32 or bf16 on the CPU; asked for {placement.precision} on {placement.device}.")
        if source.onnx is not None:
            return OpenVINOSession(compile_network(_read_onnx(source.onnx), source.onnx.name, placement))
        if source.graph is not None:
            return OpenVINOSession(compile_network(_read_graph(source.graph), source.graph.path.name, placement))
        return session_of(_read_converted(source), source, placement)


def session_of(model: "openvino.Model", source: NetworkSource, placement: Placement) -> "OpenVINOSession | SizedSession":
    """A session of a converted network, compiled as suits it. Raises what `compile_network` raises."""
    if source.compile_per_size:
        return SizedSession(model, CONVERTED, placement)
    return OpenVINOSession(compile_network(model, CONVERTED, placement))


def _read_converted(source: NetworkSource) -> "openvino.Model":
    import openvino

    entry = converted.find(source)
    if entry is None:
        raise UnavailableError("It is not converted for OpenVINO yet: run `upscale-bench prepare`, or choose the runtime auto.")
    if entry.refused:
        raise UnavailableError(f"OpenVINO can't run it: {entry.refused}. Choose the runtime torch.")
    try:
        return openvino.Core().read_model(converted.network_path(source))
    except RuntimeError as error:
        raise UnavailableError("Its converted form was deleted just now: run again.") from error


def _read(path: "Path", framework: str) -> "openvino.Model":
    from openvino.frontend import FrontEndManager

    try:
        # Asked for by name: `Core.read_model` would try the readers of all other formats on a damaged file.
        frontend = FrontEndManager().load_by_framework(framework)
        return frontend.convert(frontend.load(str(path)))
    except Exception as error:  # its failures share no other base
        raise WeightsError(_refusal(path.name, error)) from error


def _read_graph(graph: FrozenGraph) -> "openvino.Model":
    """The part of a graph that leads to its result, with NCHW at both ends."""
    import openvino

    try:
        model = _read(graph.path, "tf")
    except WeightsError as error:
        raise WeightsError(f"{graph.path.name} is damaged: OpenVINO can't read it. Delete the file and fetch it again.") from error
    wanted = [result for result in model.get_results() if f"{graph.output}:0" in result.get_output_tensor(0).names]
    if not wanted or len(model.inputs) != 1:
        raise WeightsError(f"{graph.path.name} is damaged: it has no node {graph.output}. Delete the file and fetch it again.")
    # LapSRN would hand out the smaller scales on its way as well.
    for result in model.get_results():
        if result not in wanted:
            model.remove_result(result)
    ends = openvino.preprocess.PrePostProcessor(model)
    ends.input().model().set_layout(openvino.Layout("NHWC"))
    ends.input().tensor().set_layout(openvino.Layout("NCHW"))
    return ends.build()


def _read_onnx(path: "Path") -> "openvino.Model":
    import openvino

    model = _read(path, "onnx")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise WeightsError(f"{path.name} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; one of each is expected.")
    # Networks stored in half precision take and give halves: let it convert, so that every network takes and gives f32.
    ends = openvino.preprocess.PrePostProcessor(model)
    ends.input().tensor().set_element_type(openvino.Type.f32)
    ends.output().tensor().set_element_type(openvino.Type.f32)
    return ends.build()


def compile_network(model: "openvino.Model", name: str, placement: Placement) -> "openvino.CompiledModel":
    """Compile for the precision and threads of a placement.

    Raises
    ------
    core.errors.WeightsError
        It uses operations that OpenVINO has not; the line begins with `name`.
    core.errors.OutOfMemoryError
        There is too little memory to do it.
    core.errors.UnavailableError
        This CPU can't compute in that precision: OpenVINO would silently take another.
    """
    import openvino

    settings = {
        "INFERENCE_PRECISION_HINT": placement.precision,
        "INFERENCE_NUM_THREADS": placement.threads,
        "NUM_STREAMS": 1,
        # Two processes with pinned threads would share the same few cores and leave the others idle.
        "ENABLE_CPU_PINNING": False,
    }
    try:
        compiled = openvino.Core().compile_model(model, "CPU", settings)
    except RuntimeError as error:
        if any(words in str(error) for words in MEMORY_WORDS):
            raise OutOfMemoryError("Out of memory while the network was prepared: close other programs.") from error
        raise WeightsError(_refusal(name, error)) from error
    if compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() != placement.precision:
        raise UnavailableError(f"This CPU can't compute in {placement.precision}: choose f32.")
    return compiled


def _refusal(name: str, error: Exception) -> str:
    """One line from a message of many, whose last line says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{name} can't be used by OpenVINO: {(lines[-1] if lines else type(error).__name__)[:200]}"
