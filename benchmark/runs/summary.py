"""The means of a run: what the tables of papers are made of."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Protocol, TypeVar

from benchmark.given_small import LR_SOURCE
from benchmark.ranking.claims import Measured
from benchmark.runs.plan import GIVEN
from benchmark.schema import Row
from benchmark.storage.records import FinishedCell, StoredRun
from benchmark.storage.store import Store
from benchmark.timing import median

SCORES = ("mse", "psnr_db", "ssim")


@dataclass
class EntryCells:
    """The finished cells of one model, run in one way, on one set at one scale."""

    dataset: str
    row: Row
    """The first of them: what all have in common."""
    done: list[FinishedCell] = field(default_factory=list)
    failed: list[FinishedCell] = field(default_factory=list)


def entries(cells: Iterable[FinishedCell]) -> list[EntryCells]:
    """Finished cells, put together by set, scale, upscaler, runtime and precision, in the order of the plan."""
    found: dict[tuple[Any, ...], EntryCells] = {}
    for cell in cells:
        row = cell.row
        key = (cell.dataset, row.scale, row.upscaler, row.runtime, row.precision)
        entry = found.setdefault(key, EntryCells(cell.dataset, row))
        (entry.done if row.status == "ok" else entry.failed).append(cell)
    return list(found.values())


def document(store: Store, run: StoredRun) -> dict[str, Any]:
    """The JSON document of `run`."""
    counts = store.counts(run)
    return {
        "schema": 1,
        "run": run.name,
        "state": store.run(run.name).state,
        "cells_total": counts.total,
        "cells_done": counts.done,
        "cells_failed": counts.failed,
        "metrics": run.request.get("metrics", []),
        "means": [mean_of(entry) for entry in entries(store.finished(run))],
    }


def mean_of(entry: EntryCells) -> dict[str, Any]:
    """The means over the pictures that have a result, whose number is `n`.

    `warm_p50_s` is the median of the pictures' warm medians, `first_p50_s` that of their first calls, without the call with which
    the model's process began where there are others; None where there is none.
    """
    row, rows = entry.row, [cell.row for cell in entry.done]
    return {
        "dataset": entry.dataset,
        "upscaler": row.upscaler,
        "scale": int(row.scale),
        "runtime": row.runtime,
        "precision": row.precision,
        "n": len(rows),
        "failed": len(entry.failed),
        "warm_p50_s": _median(each.warm_p50_s for each in rows),
        "first_p50_s": _median(each.first_s for each in typical_calls(rows)),
        "scores": {protocol: _means(rows, protocol) for protocol in (rows[0].scores or {})} if rows else {},
    }


def measured(store: Store, run: StoredRun) -> list[Measured]:
    """The means of a run as `benchmark.ranking.claims.judge` takes them."""
    found = []
    for entry in entries(store.finished(run)):
        row = entry.row
        for protocol, means in mean_of(entry)["scores"].items():
            for metric in ("psnr_db", "ssim"):
                found.append(
                    Measured(
                        upscaler=row.upscaler,
                        metric=metric,
                        dataset=entry.dataset,
                        scale=int(row.scale),
                        protocol=protocol,
                        lr=GIVEN if row.lr_source == LR_SOURCE else row.lr_source,
                        value=None if means["undefined"] or means["identical"] else means[metric],
                        pictures=len(entry.done),
                        verified_weights=all(cell.row.verified_weights is not False for cell in entry.done),
                        run=run.name,
                    )
                )
    return found


class _Called(Protocol):
    @property
    def was_warm(self) -> bool | None: ...


Called = TypeVar("Called", bound=_Called)


def typical_calls(rows: list[Called]) -> list[Called]:
    """Rows whose first call was not also the first of its process; all rows where there are no such."""
    return [row for row in rows if row.was_warm] or rows


def _means(rows: list[Row], protocol: str) -> dict[str, Any]:
    """Mean scores. The PSNR of identical pictures is infinite: they are counted, and left out of its mean."""
    scores = [row.scores[protocol] for row in rows if row.scores]
    means: dict[str, Any] = {}
    for name in (*SCORES, *dict.fromkeys(name for each in scores for name in each.more)):
        values = [value for each in scores if (value := each.more.get(name) if name in each.more else getattr(each, name)) is not None]
        means[name] = fmean(values) if values else None
    identical = sum(each.identical for each in scores)
    return means | {"identical": identical, "undefined": sum(each.psnr_db is None and not each.identical for each in scores)}


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
