"""Getting upscalers ready for the fast runtime: each conversion in a process of its own, which gives way to whatever is being timed.

    python -m upscalers.preparing ID SCALE OPTIONS

is that process. It prints a line of JSON for each stage and one for the outcome, and ends when its standard input does.
"""

import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import psutil

from core.errors import AppError, UnavailableError
from core.settings import settings
from runtimes import RUNTIMES
from runtimes.base import Placement, Precision
from upscalers.parameters import OptionValue
from upscalers.spec import UpscalerSpec

ROOT = Path(__file__).resolve().parent.parent
POLL_S = 0.05
TRIAL_SIDE_PX = 64
NICE = 10
"""Other programs come first."""


class PreparationCancelledError(AppError):
    """Somebody stopped a conversion."""


def can_prepare(spec: UpscalerSpec) -> bool:
    """Whether an upscaler has a form to be converted, and this installation can do it."""
    return {"openvino", "torch"} <= set(spec.runtimes) and all(
        RUNTIMES.get(name).unavailable_reason() is None for name in ("openvino", "torch")
    )


def is_to_be_prepared(spec: UpscalerSpec, scale: float, options: Mapping[str, OptionValue] | None = None) -> bool:
    """Whether an upscaler can be converted, its weights are here, and nobody has done or tried it yet."""
    return can_prepare(spec) and spec.status(scale).kind == "ready" and spec.conversion(scale, options) is None


def prepare(
    spec: UpscalerSpec,
    scale: float,
    options: Mapping[str, OptionValue] | None = None,
    *,
    report: Callable[[str], None] = lambda _: None,
    must_rest: Callable[[], bool] = lambda: False,
    cancelled: Callable[[], bool] = lambda: False,
) -> bool:
    """Convert the network of an upscaler for OpenVINO, unless that was done before. Takes seconds to minutes.

    Parameters
    ----------
    report:
        Called with the name of each stage: loading, converting, comparing, storing; and `waiting` while the work rests.
    must_rest:
        Asked about twenty times a second: while it says True the process is stopped, so that it disturbs no measurement.
    cancelled:
        Asked as often: once it says True the process is ended. What is stored stays whole.

    Returns
    -------
    Whether there was anything to do.

    Raises
    ------
    core.errors.UnavailableError
        The network can't be converted, or its weights are missing or no good; one line says why.
    PreparationCancelledError
        `cancelled` said True.
    """
    if not can_prepare(spec):
        raise UnavailableError(f"{spec.id} has nothing to prepare: it runs on {', '.join(spec.runtimes)} as it is.")
    if reason := spec.status(scale).reason:
        raise UnavailableError(reason)
    known = spec.conversion(scale, options)
    if known is None:
        outcome = _run(spec, scale, options or {}, report, must_rest, cancelled)
        if "failed" in outcome:
            raise UnavailableError(f"{spec.id} x{scale:g}: {outcome['failed']}")
        known = spec.conversion(scale, options)
        if known is None:
            raise UnavailableError(f"{spec.id} x{scale:g}: its converted form is gone or can't be read: run again.")
        if known.refused is None:
            return True
    if known.refused is not None:
        raise UnavailableError(f"{spec.id} x{scale:g} stays on PyTorch: {known.refused}.")
    return False


def distance_from_f32(spec: UpscalerSpec, scale: float, precision: Precision) -> tuple[int, float]:
    """What another precision costs a converted network, on a small picture of waves and noise.

    Returns
    -------
    The largest difference from f32 in levels of 255, and the PSNR in dB against it, infinite where both are the same.

    Raises
    ------
    core.errors.UnavailableError
        This CPU, or this network, can't compute in it.
    """
    rows, columns = np.mgrid[:TRIAL_SIDE_PX, :TRIAL_SIDE_PX]
    waves = 128 + 80 * np.sin(rows / 5)[..., None] * np.cos(columns[..., None] / np.array([3, 5, 9]))
    picture = np.clip(waves + np.random.default_rng(0).normal(0, 8, waves.shape), 0, 255).astype(np.uint8)
    results = []
    for each in ("f32", precision):
        with spec.build(spec, scale, spec.options({})).load("openvino", Placement(device="cpu", precision=each)) as upscaler:
            results.append(upscaler(picture).astype(float))
    difference = np.abs(results[0] - results[1])
    mse = float(np.square(difference).mean())
    return int(difference.max()), 10 * math.log10(255**2 / mse) if mse else math.inf


