"""PyTorch: CPU, CUDA or Apple's MPS, channels-last, without gradients; in eager mode, or compiled on CUDA where that is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import numpy as np

from core.errors import OutOfMemoryError, UnavailableError
from core.memory import keep_freed_memory
from core.settings import settings
from runtimes.base import F32, NetworkSource, Placement, Runtime, Session

if TYPE_CHECKING:
    import torch

MIB = 1024 * 1024


class TorchDevice:
    """Where PyTorch computes, and in which number format: for sessions, and for models of several networks.

    Raises
    ------
    core.errors.UnavailableError
        There is no such device, or it can't compute in this format.
    """

    def __init__(self, placement: Placement) -> None:
        import torch

        self.device = _device(placement.device)
        if placement.precision == "f16" and self.device.type == "cpu":
            raise UnavailableError("f16 needs a GPU: choose f32 or bf16 on a CPU.")
        self.dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[placement.precision]
        torch.set_num_threads(placement.threads)
        if self.device.type == "cpu":
            # Else the same call takes up to 1.8 times as long, by chance of what the process freed before: perf/kept_memory.py.
            keep_freed_memory()

    @property
    def name(self) -> str:
        """The device as people call it."""
        import torch

        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return {"cpu": "CPU", "mps": "Apple GPU"}[self.device.type]

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute without gradients; a lack of memory becomes a `core.errors.OutOfMemoryError`."""
        import torch

        try:
            with torch.inference_mode():
                yield
        except RuntimeError as error:
            if _is_out_of_memory(error):
                raise OutOfMemoryError("Out of memory: choose a smaller picture, region or tile.") from error
            raise

    def peak_vram_mib(self) -> float | None:
        """Largest CUDA memory since the last call, in MiB."""
        import torch

        if self.device.type != "cuda":
            return None
        peak = torch.cuda.max_memory_allocated(self.device) / MIB
        torch.cuda.reset_peak_memory_stats(self.device)
        return peak

    def release(self) -> None:
        """Give cached memory of the device back."""
        import torch

        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class TorchSession:
    """A module on its device."""

    def __init__(self, module: "torch.nn.Module", place: TorchDevice) -> None:
        import torch

        self._place = place
        module = module.to(place.device).to(memory_format=torch.channels_last)
        self._module: torch.nn.Module | None = compiled(module, place.device)

    @property
    def device_name(self) -> str:
        """The device as people call it."""
        return self._place.name

    def expect(self, height: int, width: int) -> None:
        """See `runtimes.base.Session.expect`: nothing depends on the size."""

    def run(self, batch: F32) -> F32:
        """See `runtimes.base.Session.run`. Copying the result to the host waits for the device."""
        import torch

        if self._module is None:
            raise RuntimeError("The session is closed.")
        device, dtype = self._place.device, self._place.dtype
        with self._place.computing(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            tensor = torch.tensor(batch, device=device).contiguous(memory_format=torch.channels_last)
            return np.ascontiguousarray(self._module(tensor).float().cpu().numpy())

    def peak_vram_mib(self) -> float | None:
        """Largest CUDA memory since the last call, in MiB."""
        return self._place.peak_vram_mib()

    def close(self) -> None:
        """Release the module and the device's cached memory."""
        self._module = None
        self._place.release()


class TorchRuntime(Runtime):
    """PyTorch."""

    id = "torch"
    name = "PyTorch"
    module = "torch"
    preload = ("torch", "spandrel")
    precisions = ("f32", "bf16", "f16")

    def version(self) -> str:
        """Name and version."""
        import torch

        return f"PyTorch {torch.__version__}"

    def open(self, source: NetworkSource, placement: Placement) -> Session:
        """See `runtimes.base.Runtime.open`."""
        if source.module is None:
            raise UnavailableError("PyTorch can't read frozen TensorFlow graphs (.pb): choose the runtime opencv for this upscaler.")
        place = TorchDevice(placement)
        return TorchSession(source.module(), place)


def compiled(module: "torch.nn.Module", device: "torch.device") -> "torch.nn.Module":
    """The module, compiled on an NVIDIA GPU where `settings().torch_compile` asks for it: at its first call, and for each size anew.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.compile.html
    """
    import torch

    if device.type != "cuda" or not settings().torch_compile:
        return module
    # Tiles have few sizes: a form for each is faster than one for all.
    return cast("torch.nn.Module", torch.compile(module, dynamic=False))


def _device(name: str) -> "torch.device":
    import torch

    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(candidate for candidate in ("cuda", "mps", "cpu") if present[candidate])
    if not present.get(name, False):
        raise UnavailableError(
            f"PyTorch finds no device {name!r} here; present: {', '.join(key for key, value in present.items() if value)}."
        )
    return torch.device(name)


def _is_out_of_memory(error: RuntimeError) -> bool:
    """The CPU allocator raises a plain RuntimeError, which only its text tells from others."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error) or "can't allocate memory" in str(error)
