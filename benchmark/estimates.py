"""How long a model will take and how much memory: measured here before, or estimated from its cost and a short probe of the machine."""

import copy
import functools
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from core.files import write_atomically
from core.settings import MIB, settings
from runtimes.speed import REFERENCE_GFLOPS, matrix_gflops
from runtimes.tiling import largest_tile_pixels, plan_tiles
from upscalers.parameters import OptionValue
from upscalers.spec import UpscalerSpec

log = logging.getLogger(__name__)

SMALLEST_PIXELS = 64 * 64
"""Smaller pictures say little about large ones."""
SMOOTHING = 0.5
"""Weight of the newest measurement against those before it."""

SCORING_S_PER_MP = 0.3
"""Decoding, shrinking and scoring a picture, in seconds per megapixel of the original, until it was measured."""


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
    seconds = stated * work / speedup / spec.speedup.get(runtime, 1.0) * input_pixels / 1e6
    return Estimate(seconds, measured=False)


def processed_pixels(spec: UpscalerSpec, scale: float, height: int, width: int) -> int:
    """Input pixels that a model works through for a picture: where it is cut into tiles, their overlaps count each time."""
    tiles = plan_tiles(height, width, spec.cut(scale))
    return sum((tile.y1 - tile.y0) * (tile.x1 - tile.x0) for tile in tiles)


def expected_memory_mib(spec: UpscalerSpec, scale: float, runtime: str, precision: str, height: int, width: int) -> float | None:
    """Expected largest resident memory of a model's process, from a run on this machine; None when there was none.

    What a call needs grows with the largest tile, and beside it stand the picture and its result.
    """
    known = _read().get("memory", {}).get(_key(spec.id, scale, runtime, precision))
    if not isinstance(known, dict):
        return None
    work_mib = known["work_mib"] * _largest_tile(spec, scale, height, width) / known["tile_pixels"]
    return known["base_mib"] + work_mib + _pictures_mib(scale, height, width)


def record_memory(
    spec: UpscalerSpec, scale: float, runtime: str, precision: str, size: tuple[int, int], base_mib: float, peak_mib: float
) -> None:
    """Remember what a call on a picture of this `(height, width)` needed. A run on larger tiles says more than one on smaller ones."""
    key, tile_pixels = _key(spec.id, scale, runtime, precision), _largest_tile(spec, scale, *size)
    if tile_pixels < SMALLEST_PIXELS:
        return
    entry = {
        "tile_pixels": tile_pixels,
        "base_mib": base_mib,
        "work_mib": max(0.0, peak_mib - base_mib - _pictures_mib(scale, *size)),
    }

    def change(known: dict[str, Any]) -> None:
        entries = known.setdefault("memory", {})
        if key not in entries or entries[key]["tile_pixels"] <= tile_pixels:
            entries[key] = entry

    _change(change)


def _largest_tile(spec: UpscalerSpec, scale: float, height: int, width: int) -> int:
    return largest_tile_pixels(height, width, spec.cut(scale))


def _pictures_mib(scale: float, height: int, width: int) -> float:
    """The picture and its result, 8 bits in three channels each."""
    return 3 * height * width * (1 + scale**2) / MIB


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
    if input_pixels < SMALLEST_PIXELS:
        return
    key = _key(spec.id, scale, runtime, precision)
    per_mp = seconds / spec.work(spec.options(options or {})) / input_pixels * 1e6

    def change(known: dict[str, Any]) -> None:
        rates = known.setdefault("seconds_per_mp", {})
        rates[key] = per_mp if key not in rates else SMOOTHING * per_mp + (1 - SMOOTHING) * rates[key]

    _change(change)


def scoring_s_per_mp() -> float:
    """What comes to each call in a dataset run: decoding, shrinking and scoring, in seconds per megapixel of the original."""
    return _read().get("scoring_s_per_mp", SCORING_S_PER_MP)


def record_scoring(s_per_mp: float) -> None:
    """Remember what that took in a run."""
    _change(lambda known: known.update(scoring_s_per_mp=s_per_mp))


def forget(upscaler_id: str) -> None:
    """Drop what was measured of an upscaler that is gone: another may get its id."""

    def change(known: dict[str, Any]) -> None:
        for part in ("seconds_per_mp", "memory"):
            known[part] = {key: value for key, value in known.get(part, {}).items() if not key.startswith(f"{upscaler_id}@")}

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
    """What is remembered, to be read only; a damaged file counts as none, because everything in it can be measured again."""
    path = _path()
    try:
        facts = path.stat()
        return _read_version(path, facts.st_mtime_ns, facts.st_size, facts.st_ino)
    except (OSError, ValueError):
        return {}


# A page asks some dozen times for each click. The file is never changed, only replaced.
@functools.lru_cache(maxsize=1)
def _read_version(path: Path, _mtime_ns: int, _size_bytes: int, _inode: int) -> dict[str, Any]:
    known = json.loads(path.read_text())
    return known if isinstance(known, dict) else {}


def _change(change: Callable[[dict[str, Any]], None]) -> None:
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            known = copy.deepcopy(_read())
            change(known)
            write_atomically(path, json.dumps(known).encode(), durable=False)
    except OSError as error:
        # Only estimates get worse without it; no comparison may fail for it.
        log.warning("Measured speeds can't be remembered in %s: %s", path, error)
