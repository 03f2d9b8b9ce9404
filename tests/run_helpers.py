"""Dataset runs in tests: started, watched, and compared with each other."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmark.datasets.dataset import open_folder
from benchmark.runs.plan import RunPlan
from benchmark.storage.records import FinishedCell, StoredRun
from benchmark.storage.store import Store
from benchmark.storage.verify import Problem, verify
from benchmark.workers.local_engine import LocalEngine
from tests.pictures import noise, png

PLUGINS = "tests.fakes,tests.run_faults"


def make_set(root: Path, count: int = 3, width: int = 40, height: int = 30) -> Path:
    """A folder of pictures that differ."""
    root.mkdir(parents=True)
    for index in range(count):
        (root / f"{index}.png").write_bytes(png(noise(width, height, seed=index)))
    return root


def plan_of(*folders: Path, **changes: Any) -> RunPlan:
    """A plan at x2 with bicubic, unless a test says otherwise."""
    usual: dict[str, Any] = {"scales": (2,), "upscaler_ids": ("bicubic",)}
    return RunPlan(datasets=tuple(open_folder(folder) for folder in folders), **{**usual, **changes})


def compute(store: Store, plan: RunPlan, name: str = "test", **how: Any) -> dict[str, Any]:
    """Create or resume a run and compute it to its end; returns the last event."""
    run = store.find_run(name)
    if run is None:
        store.create(name, plan)
    else:
        store.resume(run, plan)
    engine = LocalEngine()
    try:
        return list(engine.run_dataset(name, **how))[-1]
    finally:
        engine.close()


def cells_of(store: Store, name: str = "test") -> dict[tuple[str, str], FinishedCell]:
    """The finished cells of a run by picture and upscaler."""
    return {(cell.picture, cell.row.upscaler): cell for cell in store.finished(store.run(name))}


def statuses(store: Store, name: str = "test") -> dict[str, list[str | None]]:
    """Per upscaler the statuses of its cells, in the order of the pictures."""
    found: dict[str, list[str | None]] = {}
    for cell in store.finished(store.run(name)):
        found.setdefault(cell.row.upscaler, []).append(cell.row.status)
    return found


def substance(store: Store, run: StoredRun) -> dict[tuple[str, str, float, str], tuple[Any, ...]]:
    """All of a run that must not depend on how often it was interrupted: everything but times, in every digit."""
    return {
        (cell.dataset, cell.picture, cell.row.scale, cell.row.upscaler): (
            cell.row.status,
            cell.row.reason,
            cell.pixels_sha256,
            cell.output_sha256,
            cell.row.fingerprint,
            cell.row.lr_consistency,
            cell.row.colour_shift,
            json.dumps({name: each.model_dump() for name, each in (cell.row.scores or {}).items()}, sort_keys=True),
        )
        for cell in store.finished(run)
    }


def problems(store: Store) -> list[Problem]:
    """What `verify` finds."""
    return verify(store).problems


def command(*arguments: str | Path) -> list[str]:
    """The command line of `upscale-bench`."""
    return [sys.executable, "-m", "cli", *map(str, arguments)]


def run_command(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `upscale-bench` to its end."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, env=os.environ | environment, timeout=120, check=False)
