"""Runtimes: what executes a network. A family describes its network once; every runtime that can read the description can run it."""

from core.registry import Registry
from runtimes.base import Runtime
from runtimes.opencv_runtime import OpenCVRuntime
from runtimes.openvino_runtime import OpenVINORuntime
from runtimes.pillow_runtime import PillowRuntime
from runtimes.torch_runtime import TorchRuntime

RUNTIMES: Registry[Runtime] = Registry("runtime", key=lambda runtime: runtime.id)
RUNTIMES.add(PillowRuntime(), OpenCVRuntime(), OpenVINORuntime(), TorchRuntime())
