"""What a mean over pictures is worth: its interval, and whether two upscalers differ by more than the choice of pictures explains."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Opinion = Literal["better", "worse", "indistinguishable", "too few pictures"]

RESAMPLES = 4000
MANY, FEWER_RESAMPLES = 200, 1000
"""Of so many pictures and more, so many resamples do: their means hardly differ, and memory and time stay bounded."""
SEED = 20_210_613
"""Fixed, so that the same rows give the same interval on every machine and at every visit."""
CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
FEWEST = 3
"""Fewer pairs than this say nothing about their spread."""


@dataclass(frozen=True)
class Mean:
    """A mean over pictures."""

    value: float
    low: float
    """Lower end of its 95 % interval."""
    high: float
    count: int


@dataclass(frozen=True)
class Difference:
    """How an upscaler differs from the baseline over the pictures that both have."""

    value: float
    """Mean of (upscaler less baseline), in the score's unit."""
    low: float
    high: float
    count: int
    p: float
    """Probability of a mean difference this large if there were none, corrected for the number of comparisons."""
    opinion: Opinion


def mean(values: Sequence[float]) -> Mean:
    """The mean with its percentile bootstrap interval (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

    Parameters
    ----------
    values:
        One per picture, at least one, all finite.
    """
    array = np.asarray(values, np.float64)
    low, high = _interval(array)
    return Mean(float(array.mean()), low, high, len(array))


def compare(
    scores: Mapping[str, Mapping[str, float]], baseline: str, *, higher_is_better: bool, family: int | None = None
) -> dict[str, Difference]:
    """Paired comparison of every upscaler with one of them.

    Each is a paired t-test (Student, The probable error of a mean, 1908); the p-values are corrected by Holm's procedure (A simple
    sequentially rejective multiple test procedure, 1979), which keeps the chance of even one wrong "better" or "worse" at 5 %.

    Parameters
    ----------
    scores:
        Per upscaler, per picture.
    baseline:
        Key of `scores`.
    higher_is_better:
        Of the score.
    family:
        How many comparisons are made in all, where this is only one of several tables; None: those made here.

    Returns
    -------
    One entry per other upscaler that shares a picture with the baseline.
    """
    against = scores[baseline]
    found: dict[str, tuple[NDArray[np.float64], float]] = {}
    for name, own in scores.items():
        shared = [picture for picture in own if picture in against]
        if name != baseline and shared:
            # In the order of the pictures' names, so that the interval does not depend on the order of the rows.
            differences = np.array([own[picture] - against[picture] for picture in sorted(shared)])
            found[name] = (differences, _p(differences))
    corrected = dict(zip(found, holm([p for _, p in found.values()], family), strict=True))
    return {name: _difference(differences, corrected[name], higher_is_better) for name, (differences, _) in found.items()}


def holm(p_values: Sequence[float], family: int | None = None) -> list[float]:
    """Holm's corrected p-values, in the order given; `family` counts further comparisons that are not among them."""
    size = max(len(p_values), family or 0)
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        highest = max(highest, min(1.0, (size - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def _difference(differences: NDArray[np.float64], p: float, higher_is_better: bool) -> Difference:
    value = float(differences.mean())
    opinion: Opinion
    if len(differences) < FEWEST:
        opinion = "too few pictures"
    elif p >= ALPHA or value == 0:
        opinion = "indistinguishable"
    else:
        opinion = "better" if (value > 0) == higher_is_better else "worse"
    return Difference(value, *_interval(differences), len(differences), p, opinion)


def _p(differences: NDArray[np.float64]) -> float:
    """Two-sided p of a mean difference other than zero; 1 where there are too few pictures to say."""
    count = len(differences)
    if count < FEWEST:
        return 1.0
    error = float(differences.std(ddof=1)) / math.sqrt(count)
    if error == 0:
        return 1.0 if differences[0] == 0 else 0.0
    from scipy.special import stdtr

    return 2 * float(stdtr(count - 1, -abs(float(differences.mean())) / error))


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    means = _drawn(len(values)) @ values / len(values)
    low, high = np.quantile(means, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


@lru_cache(maxsize=16)
def _drawn(count: int) -> NDArray[np.float64]:
    """How often each resample draws each picture. The same for all sets of one size, so that intervals of one table can be compared."""
    resamples = RESAMPLES if count <= MANY else FEWER_RESAMPLES
    drawn = np.random.default_rng(SEED).integers(0, count, (resamples, count), dtype=np.int32)
    return np.stack([np.bincount(each, minlength=count) for each in drawn]).astype(np.float64)