def _run(
    spec: UpscalerSpec,
    scale: float,
    options: Mapping[str, OptionValue],
    report: Callable[[str], None],
    must_rest: Callable[[], bool],
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    child = subprocess.Popen(
        [sys.executable, "-m", "upscalers.preparing", spec.id, f"{scale:g}", json.dumps(dict(options))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Libraries print there what nobody reads; what matters comes as JSON.
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=_environment(),
    )
    lines = _Lines(child)
    with child:
        try:
            _watch(psutil.Process(child.pid), child, lines, report, must_rest, cancelled)
        finally:
            child.kill()
    lines.join()
    if lines.outcome is not None:
        return lines.outcome
    code = child.returncode
    return {"failed": f"its conversion ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}: run again."}


def _watch(
    process: psutil.Process,
    child: "subprocess.Popen[str]",
    lines: "_Lines",
    report: Callable[[str], None],
    must_rest: Callable[[], bool],
    cancelled: Callable[[], bool],
) -> None:
    resting, told = False, ""
    while True:
        try:
            child.wait(POLL_S)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
        if cancelled():
            raise PreparationCancelledError("Cancelled.")
        rest = must_rest()
        if rest != resting:
            try:
                (process.suspend if rest else process.resume)()
            except psutil.Error:  # it has just ended
                continue
            resting = rest
        stage = "waiting" if resting else lines.stage
        if stage != told:
            told = stage
            report(stage)


class _Lines(threading.Thread):
    """Reads what the process prints."""

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        super().__init__(daemon=True, name="conversion")
        self.stage = "starting"
        self.outcome: dict[str, Any] | None = None
        self._stream = cast("IO[str]", child.stdout)
        self.start()

    def run(self) -> None:
        for line in self._stream:
            match json.loads(line):
                case {"stage": str(stage)}:
                    self.stage = stage
                case outcome:
                    self.outcome = outcome


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", "")))),
        "UPSCALE_BENCH_HOME": str(settings().home.absolute()),
        "UPSCALE_BENCH_WEIGHTS": os.pathsep.join(str(path.absolute()) for path in settings().weight_directories),
        "CUDA_VISIBLE_DEVICES": "",
    }


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def main() -> None:
    """Convert what the command line names."""
    # The parent may be killed at any time, and a conversion that nobody waits for would go on for minutes.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    psutil.Process().nice(NICE if os.name == "posix" else psutil.BELOW_NORMAL_PRIORITY_CLASS)
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(document: dict[str, Any]) -> None:
        output.write(json.dumps(document) + "\n")

    import upscalers
    from runtimes.conversion import convert

    upscaler_id, scale, options = sys.argv[1:]
    try:
        upscaler = upscalers.create(upscaler_id, float(scale), json.loads(options))
        source = upscaler.needs_conversion("openvino")
        if source is not None:
            convert(source, upscaler.small_sizes(), lambda stage: say({"stage": stage}))
        say({"done": True})
    except AppError as error:
        say({"failed": str(error)})
    except MemoryError:
        say({"failed": "it needs more memory than there is: close other programs."})
    except OSError as error:
        say({"failed": f"it can't be stored in {settings().converted}: {error.strerror or error}."})
    output.close()
    # At once: libraries may crash while they clean up after a network that failed.
    os._exit(0)


if __name__ == "__main__":
    main()
