"""The worker host, seen from the program that starts it: its process, its environment, and the two pipes between them."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from benchmark import jobs
from core.settings import settings

ROOT = Path(__file__).resolve().parents[2]


class HostProcess:
    """A running worker host.

    Parameters
    ----------
    arguments:
        Of its command line.
    log_file:
        Where it and the models write their messages; None for this process's standard error.
    heard:
        Gets each event that it tells, on a thread of its own.
    gone:
        Called on that thread when it tells no more.
    """

    def __init__(
        self, arguments: Sequence[str], log_file: Path | None, *, heard: Callable[[dict[str, Any]], None], gone: Callable[[], None]
    ) -> None:
        with _opened(log_file) as log_stream:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmark.workers.host", *arguments],
                stdin=subprocess.PIPE,
                # Only what the host tells comes from there; what models print does not.
                stdout=subprocess.PIPE,
                stderr=log_stream,
                text=True,
                cwd=ROOT,
                env=_environment(),
                # Ctrl-C in the terminal is for the program in front; it then closes the host in order.
                start_new_session=True,
            )
        assert self._process.stdout is not None
        # Somebody always reads: a full pipe would stop the host.
        threading.Thread(target=_listen, args=(self._process.stdout, heard, gone), daemon=True, name="engine events").start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended and was waited for."""
        return self._process.poll() is not None

    @property
    def alive(self) -> bool:
        """Whether it works. A killed process of several threads is a zombie for a moment before it can be waited for."""
        return not self.ended and jobs.process_mark(self.pid) is not None

    def tell(self, command: dict[str, Any]) -> bool:
        """Send a command; False when it is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """End it and all models."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _listen(told: IO[str], heard: Callable[[dict[str, Any]], None], gone: Callable[[], None]) -> None:
    with told:
        for line in told:
            heard(json.loads(line))
    gone()


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[IO[str] | None]:
    if path is None:
        yield None
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a", encoding="utf-8")
    except OSError:
        yield None
        return
    with stream:
        yield stream


def _environment() -> dict[str, str]:
    """The host finds this code wherever the caller stands, and its threads share two heaps instead of keeping one each."""
    limits = settings()
    return {
        "MALLOC_ARENA_MAX": "2",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", "")))),
        # The host stands in another directory: what the caller gave relative to his own would mean something else there.
        "UPSCALE_BENCH_HOME": str(limits.home.absolute()),
        "UPSCALE_BENCH_WEIGHTS": os.pathsep.join(str(path.absolute()) for path in limits.weight_directories),
    }
