"""Published numbers against measured ones.

`assets/claims/claims.csv` holds what papers, model cards and repositories claim, each row with its protocol, its small pictures, a
tolerance and its source; `others.csv` what other publications report for the same task, by which claims that can't be measured are
still checked. A claim is judged only by a mean over the whole data set at the same protocol, from the same small pictures, with
verified weights.
"""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import upscalers
from core.errors import UnknownIdError
from core.registry import Registry
from upscalers.spec import UpscalerSpec

Status = Literal["reproduced", "not reproduced", "not measurable here"]

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "claims"
PICTURES = {"Set5": 5, "Set14": 14, "BSD100": 100, "Urban100": 100}
"""How many pictures the published data sets have."""
SAME_SYSTEM_MARGIN = {"psnr_db": 0.05, "ssim": 0.002}
"""How far two sources may be apart for one system: their protocols round differently."""
PEER_MARGIN = {"psnr_db": 0.3, "ssim": 0.006}
"""How far a network may be outside what others of its size reach: published ones are within 0.2 dB of each other."""
PARAMETERS = "parameters"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One published number."""

    system: str
    """What it is about: mostly the id of an upscaler."""
    metric: str
    """`psnr_db`, `ssim`, or `parameters`, the count of what a network has learnt."""
    dataset: str
    """Empty where it is not about a data set."""
    scale: int
    protocol: str
    """Id of a scoring protocol."""
    lr: str
    """Where the small pictures come from: `given` with the data set, or a way to downscale."""
    value: float
    tolerance: float
    """By how much a measured value may differ and still be the same."""
    source: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Other:
    """What another publication reports."""

    system: str
    peers: frozenset[str]
    """Systems whose claims it can be held against."""
    metric: str
    dataset: str
    scale: int
    value: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A mean over a data set."""

    upscaler: str
    metric: str
    dataset: str
    scale: int
    protocol: str
    lr: str
    value: float | None
    """None where it is undefined for a picture."""
    pictures: int
    """How many pictures the mean is over."""
    verified_weights: bool
    """Whether the weights are those of the catalogue; True for methods without any."""
    run: str
    """Name of the run."""
    in_tiles: bool = False
    """Whether pictures were cut for a model that looks at all of a picture."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to be thought of a claim."""

    claim: Claim
    status: Status
    measured: Measured | None
    reason: str
    """Why it could not be judged; empty where it was."""
    suspicions: tuple[str, ...]
    """What speaks against it without any measurement."""
    counted: float | None = None
    """What was counted, for claims that are not about scores."""

    @property
    def found(self) -> float | None:
        """The value on this side."""
        return self.measured.value if self.measured else self.counted

    @property
    def difference(self) -> float | None:
        """Found less claimed."""
        return None if self.found is None else self.found - self.claim.value


@cache
def published() -> tuple[Claim, ...]:
    """All claims, in the order of the file."""
    return tuple(
        Claim(
            system=row["system"],
            metric=row["metric"],
            dataset=row["dataset"],
            scale=int(row["scale"]),
            protocol=row["protocol"],
            lr=row["lr"],
            value=float(row["value"]),
            tolerance=float(row["tolerance"]),
            source=row["source"],
            note=row["note"],
        )
        for row in _rows("claims.csv")
    )


@cache
def others() -> tuple[Other, ...]:
    """All other sources."""
    return tuple(
        Other(
            system=row["system"],
            peers=frozenset(row["peers"].split()),
            metric=row["metric"],
            dataset=row["dataset"],
            scale=int(row["scale"]),
            value=float(row["value"]),
            source=row["source"],
        )
        for row in _rows("others.csv")
    )


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def judge(claims: Sequence[Claim], measured: Iterable[Measured], sources: Sequence[Other]) -> list[Verdict]:
    """Hold each claim against what was measured; where several measurements fit, against the last of them.

    Parameters
    ----------
    claims, sources:
        Such as `published()` and `others()`.
    measured:
        Means of runs, the oldest first.
    """
    by_upscaler: dict[str, list[Measured]] = {}
    for each in measured:
        by_upscaler.setdefault(each.upscaler, []).append(each)
    known = upscalers.registry()
    return [_judge(claim, by_upscaler.get(claim.system, []), suspicions(claim, claims, sources), known) for claim in claims]


