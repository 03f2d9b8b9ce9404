"""Does the store agree with the files beside it? Looks at everything and changes nothing."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import select

from benchmark import jobs
from benchmark.runs.folder import is_worked_on, leftovers
from benchmark.schema import Comparison
from benchmark.storage import comparison_index
from benchmark.storage.database import reading
from benchmark.storage.records import StoredRun
from benchmark.storage.store import Store
from benchmark.storage.tables import cells, scores
from core.errors import AppError
from core.settings import settings

ProblemKind = Literal["missing", "changed", "orphan", "damaged", "inconsistent"]


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be."""

    kind: ProblemKind
    """`missing`: a row names a file that is not there. `changed`: it has other bytes. `orphan`: a file that no row names.
    `damaged`: the database or a document can't be read. `inconsistent`: rows contradict each other."""
    place: str
    """The file, or the row."""
    text: str
    """One line for people: what is wrong and what helps."""


@dataclass
class Report:
    """What was looked at, and what is wrong."""

    runs: int = 0
    results: int = 0
    """Finished cells."""
    pictures: int = 0
    """Kept pictures whose bytes were read, those of comparisons included."""
    comparisons: int = 0
    problems: list[Problem] = field(default_factory=list)


def verify(store: Store) -> Report:
    """Look at all runs, their pictures, and the app's comparisons. Raises `core.errors.StoreError` where the store can't be read."""
    comparison_index.refresh(store)
    runs = store.runs()
    report = Report(runs=len(runs))
    report.problems += _database(store)
    for run in runs:
        report.problems += _rows(store, run, report)
        report.problems += _pictures(store, run, report)
    report.problems += _unknown_folders({run.name for run in runs})
    report.problems += _comparisons(store, report)
    return report


def _database(store: Store) -> Iterator[Problem]:
    if store.engine.dialect.name != "sqlite":
        return
    with reading(store.engine) as connection:
        for line in connection.exec_driver_sql("PRAGMA integrity_check").scalars():
            if line != "ok":
                yield Problem("damaged", str(store.engine.url.database), f"{line}: restore a copy.")
        for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
            yield Problem("inconsistent", f"{table} {row}", f"Names a {parent} that is not there: restore a copy.")


def _rows(store: Store, run: StoredRun, report: Report) -> Iterator[Problem]:
    """A result has its scores; what failed has a reason and no number."""
    counted = select(cells.c.id, cells.c.status, cells.c.pixels_sha256, cells.c.row, scores.c.protocol).outerjoin(scores)
    of_run = counted.where(cells.c.run_id == run.id, cells.c.status.is_not(None) | scores.c.protocol.is_not(None)).order_by(cells.c.id)
    seen = set()
    with reading(store.engine) as connection:
        for cell_id, status, pixels_sha256, row, protocol in connection.execute(of_run):
            if cell_id in seen:
                continue
            seen.add(cell_id)
            place = f"{run.name}, cell {cell_id}"
            if status == "ok" and (protocol is None or pixels_sha256 is None):
                yield Problem("inconsistent", place, "Is done without scores: restore a copy, or delete the run and start it again.")
            elif status != "ok" and (protocol is not None or pixels_sha256 is not None):
                yield Problem("inconsistent", place, f"Is {status or 'not finished'} and has scores: restore a copy.")
            elif status not in (None, "ok") and not row.get("reason"):
                yield Problem("inconsistent", place, f"Is {status} without a reason.")
    report.results += len(seen)


def _pictures(store: Store, run: StoredRun, report: Report) -> Iterator[Problem]:
    named = store.outputs(run)
    for sha256 in sorted(named):
        yield from _picture(run.folder / f"{sha256}.png", sha256, "Its result was saved; run it again under another name.", report)
    if is_worked_on(run.folder.name):
        return
    for path in leftovers(run.name, named):
        yield Problem("orphan", str(path), "No result names it; the next `run` of the same removes it, or computes what it belongs to.")


def _picture(path: Path, sha256: str, remedy: str, report: Report) -> Iterator[Problem]:
    """Compare a file with the hash, or the beginning of the hash, that it should have."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        yield Problem("missing", str(path), f"Can't be read ({error.strerror}). {remedy}")
        return
    report.pictures += 1
    if not found.startswith(sha256):
        yield Problem("changed", str(path), f"Has other bytes than those that were saved. {remedy}")


def _unknown_folders(known: set[str]) -> Iterator[Problem]:
    root = settings().home / "runs"
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if folder.is_dir() and folder.name not in known:
            yield Problem("orphan", str(folder), "The store knows no run of this name: delete it, or restore the store.")


def _comparisons(store: Store, report: Report) -> Iterator[Problem]:
    for indexed in comparison_index.listed(store):
        report.comparisons += 1
        directory = settings().comparisons / indexed["id"]
        try:
            job = jobs.load(directory)
        except AppError as error:
            yield Problem("damaged", str(directory), str(error))
            continue
        for name in sorted(_named(job)):
            yield from _picture(
                directory / name, name.removesuffix(".png"), "The comparison can't show it any more: start it anew.", report
            )


def _named(job: Comparison) -> set[str]:
    """The files that a comparison names."""
    own = {job.original_path, job.whole_path, job.downscaled_path, job.whole_downscaled_path}
    return {name for name in own | {row.output_path for row in job.rows} if name}
