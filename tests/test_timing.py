"""Times: which calls are made, what is summed up, who else used the machine."""

import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import upscalers
from benchmark import estimates
from benchmark.environment import machine_facts, machine_label
from benchmark.timing import (
    CancelledError,
    ContentionMeter,
    machine_lock,
    percentile,
    wants_another_call,
)
from core.memory import clear_peak_memory, peak_memory_mib


@pytest.mark.parametrize("count", [1, 2, 3, 20])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 1.0])
def test_percentiles_are_numpys(count: int, share: float) -> None:
    values = list(np.random.default_rng(count).random(count))
    assert percentile(values, share) == pytest.approx(float(np.percentile(values, 100 * share)), abs=1e-12)


def test_calls_are_repeated_until_half_a_second_or_twenty() -> None:
    assert wants_another_call([], 0.001, None)
    assert wants_another_call([0.001] * 19, 0.001, None)
    assert not wants_another_call([0.001] * 20, 0.001, None)
    assert wants_another_call([0.24, 0.25], 0.3, None)
    assert not wants_another_call([0.25, 0.25], 0.3, None)
    assert wants_another_call([], 5.0, None)
    assert not wants_another_call([], 5.01, None)


def test_an_exact_number_of_repeats_overrules_the_rule() -> None:
    assert not wants_another_call([], 0.001, 0)
    assert wants_another_call([9.0], 9.0, 2)
    assert not wants_another_call([9.0, 9.0], 9.0, 2)


def _burn(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_a_machine_that_others_fill_is_contended() -> None:
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_burn, args=(4.0,)) for _ in range(os.cpu_count() or 1)]
    for other in others:
        other.start()
    time.sleep(1.5)
    meter = ContentionMeter()
    with meter.measure(os.getpid()):
        _burn(0.5)
    for other in others:
        other.kill()
        other.join()
    assert meter.contended is True


def test_contention_is_the_share_of_others() -> None:
    cores = os.cpu_count() or 1
    quiet, crowded, busy = ContentionMeter(), ContentionMeter(), ContentionMeter()
    quiet.add(1.0, 0.5 * cores, 0.1 * cores)
    crowded.add(1.0, 0.88 * cores, 0.1 * cores)
    busy.add(1.0, 0.3 * cores, 0.25 * cores)
    assert [meter.contended for meter in (quiet, crowded, busy)] == [False, True, True]


def test_spans_too_short_to_tell_say_nothing() -> None:
    meter = ContentionMeter()
    meter.add(0.05, 0.05, 5.0)
    assert meter.contended is None


def test_single_spans_below_zero_count_in_the_sum() -> None:
    meter = ContentionMeter()
    for _ in range(50):
        meter.add(0.01, 0.01, 0.01 * (os.cpu_count() or 1))
        meter.add(0.01, 0.01, -0.01 * (os.cpu_count() or 1))
    assert meter.contended is False


def test_the_machine_is_held_by_one_at_a_time() -> None:
    asked = iter([False, False, True, True, True])

    def second() -> str:
        try:
            with machine_lock(lambda: next(asked)):
                return "got it"
        except CancelledError:
            return "gave up"

    with ThreadPoolExecutor(1) as threads:
        with machine_lock():
            assert threads.submit(second).result() == "gave up"
        asked = iter([False] * 100)
        assert threads.submit(second).result() == "got it"


def test_peak_memory_starts_anew() -> None:
    if not clear_peak_memory():
        pytest.skip("This system does not tell.")
    before = peak_memory_mib()
    hoard = np.ones(200 * 1024 * 1024, np.uint8)
    during = peak_memory_mib()
    del hoard
    clear_peak_memory()
    after = peak_memory_mib()
    assert before is not None
    assert during is not None
    assert after is not None
    assert during - before == pytest.approx(200, abs=20)
    assert during - after == pytest.approx(200, abs=20)


def test_each_runtime_has_an_estimate_and_measurements_of_its_own() -> None:
    spec = upscalers.get("dat-light")
    torch, openvino = (estimates.estimate(spec, 2, runtime, "f32", 1_000_000) for runtime in ("torch", "openvino"))
    assert torch is not None
    assert openvino is not None
    assert openvino.seconds == pytest.approx(torch.seconds * spec.speedup["torch"] / spec.speedup["openvino"])
    estimates.record(spec, 2, "openvino", "f32", 500_000, 7.0)
    assert estimates.estimate(spec, 2, "openvino", "f32", 1_000_000) == estimates.Estimate(14.0, measured=True)
    assert estimates.estimate(spec, 2, "torch", "f32", 1_000_000) == torch


def test_a_measured_speed_replaces_the_estimate() -> None:
    spec = upscalers.get("opencv-espcn")
    guessed = estimates.estimate(spec, 2, "opencv", "f32", 1_000_000)
    assert guessed is not None
    assert not guessed.measured
    estimates.record(upscalers.get("opencv-espcn"), 2, "opencv", "f32", 500_000, 0.25)
    measured = estimates.estimate(spec, 2, "opencv", "f32", 1_000_000)
    assert measured == estimates.Estimate(0.5, measured=True)
    estimates.record(upscalers.get("opencv-espcn"), 2, "opencv", "f32", 500_000, 0.75)
    again = estimates.estimate(spec, 2, "opencv", "f32", 1_000_000)
    assert again is not None
    assert again.seconds == pytest.approx(1.0)


def test_tiny_pictures_teach_nothing_about_speed() -> None:
    estimates.record(upscalers.get("opencv-espcn"), 2, "opencv", "f32", 100, 0.25)
    known = estimates.estimate(upscalers.get("opencv-espcn"), 2, "opencv", "f32", 1_000_000)
    assert known is not None
    assert not known.measured


def test_the_probe_gives_a_plausible_rate_and_is_remembered() -> None:
    assert not estimates.machine_is_probed()
    assert 0.5 < estimates.probe_machine() < 100_000
    assert estimates.machine_is_probed()


def test_machine_facts_name_what_a_result_depends_on() -> None:
    facts = machine_facts()
    assert facts["processor"]
    assert facts["torch"]
    assert int(facts["cores"] or 0) >= 1
    assert machine_label()
