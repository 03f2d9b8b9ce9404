"""The process that computes the metrics that somebody asked for: `python -m benchmark.scoring_process`.

Some of them import PyTorch and take long. Here they can be stopped, give their memory back, and take nobody along if they crash.
It reads requests from standard input, one JSON object a line, and answers each with one line; it ends when its input does.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict

import metrics
from benchmark.timing import CancelledError
from core.image import RGB8, decode, on_white

ROOT = Path(__file__).resolve().parent.parent
POLL_S = 0.05


class Request(TypedDict):
    """What is to be compared, and how."""

    names: list[str]
    """From `metrics.MORE`."""
    result: str
    """Path of the picture."""
    original: str
    width: int
    """Of both, in pixels."""
    height: int
    scale: int
    stored_channels: int
    """As `metrics.score` takes them."""


class ScoringProcess:
    """That process, seen from outside. It is started by the first request, and again after it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="scores")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()
        self._reader.shutdown()

    def ask(self, request: Request, cancelled: Callable[[], bool] = lambda: False) -> dict[str, metrics.MoreScores]:
        """The scores, by protocol. A process that ends without an answer gives none, with the reason.

        Raises
        ------
        CancelledError
            `cancelled` said True; the process is gone.
        """
        if self._process is None:
            self._process = _start()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        line = ""
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answer = self._reader.submit(process.stdout.readline)
            while not answer.done():
                if cancelled():
                    self._end()
                    raise CancelledError
                try:
                    line = answer.result(POLL_S)
                except NotYetError:
                    continue
            line = answer.result()
        except BrokenPipeError:
            # It ended before it read the request.
            line = ""
        if line:
            return json.loads(line)
        code = process.wait()
        self._end()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return _none(request["names"], f"The scoring process ended ({how}): choose a smaller picture or region.")

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    # What was not sent any more.
                    continue
        self._process = None


def _start() -> "subprocess.Popen[str]":
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return subprocess.Popen(
        [sys.executable, "-m", "benchmark.scoring_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def _none(names: list[str], reason: str) -> dict[str, metrics.MoreScores]:
    """No scores, all for one reason."""
    scores: dict[str, metrics.MoreScores] = {}
    for metric in metrics.MORE.select(names):
        for protocol in metric.protocols:
            under = scores.setdefault(protocol, metrics.MoreScores(values={}, reasons={}))
            under["values"][metric.id], under["reasons"][metric.id] = None, reason
    return scores


def _answer(request: Request) -> dict[str, metrics.MoreScores]:
    size = request["width"], request["height"]
    try:
        result, original = (_read(Path(request[name]), size) for name in ("result", "original"))
        return metrics.score_more(request["names"], result, original, scale=request["scale"], stored_channels=request["stored_channels"])
    except MemoryError:
        return _none(request["names"], "Out of memory: choose a smaller picture or region.")
    except Exception as error:
        logging.getLogger(__name__).exception("Request failed: %s", request)
        return _none(request["names"], f"Internal error ({type(error).__name__}); the log has the details.")


def _read(path: Path, size: tuple[int, int]) -> RGB8:
    picture = decode(path.read_bytes(), at_least=size)
    return on_white(picture.rgb, picture.alpha)


def main() -> None:
    """Serve until standard input closes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    # Libraries print; whatever they write must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        reply: dict[str, Any] = {**_answer(json.loads(line))}
        answers.write(json.dumps(reply, allow_nan=False) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
