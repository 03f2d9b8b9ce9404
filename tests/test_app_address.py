"""`app --host`: who can reach the app, and what the person who serves it is told."""

import os
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from cli.address import SHARED
from core.addresses import is_own
from tests.engine_helpers import wait_until

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(address: str, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/_stcore/health", timeout=2) as answer:
            return answer.read().strip() == b"ok"
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


# Every address 127.x.y.z is this machine's, so a second one stands for another interface: a server on 127.0.0.1 is not heard there.
@pytest.mark.parametrize(("host", "heard_elsewhere"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_only_a_shared_address_is_heard_elsewhere_and_warned_of(host: str, heard_elsewhere: bool) -> None:
    port = free_port()
    with tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", "cli", "app", "--host", host, "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ}, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True)
        try:
            wait_until(lambda: answers("127.0.0.1", port), 40)
            assert answers("127.0.0.2", port) == heard_elsewhere
        finally:
            # The server's group: the command waits for Streamlit.
            os.killpg(process.pid, 15)
            process.wait(20)
        errors.seek(0)
        assert (SHARED in errors.read()) == heard_elsewhere


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "no.such.host.invalid"], "can't listen on no.such.host.invalid"),
        (["--host", "203.0.113.9"], "can't listen on 203.0.113.9"),
        (["--port", "70000"], "between 1 and 65535; got 70000"),
        (["--port", "TAKEN"], "can't listen on 127.0.0.1"),
    ],
)
def test_an_address_that_can_not_be_used_is_one_line_and_exit_code_2(arguments: list[str], words: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        given = [str(taken.getsockname()[1]) if argument == "TAKEN" else argument for argument in arguments]
        done = subprocess.run(
            [sys.executable, "-m", "cli", "app", *given], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
        )
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert SHARED not in done.stderr


@pytest.mark.parametrize(
    ("host", "own"), [("localhost", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("10.0.0.7", False), ("::", False)]
)
def test_loopback_addresses_are_ones_own(host: str, own: bool) -> None:
    assert is_own(host) == own
