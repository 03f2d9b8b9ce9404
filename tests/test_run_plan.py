"""The plan of a run and the request that the store keeps of it."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from benchmark.runs.plan import RunPlan
from tests.run_helpers import PLUGINS, make_set, plan_of


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunPlan:
    """Nothing of it is as it would be unasked."""
    monkeypatch.setenv("UPSCALE_BENCH_PLUGINS", PLUGINS)
    return plan_of(
        *(make_set(tmp_path / name, 2) for name in ("cats", "dogs")),
        scales=(2, 4),
        upscaler_ids=("bicubic", "fake-good"),
        ready_only=True,
        lr="area",
        runtimes=("torch", "auto"),
        precision="f32",
        options={"fake-good": {"sleep": 0.5}},
        seed=7,
        repeats=3,
        metrics=("gmsd", "ms-ssim"),
        tile_px=64,
    )


@pytest.fixture
def usual(plan: RunPlan) -> RunPlan:
    """All of it is as it would be unasked."""
    return RunPlan(datasets=plan.datasets[:1], scales=(2,), upscaler_ids=("bicubic",))


NAMES = [each.name for each in fields(RunPlan)]


def test_a_plan_is_made_again_from_its_request_with_all_of_its_fields(plan: RunPlan, usual: RunPlan) -> None:
    alike = [name for name in NAMES if getattr(plan, name) == getattr(usual, name)]
    assert alike == [], "give them other values above"
    for each in (plan, usual):
        # As the store keeps it.
        again = RunPlan.from_request(json.loads(json.dumps(each.request)), each.datasets)
        assert again == each
        assert again.request_sha256 == each.request_sha256


@pytest.mark.parametrize("name", NAMES)
def test_every_field_of_a_plan_makes_it_another_request(plan: RunPlan, usual: RunPlan, name: str) -> None:
    # Options may be given only for upscalers that are there.
    changed = replace(plan, upscaler_ids=("fake-good",)) if name == "upscaler_ids" else replace(plan, **{name: getattr(usual, name)})
    assert changed.request_sha256 != plan.request_sha256
