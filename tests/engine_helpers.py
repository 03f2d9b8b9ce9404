"""Waiting for the engine."""

import time
from collections.abc import Callable
from pathlib import Path

from benchmark.plan import Plan
from benchmark.schema import Comparison
from benchmark.workers.local_engine import LocalEngine


def wait_until(condition: Callable[[], object], timeout_s: float = 30.0) -> float:
    """Wait for `condition`; returns how long it took. Fails when it never comes."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - started


def run(
    engine: LocalEngine, plan: Plan, source: bytes, *, timeout_s: float = 120.0, user: str = "tester", name: str = "picture.png"
) -> Comparison:
    """Run one comparison to its end."""
    job_id = engine.submit(plan, source, name=name, user=user)
    wait_until(lambda: not engine.load(job_id).active, timeout_s)
    return engine.load(job_id)


def directory(engine: LocalEngine, job: Comparison) -> Path:
    """Where a comparison lies."""
    return engine.root / job.id
