"""The store of dataset runs: what was planned, what is done, and from which machine each result comes.

A cell waits until its result is saved, and is saved with all that belongs to it in one transaction. Pictures that are kept lie beside
the store, `runs/NAME/SHA256.png`, and are whole before the row that names them: see `benchmark.runs.cells`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

from sqlalchemy import Engine, RowMapping, func, insert, select, update

from benchmark import jobs
from benchmark.runs.cells import CellResult
from benchmark.runs.plan import RunPlan, describe_change
from benchmark.storage import database, plans, queries
from benchmark.storage.database import reading, writing
from benchmark.storage.records import Counts, Execution, FinishedCell, ScoredCell, StoredRun, WaitingCell
from benchmark.storage.tables import cells, environments, runs, scores
from core.errors import UsageError

COUNTED = (cells.c.status, func.count(), func.count(cells.c.expected_s), func.coalesce(func.sum(cells.c.expected_s), 0.0))
"""What `Counts.of` takes, for each group of equal status."""


class Store:
    """The store, open."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, *, checked: bool = True) -> Self:
        """The user's store, created or brought up to date where needed. Raises `core.errors.StoreError`.

        Parameters
        ----------
        checked:
            Whether all of its pages are looked at first, which takes longer the larger it is: who only reads a row need not.
        """
        return cls(database.open_database(database.path(), checked=checked))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()

    def runs(self) -> list[StoredRun]:
        """All runs, the oldest first."""
        with reading(self.engine) as connection:
            return [_run(found) for found in connection.execute(select(runs).order_by(runs.c.id)).mappings()]

    def run(self, name: str) -> StoredRun:
        """The run of this name. Raises `core.errors.UsageError` when there is none."""
        found = self.find_run(name)
        if found is None:
            known = ", ".join(run.name for run in self.runs()[-5:])
            raise UsageError(f"There is no run {name!r}. " + (f"The latest are: {known}." if known else "Start one with `run`."))
        return found

    def find_run(self, name: str) -> StoredRun | None:
        """The run of this name, or None."""
        with reading(self.engine) as connection:
            found = connection.execute(select(runs).where(runs.c.name == name)).mappings().first()
            return _run(found) if found else None

    def create(self, name: str, plan: RunPlan, execution: Execution | None = None) -> StoredRun:
        """Store a new run with all its cells, in one transaction.

        Parameters
        ----------
        execution:
            How it will be computed; None: as most are.
        """
        planned = plan.cells()
        with writing(self.engine) as connection:
            plans.write_plan(connection, name, plan, planned, execution or Execution())
        return self.run(name)

    def resume(self, run: StoredRun, plan: RunPlan, *, retry_failed: bool = False) -> None:
        """Go on with a run: note where its pictures lie now, and give what could not run before another chance.

        Raises
        ------
        core.errors.UsageError
            The plan is not the run's.
        """
        if plan.request_sha256 != run.request_sha256:
            change = describe_change(run.request, plan.request)
            raise UsageError(f"The run {run.name!r} was planned otherwise: {change}. Ask for the same again, or start another run.")
        planned = plan.cells()
        with writing(self.engine) as connection:
            plans.note_places(connection, run, plan)
            plans.wait_again(connection, run, planned, retry_failed=retry_failed)

    def waiting(self, run: StoredRun) -> list[WaitingCell]:
        """The cells of a run that are not finished, in their order."""
        with reading(self.engine) as connection:
            return queries.waiting(connection, run)

    def finished(self, run: StoredRun) -> Iterator[FinishedCell]:
        """The finished cells of a run, in their order, with all scores."""
        with reading(self.engine) as connection:
            yield from queries.finished(connection, run)

    def scored(self, run: StoredRun) -> list[ScoredCell]:
        """What rankings need of the finished cells of a run, in their order: columns, for which no document has to be built."""
        with reading(self.engine) as connection:
            return queries.scored(connection, run)

    def counts(self, run: StoredRun) -> Counts:
        """How far a run is."""
        of_run = select(*COUNTED).where(cells.c.run_id == run.id).group_by(cells.c.status)
        with reading(self.engine) as connection:
            return Counts.of(connection.execute(of_run))

    def save(self, results: Sequence[CellResult], facts: Mapping[str, Any]) -> None:
        """Save finished cells: when this returns, they are on the disk; when it raises `StoreError`, none of them is.

        Parameters
        ----------
        facts:
            Of the machine that computed them, see `benchmark.environment.run_facts`.
        """
        environment_id = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
        finished_at = jobs.now()
        numbers = []
        with writing(self.engine) as connection:
            if connection.execute(select(environments.c.id).where(environments.c.id == environment_id)).first() is None:
                connection.execute(insert(environments).values(id=environment_id, facts=dict(facts)))
            for result in results:
                # Who came first stays: a result that arrives twice changes nothing.
                saved = connection.execute(
                    update(cells)
                    .where(cells.c.id == result.id, cells.c.status.is_(None))
                    .values(
                        status=result.row.status,
                        row=result.row.model_dump(mode="json", exclude={"scores"}),
                        notes=list(result.notes),
                        fingerprint=result.row.fingerprint,
                        environment_id=environment_id,
                        pixels_sha256=result.pixels_sha256,
                        output_sha256=result.output_sha256,
                        finished_at=finished_at,
                    )
                )
                if saved.rowcount:
                    numbers += [
                        {
                            "cell_id": result.id,
                            "protocol": protocol,
                            "fingerprint": values.fingerprint,
                            "numbers": values.model_dump(mode="json", exclude={"fingerprint"}),
                        }
                        for protocol, values in (result.row.scores or {}).items()
                    ]
            if numbers:
                connection.execute(insert(scores), numbers)

    def set_execution(self, run: StoredRun, execution: Execution) -> None:
        """Note how a run is computed from now on."""
        with writing(self.engine) as connection:
            connection.execute(update(runs).where(runs.c.id == run.id).values(**asdict(execution)))

    def set_state(self, run: StoredRun, state: str, reason: str | None = None) -> None:
        """Note what a run does now."""
        finished_at = jobs.now() if state == "done" else None
        with writing(self.engine) as connection:
            connection.execute(update(runs).where(runs.c.id == run.id).values(state=state, reason=reason, finished_at=finished_at))

    def outputs(self, run: StoredRun) -> set[str]:
        """The hashes of all pictures that the rows of a run name."""
        kept = select(cells.c.output_sha256).where(cells.c.run_id == run.id, cells.c.output_sha256.is_not(None))
        with reading(self.engine) as connection:
            return set(connection.execute(kept).scalars())

    def environment(self, environment_id: str) -> dict[str, Any]:
        """The facts about a machine and its versions."""
        with reading(self.engine) as connection:
            return connection.execute(select(environments.c.facts).where(environments.c.id == environment_id)).scalar_one()


def _run(found: RowMapping) -> StoredRun:
    return StoredRun(
        id=found["id"],
        name=found["name"],
        state=found["state"],
        reason=found["reason"],
        request=found["request"],
        request_sha256=found["request_sha256"],
        created_at=found["created_at"],
        execution=Execution(found["workers"], found["keep_images"], found["engine"]),
    )
