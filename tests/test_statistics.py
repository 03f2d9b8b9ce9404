"""Means and differences over pictures, against SciPy and against what must be so."""

import numpy as np
import pytest
from scipy import stats

from benchmark.ranking.statistics import Mean, compare, holm, mean


def drawn(count: int, center: float, spread: float, seed: int) -> list[float]:
    return list(np.random.default_rng(seed).normal(center, spread, count))


@pytest.mark.parametrize("count", [5, 14, 100])
def test_the_interval_is_the_percentile_bootstraps(count: int) -> None:
    values = drawn(count, 28, 3, count)
    found = mean(values)
    rng = np.random.default_rng(1)
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=rng).confidence_interval
    width = expected.high - expected.low
    assert found.value == pytest.approx(np.mean(values))
    assert found.low == pytest.approx(expected.low, abs=0.05 * width)
    assert found.high == pytest.approx(expected.high, abs=0.05 * width)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    inside = sum((found := mean(drawn(60, 10, 2, seed))).low <= 10 <= found.high for seed in range(400))
    assert 0.92 <= inside / 400 <= 0.98


def test_the_same_values_give_the_same_interval() -> None:
    values = drawn(20, 30, 1, 0)
    assert mean(values) == mean(values)
    assert mean([4.0]) == Mean(4.0, 4.0, 4.0, 1)


def table(**shifts: float) -> dict[str, dict[str, float]]:
    """Scores of 14 pictures that differ much from each other; each upscaler has its shift and a little noise."""
    pictures = drawn(14, 28, 4, 7)
    return {
        name: {
            str(index): value + shift + noise for index, (value, noise) in enumerate(zip(pictures, drawn(14, 0, 0.2, seed), strict=True))
        }
        for seed, (name, shift) in enumerate(shifts.items())
    }


def test_a_difference_is_tested_in_pairs() -> None:
    scores = table(bicubic=0, better=0.8, much_worse=-2)
    values = {name: np.array(list(each.values())) for name, each in scores.items()}
    found = compare(scores, "bicubic", higher_is_better=True)
    # The smaller p is doubled, for the two comparisons; the larger one stays, unless it were below that.
    raw = {name: stats.ttest_rel(values[name], values["bicubic"]).pvalue for name in found}
    smaller, larger = sorted(raw, key=lambda name: raw[name])
    assert found[smaller].p == pytest.approx(2 * raw[smaller])
    assert found[larger].p == pytest.approx(max(raw[larger], 2 * raw[smaller]))
    for name in found:
        assert found[name].value == pytest.approx(values[name].mean() - values["bicubic"].mean())
    assert (found["better"].opinion, found["much_worse"].opinion) == ("better", "worse")
    lower_is_better = compare(scores, "bicubic", higher_is_better=False)
    assert (lower_is_better["better"].opinion, lower_is_better["much_worse"].opinion) == ("worse", "better")


def test_unpaired_spread_does_not_hide_a_small_steady_difference() -> None:
    found = compare(table(bicubic=0, steady=0.3), "bicubic", higher_is_better=True)["steady"]
    assert found.opinion == "better"
    assert found.low > 0


def test_only_pictures_that_both_have_are_compared() -> None:
    scores = {"a": {"1": 1.0, "2": 2.0, "3": 3.0, "9": 500.0}, "b": {"1": 2.0, "2": 3.5, "3": 4.0, "8": -900.0}, "c": {"9": 1.0}}
    found = compare(scores, "b", higher_is_better=True)
    assert set(found) == {"a"}
    assert (found["a"].count, found["a"].value) == (3, pytest.approx(-3.5 / 3))


def test_no_difference_is_indistinguishable_and_two_pictures_are_too_few() -> None:
    same = {"a": {"1": 1.0, "2": 2.0, "3": 5.0}, "b": {"1": 1.0, "2": 2.0, "3": 5.0}}
    assert compare(same, "a", higher_is_better=True)["b"].opinion == "indistinguishable"
    few = {"a": {"1": 1.0, "2": 2.0}, "b": {"1": 11.0, "2": 12.0}}
    assert compare(few, "a", higher_is_better=True)["b"].opinion == "too few pictures"
    constant = {"a": {"1": 1.0, "2": 2.0, "3": 5.0}, "b": {"1": 2.0, "2": 3.0, "3": 6.0}}
    assert compare(constant, "a", higher_is_better=True)["b"].opinion == "better"


@pytest.mark.parametrize(
    ("given", "corrected"),
    [
        # The example of Holm's procedure by hand: 0.01 x 4, 0.013 x 3, 0.03 x 2, 0.04 x 1, never falling.
        ([0.01, 0.04, 0.03, 0.013], [0.04, 0.06, 0.06, 0.04]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([], []),
    ],
)
def test_holms_correction(given: list[float], corrected: list[float]) -> None:
    assert holm(given) == pytest.approx(corrected)


def test_more_comparisons_elsewhere_make_the_correction_stricter() -> None:
    assert holm([0.01, 0.02], family=10) == pytest.approx([0.1, 0.18])


def test_among_many_equal_upscalers_hardly_one_is_called_different() -> None:
    wrong = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        scores = {f"u{index}": {str(i): float(v) for i, v in enumerate(rng.normal(0, 1, 14))} for index in range(12)}
        wrong += any(each.opinion in ("better", "worse") for each in compare(scores, "u0", higher_is_better=True).values())
    assert wrong <= 10
