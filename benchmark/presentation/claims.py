"""Verdicts on published claims, for people and for programs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmark.presentation.format import number
from benchmark.ranking.claims import PARAMETERS, Verdict

SCORES = {"psnr_db": "PSNR dB", "ssim": "SSIM", PARAMETERS: "parameters"}
DIGITS = {"psnr_db": 2, "ssim": 4, PARAMETERS: 0}


def numbers(verdict: Verdict) -> tuple[str, str, str, str]:
    """Name of the score, claimed and measured value, and their difference, with the digits in which they are published."""
    metric = verdict.claim.metric
    digits = DIGITS[metric]
    # One digit more than published: a difference of half a digit is seen as such.
    fine = digits + 1 if digits else 0
    apart = "-" if verdict.difference is None else f"{verdict.difference:+.{fine}f}"
    return SCORES[metric], number(verdict.claim.value, digits), number(verdict.found, fine), apart


def document(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The JSON document of `claims`."""
    rows = []
    for verdict in verdicts:
        measured = verdict.measured
        rows.append(
            {
                **asdict(verdict.claim),
                "status": verdict.status,
                "measured": verdict.found,
                "difference": verdict.difference,
                "run": measured.run if measured else None,
                "pictures": measured.pictures if measured else None,
                "reason": verdict.reason or None,
                "suspicions": list(verdict.suspicions),
            }
        )
    return {"schema": 1, "counts": dict(Counter(verdict.status for verdict in verdicts)), "claims": rows}
