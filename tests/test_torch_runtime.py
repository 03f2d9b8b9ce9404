"""PyTorch networks are compiled on an NVIDIA GPU, on request, and nowhere else; on a CPU their process keeps what it frees."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from runtimes.torch_runtime import compiled


@pytest.mark.parametrize(
    ("device", "asked", "expected"), [("cuda", "1", True), ("cuda", "0", False), ("cpu", "1", False), ("mps", "1", False)]
)
def test_networks_are_compiled_where_that_is_asked_for_and_pays(
    device: str, asked: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setenv("UPSCALE_BENCH_TORCH_COMPILE", asked)
    module = torch.nn.PixelShuffle(2)
    result = compiled(module, torch.device(device))
    assert (result is not module) == expected
    assert isinstance(result, torch._dynamo.OptimizedModule) == expected


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are let alone")
def test_a_call_on_the_cpu_takes_no_new_memory_from_the_system() -> None:
    # Eight results of 5 MB are 10,000 pages; a process of its own, as the tests before may have freed larger blocks.
    code = """
import resource
import torch
from runtimes.base import Placement
from runtimes.torch_runtime import TorchDevice
device = TorchDevice(Placement(device="cpu", precision="f32", threads=1))
network = torch.nn.Conv2d(3, 32, 3).eval()
picture = torch.zeros(1, 3, 200, 200)
taken = []
with device.computing():
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        results = [network(picture) for _ in range(8)]
        del results
        taken.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(taken[-1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert int(done.stdout) < 1000
