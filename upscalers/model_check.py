"""The check of a model file of unknown origin, in a process of its own: `python -m upscalers.model_check FILE`.

The file may hang, crash or swell whoever opens it, and Python can't stop a call into a library. So a child does it, with a deadline
and a limit of memory, without a network, without further processes and without writing files; it prints one JSON line. It is
started as a program, never by multiprocessing: a child that Python forks or spawns from the web server would run the page script.
"""

import dataclasses
import faulthandler
import importlib
import json
import logging
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from core.errors import AppError, CheckCancelledError, ModelFileError, UsageError
from core.memory import CLEAR_REFS
from core.settings import MIB, settings
from upscalers.model_facts import FORMATS, ModelFacts, facts_from
from upscalers.model_rules import exceeds_limits, is_damaged

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
POLL_S = 0.05
FREE_SHARE = 0.8
"""Of the memory that is free when the check begins, the share that it may use, when that is less than its limit."""
FORBIDDEN = ("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "subprocess.", "socket.")
"""Beginnings of the names of audit events (https://docs.python.org/3/library/audit_events.html) that the child does not let pass."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def check_model_file(path: Path, *, cancelled: Callable[[], bool] | None = None) -> ModelFacts:
    """Find out what a model file holds, without opening it in this process. Takes some seconds, most of them for starting PyTorch.

    Parameters
    ----------
    path:
        A `.pth`, `.pt`, `.ckpt`, `.safetensors` or `.onnx` file. Its ending decides how it is read.
    cancelled:
        Asked about twenty times a second; once it says True the check ends within a moment.

    Raises
    ------
    core.errors.UsageError
        There is no such file, or it has another ending.
    core.errors.ModelFileError
        The file can't be used; one line says why.
    core.errors.CheckCancelledError
        `cancelled` said True.
    """
    check_name(path.name)
    if not path.is_file():
        raise UsageError(f"{path.name}: there is no such file.")
    free_mib = psutil.virtual_memory().available / MIB
    limit_mib = min(settings().check_memory_mib, FREE_SHARE * free_mib)
    child = subprocess.Popen(
        [sys.executable, "-m", "upscalers.model_check", str(path.absolute())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # Libraries print there what nobody reads; what matters comes in the JSON line.
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=_environment(),
    )
    with child:
        try:
            _watch(child, limit_mib, cancelled or (lambda: False))
        finally:
            child.kill()
        # One line is shorter than the pipe's buffer, so the child never had to wait for this.
        line = child.stdout.read() if child.stdout else ""
    return _outcome(line, child.returncode)


def check_name(name: str) -> None:
    """Refuse a file name of which no model can be read, with a `core.errors.UsageError`."""
    if Path(name).suffix.lower() not in FORMATS:
        raise UsageError(f"A model file ends in {', '.join(FORMATS)}; got {Path(name).name[:80]!r}.")


def _watch(child: "subprocess.Popen[str]", limit_mib: float, cancelled: Callable[[], bool]) -> None:
    """Wait for the child's end. Raises `core.errors.ModelFileError` when a limit is reached; the caller ends the child."""
    timeout_s = settings().check_timeout_s
    started = time.monotonic()
    process = psutil.Process(child.pid)
    while True:
        try:
            child.wait(POLL_S)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
        if cancelled():
            raise CheckCancelledError("The check of the model file was cancelled.")
        if time.monotonic() - started > timeout_s:
            raise exceeds_limits(f"loading it and enlarging a small picture took longer than {timeout_s:g} s")
        if _memory_mib(process) > limit_mib:
            raise exceeds_limits(f"loading and running it needs more than {limit_mib / 1024:.1f} GB of memory")


def _memory_mib(process: psutil.Process) -> float:
    try:
        return process.memory_info().rss / MIB
    except psutil.Error:  # it has just ended
        return 0.0


def _outcome(line: str, code: int) -> ModelFacts:
    try:
        answer = json.loads(line)
    except ValueError:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise is_damaged(f"it ended the program that checked it: {how}") from None
    match answer:
        case {"facts": dict(facts)}:
            return facts_from(facts)
        case {"refused": str(reason)}:
            raise ModelFileError(reason)
        case _:
            log.error("The check of a model file failed: %s", answer.get("failed"))
            raise ModelFileError("The model file could not be checked for an internal error; the log has the details.")


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", "")))),
        "UPSCALE_BENCH_HOME": str(settings().home.absolute()),
        "UPSCALE_BENCH_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        # Each tensor is then taken from the system and given back to it, so that the memory of a call can be told (mallopt(3)).
        "MALLOC_MMAP_THRESHOLD_": "131072",
    }


def forbid_effects() -> None:
    """From now on this process can't open connections, start processes or write files through Python. There is no way back.

    A second line of defence: nothing that runs in the child is meant to try it.
    """
    sys.dont_write_bytecode = True

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if (writes and str(arguments[0]) != str(CLEAR_REFS)) or event.startswith(FORBIDDEN):
            raise PermissionError(f"A model file may not do this: {event}.")

    sys.addaudithook(refuse)


def _answer(path: Path) -> dict[str, Any]:
    """What the child has to say."""
    onnx = FORMATS[path.suffix.lower()] == "onnx"
    # With `runtimes` imported first, OpenVINO reports to nobody.
    for module in ("upscalers.model_probe", *(("onnx", "openvino") if onnx else ("torch", "spandrel", "safetensors.torch"))):
        importlib.import_module(module)
    from upscalers.model_probe import examine

    forbid_effects()
    try:
        return {"facts": dataclasses.asdict(examine(path))}
    except AppError as error:
        return {"refused": str(error)}
    except Exception:  # noqa: BLE001 - the parent logs it
        return {"failed": traceback.format_exc()}


def main() -> None:
    """Check the file named on the command line and print one JSON line."""
    # If the parent dies, nobody watches the deadline: this thread needs no Python to end the process.
    faulthandler.dump_traceback_later(settings().check_timeout_s + 5, exit=True)
    result = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with result:
        json.dump(_answer(Path(sys.argv[1])), result)
        result.write("\n")
    # At once: libraries may crash while they clean up after a network that failed.
    result.close()
    os._exit(0)


if __name__ == "__main__":
    main()
