"""PyTorch in eager mode: CPU, CUDA or Apple's MPS, channels-last, without gradients."""

from typing import TYPE_CHECKING

import numpy as np

from core.errors import OutOfMemoryError, UnavailableError
from runtimes.base import F32, NetworkSource, Placement, Precision, Runtime, Session

if TYPE_CHECKING:
    import torch

MIB = 1024 * 1024


class TorchSession:
    """A module on its device."""

    def __init__(self, module: "torch.nn.Module", device: "torch.device", precision: Precision) -> None:
        import torch

        self._dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[precision]
        self._device = device
        self._module: torch.nn.Module | None = module.to(device).to(memory_format=torch.channels_last)

    @property
    def device_name(self) -> str:
        """The device as people call it."""
        import torch

        if self._device.type == "cuda":
            return torch.cuda.get_device_name(self._device)
        return {"cpu": "CPU", "mps": "Apple GPU"}[self._device.type]

    def run(self, batch: F32) -> F32:
        """See `runtimes.base.Session.run`. Copying the result to the host waits for the device."""
        import torch

        if self._module is None:
            raise RuntimeError("The session is closed.")
        try:
            with torch.inference_mode(), torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32):
                tensor = torch.tensor(batch, device=self._device).contiguous(memory_format=torch.channels_last)
                return np.ascontiguousarray(self._module(tensor).float().cpu().numpy())
        except RuntimeError as error:
            if _is_out_of_memory(error):
                raise OutOfMemoryError("Out of memory: choose a smaller picture, region or tile.") from error
            raise

    def peak_vram_mib(self) -> float | None:
        """Largest CUDA memory since the last call, in MiB."""
        import torch

        if self._device.type != "cuda":
            return None
        peak = torch.cuda.max_memory_allocated(self._device) / MIB
        torch.cuda.reset_peak_memory_stats(self._device)
        return peak

    def close(self) -> None:
        """Release the module and the device's cached memory."""
        import torch

        self._module = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


class TorchRuntime(Runtime):
    """PyTorch, eager."""

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
        import torch

        if source.module is None:
            raise UnavailableError("PyTorch can't read frozen TensorFlow graphs (.pb): choose --runtime opencv for this upscaler.")
        device = _device(placement.device)
        if placement.precision == "f16" and device.type == "cpu":
            raise UnavailableError("f16 needs a GPU: choose f32 or bf16 on a CPU.")
        torch.set_num_threads(placement.threads)
        return TorchSession(source.module(), device, placement.precision)


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
