"""What somebody who watches asks of the store: how far many runs are, what failed, which sets were run before."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Select, delete, func, select

from benchmark.runs.folder import remove_folder
from benchmark.storage.database import reading, writing
from benchmark.storage.records import Counts, StoredRun
from benchmark.storage.store import COUNTED, Store
from benchmark.storage.tables import cells, datasets, pictures, runs


@dataclass(frozen=True)
class StoredSet:
    """A data set of a run."""

    name: str
    root: Path
    """The folder in which its pictures lay then."""


@dataclass(frozen=True)
class Share:
    """How far one upscaler of a run is."""

    upscaler: str
    total: int
    done: int
    failed: int


@dataclass(frozen=True)
class FailedCell:
    """A cell that ended without a result."""

    dataset: str
    picture: str
    upscaler: str
    scale: float
    status: str
    reason: str


def counts_of(store: Store, run_ids: Collection[int]) -> dict[int, Counts]:
    """How far these runs are, by their ids; see `Store.counts`."""
    found: dict[int, list[list[Any]]] = {run_id: [] for run_id in run_ids}
    with reading(store.engine) as connection:
        of_runs = select(cells.c.run_id, *COUNTED).where(cells.c.run_id.in_(list(run_ids))).group_by(cells.c.run_id, cells.c.status)
        for run_id, *group in connection.execute(of_runs):
            found[run_id].append(group)
    return {run_id: Counts.of(groups) for run_id, groups in found.items()}


def shares(store: Store, run: StoredRun) -> list[Share]:
    """How far each upscaler of a run is, in their order in the run."""
    counted = select(cells.c.upscaler, cells.c.status, func.count(), func.min(cells.c.id)).where(cells.c.run_id == run.id)
    found: dict[str, dict[str | None, int]] = {}
    with reading(store.engine) as connection:
        by_status = counted.group_by(cells.c.upscaler, cells.c.status).order_by(func.min(cells.c.id))
        for upscaler, status, count, _ in connection.execute(by_status):
            found.setdefault(upscaler, {})[status] = count
    return [
        Share(name, total := sum(each.values()), each.get("ok", 0), total - each.get("ok", 0) - each.get(None, 0))
        for name, each in found.items()
    ]


def failures(store: Store, run: StoredRun, limit: int) -> list[FailedCell]:
    """The first cells of a run that ended without a result, at most `limit`."""
    wanted = (
        select(datasets.c.name.label("dataset"), pictures.c.name.label("picture"), cells.c.upscaler, cells.c.status, cells.c.row)
        .join(pictures, cells.c.picture_id == pictures.c.id)
        .join(datasets, pictures.c.dataset_id == datasets.c.id)
        .where(cells.c.run_id == run.id, cells.c.status.is_not(None), cells.c.status != "ok")
        .order_by(cells.c.id)
        .limit(limit)
    )
    with reading(store.engine) as connection:
        return [
            FailedCell(each.dataset, each.picture, each.upscaler, each.row["scale"], each.status, each.row.get("reason") or "")
            for each in connection.execute(wanted)
        ]


def sets_of(store: Store, run: StoredRun) -> list[StoredSet]:
    """The data sets of a run, in their order."""
    return _sets(store, select(datasets).where(datasets.c.run_id == run.id).order_by(datasets.c.id))


def sets_run_before(store: Store) -> list[StoredSet]:
    """The data sets of all runs, each folder once, those of the latest run first."""
    latest = select(func.max(datasets.c.id)).group_by(datasets.c.root)
    return _sets(store, select(datasets).where(datasets.c.id.in_(latest)).order_by(datasets.c.id.desc()))


def _sets(store: Store, wanted: Select) -> list[StoredSet]:
    with reading(store.engine) as connection:
        return [StoredSet(each.name, Path(each.root)) for each in connection.execute(wanted)]


def delete_run(store: Store, run: StoredRun) -> None:
    """Delete a run with all its results and pictures. Only whoever holds it (`benchmark.runs.folder.working_on`) may do that.

    The rows go first, in one transaction: a power failure leaves pictures that no row names, which `verify` finds, and never a row
    whose picture is gone.
    """
    with writing(store.engine) as connection:
        connection.execute(delete(runs).where(runs.c.id == run.id))
    remove_folder(run.name)
