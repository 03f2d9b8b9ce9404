"""Start a Streamlit app in a process of its own, and end it."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 40.0
STOP_TIMEOUT_S = 5.0
FLAGS = ("--server.headless", "true", "--browser.gatherUsageStats", "false", "--server.fileWatcherType", "none")


@dataclass(frozen=True)
class RunningApp:
    """An app that answers."""

    url: str
    """Its address, without a slash at the end."""
    pid: int
    output: IO[bytes]

    def log(self) -> str:
        """What the app has printed so far."""
        self.output.seek(0)
        return self.output.read().decode(errors="replace")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def start_app(script: Path, env: Mapping[str, str] | None = None) -> Iterator[RunningApp]:
    """Run `streamlit run script` on a free port of 127.0.0.1, from the repository's root; at the end stop that process.

    Parameters
    ----------
    script:
        The Streamlit script, or the file that holds an `st.App`.
    env:
        Added to this process's environment.

    Raises
    ------
    RuntimeError
        The app ended or did not answer in time; the message holds what it printed.
    """
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.address", "127.0.0.1", "--server.port", str(port), *FLAGS]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
    with TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        app = RunningApp(f"http://127.0.0.1:{port}", process.pid, output)
        try:
            _wait_until_healthy(app, process)
            yield app
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_healthy(app: RunningApp, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The app ended with code {process.returncode} before it answered:\n{app.log()}")
        try:
            with urllib.request.urlopen(f"{app.url}/_stcore/health", timeout=2) as answer:
                # Streamlit answers unknown paths with 200 and a page, so the body decides.
                if answer.read().strip() == b"ok":
                    return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            pass
        time.sleep(0.1)
    raise RuntimeError(f"The app did not answer within {START_TIMEOUT_S:.0f} s:\n{app.log()}")
