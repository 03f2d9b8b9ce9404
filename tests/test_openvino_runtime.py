"""OpenVINO gives the numbers of the network it reads, in the precision asked for, and keeps what it does to itself."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import UnavailableError, WeightsError
from runtimes import RUNTIMES
from runtimes.base import NetworkSource, Placement
from runtimes.openvino_runtime import OpenVINOSession
from tests import networks


def opened(path: Path, placement: Placement | None = None) -> OpenVINOSession:
    session = RUNTIMES.get("openvino").open(NetworkSource(key="test", onnx=path), placement or Placement(threads=1))
    assert isinstance(session, OpenVINOSession)
    return session


def noise(channels: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).random((1, channels, height, width)).astype(np.float32)


@pytest.mark.parametrize(("channels", "scale"), [(3, 2), (1, 3)])
def test_an_onnx_network_gives_the_numbers_of_an_oracle_at_any_size(channels: int, scale: int, tmp_path: Path) -> None:
    kernel = networks.write_onnx(tmp_path / "net.onnx", scale=scale, channels=channels)
    session = opened(tmp_path / "net.onnx")
    for height, width in [(9, 14), (1, 1), (23, 5)]:
        batch = noise(channels, height, width)
        before = batch.copy()
        result = session.run(batch)
        assert result.dtype == np.float32
        assert result.shape == (1, channels, height * scale, width * scale)
        assert np.abs(result[0] - networks.enlarged_by(kernel, batch[0], scale)).max() < 1e-5
        assert np.array_equal(batch, before)
    session.close()


def test_a_result_stays_when_the_network_is_called_again(tmp_path: Path) -> None:
    networks.write_onnx(tmp_path / "net.onnx", scale=2)
    session = opened(tmp_path / "net.onnx")
    first = session.run(noise(3, 8, 8))
    kept = first.copy()
    session.run(np.zeros((1, 3, 8, 8), np.float32))
    assert np.array_equal(first, kept)


def test_a_network_of_halves_takes_and_gives_f32(tmp_path: Path) -> None:
    kernel = networks.write_onnx(tmp_path / "net.onnx", scale=2, half=True)
    batch = noise(3, 8, 8)
    result = opened(tmp_path / "net.onnx").run(batch)
    assert result.dtype == np.float32
    expected = networks.enlarged_by(kernel.astype(np.float16), batch[0].astype(np.float16), 2)
    assert np.abs(result[0] - expected).max() < 2e-3


def has_bf16() -> bool:
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_it_computes_in_the_precision_asked_for_or_not_at_all(precision, tmp_path: Path) -> None:
    networks.write_onnx(tmp_path / "net.onnx", scale=2)
    placement = Placement(precision=precision, threads=1)
    if precision == "f32" or has_bf16():
        session = opened(tmp_path / "net.onnx", placement)
        assert session.precision == precision
        assert session._compiled is not None
        assert session._compiled.get_property("INFERENCE_NUM_THREADS") == 1
    else:
        with pytest.raises(UnavailableError, match="can't compute in bf16"):
            opened(tmp_path / "net.onnx", placement)


def test_a_precision_that_openvino_changes_in_silence_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks.write_onnx(tmp_path / "net.onnx", scale=2)
    monkeypatch.setattr(type(RUNTIMES.get("openvino")), "precisions", ("f32", "bf16", "f16"))
    with pytest.raises(UnavailableError, match="can't compute in f16"):
        opened(tmp_path / "net.onnx", Placement(precision="f16", threads=1))


@pytest.mark.parametrize("placement", [Placement(precision="f16"), Placement(device="cuda")], ids=["f16", "cuda"])
def test_what_it_has_not_is_refused_in_one_line(placement: Placement, tmp_path: Path) -> None:
    networks.write_onnx(tmp_path / "net.onnx", scale=2)
    with pytest.raises(UnavailableError, match=f"asked for {placement.precision} on {placement.device}"):
        opened(tmp_path / "net.onnx", placement)


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"garbage" * 50, "cut"], ids=["empty", "web page", "garbage", "cut"])
def test_a_damaged_file_is_refused_in_one_line(body: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    networks.write_onnx(path, scale=2)
    path.write_bytes(path.read_bytes()[:-40] if isinstance(body, str) else body)
    with pytest.raises(WeightsError, match=r"net\.onnx") as refused:
        opened(path)
    assert "\n" not in str(refused.value)


def test_lack_of_memory_is_told_as_such(tmp_path: Path) -> None:
    """In a process with less memory than the result needs."""
    networks.write_onnx(tmp_path / "net.onnx", scale=4)
    code = f"""
import resource, numpy as np
from pathlib import Path
from core.errors import OutOfMemoryError
from runtimes import RUNTIMES
from runtimes.base import NetworkSource, Placement
session = RUNTIMES.get("openvino").open(NetworkSource(key="x", onnx=Path({str(tmp_path / "net.onnx")!r})), Placement(threads=1))
batch = np.zeros((1, 3, 2000, 2000), np.float32)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
try:
    session.run(batch)
except OutOfMemoryError as error:
    print(error)
"""
    if sys.platform != "linux":
        pytest.skip("Linux only: it limits its own address space.")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Out of memory"), done.stderr


def test_a_closed_session_says_so(tmp_path: Path) -> None:
    networks.write_onnx(tmp_path / "net.onnx", scale=2)
    session = opened(tmp_path / "net.onnx")
    session.close()
    session.close()
    with pytest.raises(RuntimeError, match="closed"):
        session.run(noise(3, 8, 8))


def test_openvino_reports_to_nobody(tmp_path: Path) -> None:
    """Its telemetry would open a connection and leave files in the home directory."""
    networks.write_onnx(tmp_path / "net.onnx", scale=2)
    home = tmp_path / "home"
    home.mkdir()
    code = f"""
import sys
def refuse(event, arguments):
    if event.startswith("socket."):
        print("network:", event, arguments, flush=True)
sys.addaudithook(refuse)
from pathlib import Path
from runtimes import RUNTIMES
from runtimes.base import NetworkSource, Placement
RUNTIMES.get("openvino").open(NetworkSource(key="x", onnx=Path({str(tmp_path / "net.onnx")!r})), Placement(threads=1)).close()
print(sorted(name for name in sys.modules if "telemetry" in name and sys.modules[name] is not None and "stub" not in name))
"""
    environment = {"HOME": str(home), "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "network" not in done.stdout
    assert "openvino_telemetry" not in done.stdout
    assert list(home.iterdir()) == []
