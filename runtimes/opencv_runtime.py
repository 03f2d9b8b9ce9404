"""OpenCV's dnn module on the CPU: reads frozen TensorFlow graphs, as `dnn_superres` does."""

from typing import TYPE_CHECKING

import numpy as np

from core.errors import OutOfMemoryError, UnavailableError, WeightsError
from runtimes.base import F32, FrozenGraph, NetworkSource, Placement, Runtime, Session

if TYPE_CHECKING:
    import cv2


class OpenCVSession:
    """A graph opened by `cv2.dnn`."""

    device_name = "CPU"

    def __init__(self, net: "cv2.dnn.Net", output: str) -> None:
        self._net: cv2.dnn.Net | None = net
        self._output = output

    def expect(self, height: int, width: int) -> None:
        """See `runtimes.base.Session.expect`: nothing depends on the size."""

    def run(self, batch: F32) -> F32:
        """See `runtimes.base.Session.run`."""
        import cv2

        if self._net is None:
            raise RuntimeError("The session is closed.")
        try:
            self._net.setInput(batch)
            return np.asarray(self._net.forward(self._output), np.float32)
        except cv2.error as error:
            if error.code == cv2.Error.STS_NO_MEM:
                raise OutOfMemoryError("Out of memory: choose smaller tiles, a smaller picture or a region.") from error
            raise

    def peak_vram_mib(self) -> float | None:
        """A CPU has no device memory of its own."""
        return None

    def close(self) -> None:
        """Release the network."""
        self._net = None


class OpenCVRuntime(Runtime):
    """`cv2.dnn` on the CPU in f32."""

    id = "opencv"
    name = "OpenCV"
    module = "cv2"

    def version(self) -> str:
        """Name and version."""
        import cv2

        return f"OpenCV {cv2.__version__}"

    def open(self, source: NetworkSource, placement: Placement) -> Session:
        """See `runtimes.base.Runtime.open`."""
        import cv2

        if source.graph is None:
            raise UnavailableError("OpenCV reads only frozen TensorFlow graphs (.pb): choose the runtime torch for this upscaler.")
        if placement.precision != "f32" or placement.device not in ("auto", "cpu"):
            raise UnavailableError(f"OpenCV runs in f32 on the CPU; asked for {placement.precision} on {placement.device}.")
        cv2.setNumThreads(placement.threads)
        return OpenCVSession(_read(source.graph), source.graph.output)


def _read(graph: FrozenGraph) -> "cv2.dnn.Net":
    import cv2

    # Its first instance registers the DepthToSpace layer that these graphs use.
    cv2.dnn_superres.DnnSuperResImpl.create()
    try:
        net = cv2.dnn.readNetFromTensorflow(str(graph.path))
    except cv2.error as error:
        raise WeightsError(f"{graph.path.name} is damaged: OpenCV can't read it. Delete the file and fetch it again.") from error
    if graph.output not in net.getLayerNames():
        raise WeightsError(f"{graph.path.name} is damaged: it has no node {graph.output}. Delete the file and fetch it again.")
    return net