def suspicions(claim: Claim, claims: Sequence[Claim], sources: Sequence[Other]) -> tuple[str, ...]:
    """What speaks against a claim: the same value on different pictures, or one far outside what others report."""
    if not claim.dataset:
        return ()
    key = (claim.system, claim.metric, claim.scale, claim.protocol)
    twins = [
        each.dataset
        for each in claims
        if each.dataset != claim.dataset and each.value == claim.value and (each.system, each.metric, each.scale, each.protocol) == key
    ]
    said = [f"equals the value for {' and '.join(twins)} to the digit"] if twins else []
    there = [
        each
        for each in sources
        if claim.system in each.peers and (each.metric, each.dataset, each.scale) == (claim.metric, claim.dataset, claim.scale)
    ]
    margins = SAME_SYSTEM_MARGIN if any(each.system == claim.system for each in there) else PEER_MARGIN
    if there and claim.metric in margins:
        lowest, highest = min(each.value for each in there), max(each.value for each in there)
        outside = max(lowest - claim.value, claim.value - highest)
        if outside > margins[claim.metric] + 1e-9:
            span = _number(claim, lowest) if lowest == highest else f"{_number(claim, lowest)} to {_number(claim, highest)}"
            side = "below" if claim.value < lowest else "above"
            names = " and ".join(dict.fromkeys(each.system for each in there))
            said.append(f"{_number(claim, outside)} {side} other sources ({names}: {span})")
    return tuple(said)


def _judge(claim: Claim, measured: Sequence[Measured], said: tuple[str, ...], known: Registry[UpscalerSpec]) -> Verdict:
    try:
        spec = known.get(claim.system)
    except UnknownIdError:
        missing = f"There is no upscaler {claim.system}" + (f": {claim.note}." if claim.note else ".")
        return Verdict(claim=claim, status="not measurable here", measured=None, reason=missing, suspicions=said)
    about = [each for each in measured if _is_about(each, claim)]
    fitting = next((each for each in reversed(about) if not _objection(each, claim)), None)
    counted = spec.parameter_count.get(claim.scale) if claim.metric == PARAMETERS else None
    value = fitting.value if fitting else counted
    if value is None:
        reason = _objection(about[-1], claim) if about else _obstacle(spec, claim)
        return Verdict(claim=claim, status="not measurable here", measured=None, reason=reason, suspicions=said)
    status = "reproduced" if agrees(claim, value) else "not reproduced"
    return Verdict(claim=claim, status=status, measured=fitting, reason="", suspicions=said, counted=counted)


def _obstacle(spec: UpscalerSpec, claim: Claim) -> str:
    """Why nothing was measured."""
    if claim.metric == PARAMETERS:
        return f"How many numbers {spec.name} has learnt at x{claim.scale} is not known."
    state = spec.status(claim.scale)
    if state.kind == "download":
        return f"Its weights are not here: upscale-bench weights fetch {spec.id}"
    if state.kind != "ready":
        return state.reason or state.kind
    return f"No run has measured it on {claim.dataset} at x{claim.scale}."


def _is_about(measured: Measured, claim: Claim) -> bool:
    return (measured.upscaler, measured.metric, measured.dataset.lower(), measured.scale, measured.protocol) == (
        claim.system,
        claim.metric,
        claim.dataset.lower(),
        claim.scale,
        claim.protocol,
    )


def _objection(measured: Measured, claim: Claim) -> str:
    """Why a measurement of the same thing can't judge the claim; empty where it can."""
    if measured.lr != claim.lr:
        return f"Measured from other small pictures ({measured.lr}); the claim is about those {claim.lr} with the set."
    if not measured.verified_weights:
        return "Measured with weights that are not the catalogue's."
    whole = PICTURES.get(claim.dataset)
    if whole is not None and measured.pictures != whole:
        return f"Measured on {measured.pictures} pictures; {claim.dataset} has {whole}."
    if measured.in_tiles:
        return "Measured in tiles, which change what this model gives."
    if measured.value is None or not math.isfinite(measured.value):
        return "Its mean is not defined: a picture has no such score."
    return ""


def agrees(claim: Claim, value: float) -> bool:
    """Whether a value is the claimed one within the tolerance; the published digits themselves are exact."""
    return abs(value - claim.value) <= claim.tolerance + 1e-9


def _number(claim: Claim, value: float) -> str:
    return f"{value:.2f} dB" if claim.metric == "psnr_db" else f"{value:.4f}"
