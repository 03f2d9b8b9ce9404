"""How long a model will take: measured here before, or estimated from its cost and a short probe of the machine."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from core.files import write_atomically
from core.settings import settings
from runtimes.speed import REFERENCE_GFLOPS, matrix_gflops
from upscalers.spec import OptionValue, UpscalerSpec

log = logging.getLogger(__name__)

SMOOTHING = 0.5
"""Weight of the newest measurement against those before it."""


@dataclass(frozen=True)
class Estimate:
    """An expected time."""

    seconds: float
    measured: bool
    """True: from earlier runs on this machine. False: from the model's cost and the machine's matrix rate."""


def estimate(
    spec: UpscalerSpec, scale: float, runtime: str, precision: str, input_pixels: int, options: Mapping[str, OptionValue] | None = None
) -> Estimate | None:
    """Expected seconds of one call on a picture of so many input pixels; None when nothing is known about the upscaler."""
    known = _read()
    work = spec.work(spec.options(options or {}))
    per_mp = known.get("seconds_per_mp", {}).get(_key(spec.id, scale, runtime, precision))
    if per_mp is not None:
        return Estimate(per_mp * work * input_pixels / 1e6, measured=True)
    stated = spec.seconds_per_mp.get(int(scale))
    if stated is None:
        return None
    rate = known.get("matrix_gflops") or REFERENCE_GFLOPS
    speedup = 1.0 if spec.group == "Classical" else rate / REFERENCE_GFLOPS
    return Estimate(stated * work / speedup * input_pixels / 1e6, measured=False)


def measured_s_per_mp(spec: UpscalerSpec) -> dict[tuple[int, str], float]:
    """What was measured on this machine at default options: (scale, runtime) -> seconds per megapixel of input, in f32."""
    rates = _read().get("seconds_per_mp", {})
    keys = {(scale, runtime): _key(spec.id, scale, runtime, "f32") for scale in spec.scales for runtime in spec.runtimes}
    return {place: rates[key] for place, key in keys.items() if key in rates}


def record(
    spec: UpscalerSpec,
    scale: float,
    runtime: str,
    precision: str,
    input_pixels: int,
    seconds: float,
    options: Mapping[str, OptionValue] | None = None,
) -> None:
    """Remember a measured call. Small pictures say little about large ones and are left out."""
    if input_pixels < 64 * 64:
        return
    key = _key(spec.id, scale, runtime, precision)
    per_mp = seconds / spec.work(spec.options(options or {})) / input_pixels * 1e6

    def change(known: dict[str, Any]) -> None:
        rates = known.setdefault("seconds_per_mp", {})
        rates[key] = per_mp if key not in rates else SMOOTHING * per_mp + (1 - SMOOTHING) * rates[key]

    _change(change)


def forget(upscaler_id: str) -> None:
    """Drop what was measured of an upscaler that is gone: another may get its id."""

    def change(known: dict[str, Any]) -> None:
        rates = known.get("seconds_per_mp", {})
        known["seconds_per_mp"] = {key: rate for key, rate in rates.items() if not key.startswith(f"{upscaler_id}@")}

    _change(change)


def machine_is_probed() -> bool:
    """Whether `probe_machine` has been called on this machine."""
    return "matrix_gflops" in _read()


def probe_machine() -> float:
    """Measure and remember the machine's matrix rate in GFLOP/s."""
    rate = matrix_gflops()
    _change(lambda known: known.update(matrix_gflops=rate))
    return rate


def _key(upscaler_id: str, scale: float, runtime: str, precision: str) -> str:
    return f"{upscaler_id}@x{scale:g}/{runtime}/{precision}"


def _path() -> Path:
    return settings().home / "speeds.json"


def _read() -> dict[str, Any]:
    """What is remembered; a damaged file counts as none, because everything in it can be measured again."""
    try:
        known = json.loads(_path().read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _change(change: Callable[[dict[str, Any]], None]) -> None:
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            known = _read()
            change(known)
            write_atomically(path, json.dumps(known).encode(), durable=False)
    except OSError as error:
        # Only estimates get worse without it; no comparison may fail for it.
        log.warning("Measured speeds can't be remembered in %s: %s", path, error)
