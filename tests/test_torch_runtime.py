"""PyTorch networks are compiled on an NVIDIA GPU, on request, and nowhere else."""

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
