"""The interface between an upscaler and what executes its network.

An adapter hands over a `NetworkSource`; a runtime turns it into a `Session`, which maps float arrays to float arrays. Neither
knows the other's library, so a new runtime touches no adapter and a new family touches no runtime.
"""

import functools
import importlib.util
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

F32 = NDArray[np.float32]
Precision = Literal["f32", "bf16", "f16"]


def usable_cores() -> int:
    """Physical cores that this process may use: more threads than these slow networks down."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _physical_cores() or allowed, _container_cores() or allowed))


@functools.cache
def _physical_cores() -> int | None:
    """Of the machine; looking takes many small files."""
    return psutil.cpu_count(logical=False)


def _container_cores() -> int | None:
    """Cores that a container's quota amounts to; None without one. Source: Linux, Documentation/admin-guide/cgroup-v2, `cpu.max`."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class Placement:
    """Where and how a network runs."""

    device: str = "auto"
    """`cpu`, `cuda`, `mps`, or `auto`: the fastest that the runtime finds."""
    precision: Precision = "f32"
    """Number format of the network's arithmetic."""
    threads: int = field(default_factory=usable_cores)
    """Threads that one call may use on a CPU."""


@dataclass(frozen=True, kw_only=True)
class NetworkSource:
    """A network, described so that more than one runtime can open it. At least one of the forms is given."""

    key: str
    """Identifies the numbers in the network: the sha256 of its weights and the options baked into them."""
    graph: "FrozenGraph | None" = None
    """A frozen TensorFlow graph."""
    onnx: Path | None = None
    """An ONNX file without external data."""
    module: "Callable[[], torch.nn.Module] | None" = None
    """Builds the PyTorch module in f32 on the CPU, with its weights, in eval mode."""
    code: str = ""
    """With `module`: changes whenever the code or a library that builds it does."""
    channels: int = 3
    """With `module`: channels of its input."""
    compile_per_size: bool = False
    """With `module`: whether it runs much faster when it is compiled anew for each size of its input, as attention does."""


@dataclass(frozen=True)
class FrozenGraph:
    """A frozen TensorFlow graph file and the node that holds its result."""

    path: Path
    """The `.pb` file."""
    output: str
    """Name of the output node, NCHW."""


class Session(Protocol):
    """An opened network."""

    @property
    def device_name(self) -> str:
        """The device as people call it: `CPU`, `NVIDIA H200`."""
        ...

    def expect(self, height: int, width: int) -> None:
        """Do ahead what only the first input of a size needs, such as compiling for it; part of loading, not of a call.

        Raises
        ------
        core.errors.UnavailableError
            The runtime can't compute in the precision asked for.
        """
        ...

    def run(self, batch: F32) -> F32:
        """Run the network and wait for its result.

        Parameters
        ----------
        batch:
            Float32, `(1, C, H, W)`, in the range that the network was trained for. Not written to.

        Returns
        -------
        Float32, `(1, C', scale·H, scale·W)`, in host memory: the device has finished when this returns.

        Raises
        ------
        core.errors.OutOfMemoryError
            The device or the host has too little memory.
        """
        ...

    def peak_vram_mib(self) -> float | None:
        """Largest device memory since the last call of this method, in MiB; None where there is no separate device memory."""
        ...

    def close(self) -> None:
        """Release the network. Safe to call twice."""
        ...


@functools.cache
def _is_installed(module: str) -> bool:
    """Looked up once: a page asks some hundred times for each click, and a search goes through all folders of `sys.path`."""
    return importlib.util.find_spec(module) is not None


class Runtime(ABC):
    """One way to execute networks."""

    id: str
    """Short name used in rows and on the command line."""
    name: str
    """Name for people."""
    module: str
    """The Python module that must be importable."""
    preload: tuple[str, ...] = ()
    """Modules so slow to import that a process should have them before a model is asked for."""
    precisions: tuple[Precision, ...] = ("f32",)
    """Supported number formats."""

    def unavailable_reason(self) -> str | None:
        """Why the runtime can't run here, with the remedy, or None. Imports nothing."""
        if not _is_installed(self.module):
            return f"{self.name} is not installed: run `pip install -r requirements.txt`."
        return None

    @abstractmethod
    def version(self) -> str:
        """Name and version of the library, as stored with results. May import it."""

    @abstractmethod
    def open(self, source: NetworkSource, placement: Placement) -> Session:
        """Open a network.

        Raises
        ------
        core.errors.UnavailableError
            The runtime can't read this kind of network, or lacks the device or precision asked for.
        """
