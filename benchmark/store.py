"""The store of dataset runs: what was planned, what is done, and from which machine each result comes.

A cell waits until its result is saved, and is saved with all that belongs to it in one transaction. Pictures that are kept lie beside
the store, `runs/NAME/SHA256.png`, and are whole before the row that names them: see `benchmark.cells`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, RowMapping, Text, cast, func, insert, select, update

from benchmark import jobs, store_database
from benchmark.cells import CellResult
from benchmark.run_plan import PlannedCell, RunPlan, describe_change
from benchmark.schema import ProtocolScores, Row
from benchmark.store_database import reading, writing
from benchmark.store_records import CellScores, Counts, FinishedCell, ScoredCell, StoredRun, WaitingCell
from benchmark.store_tables import cells, datasets, environments, pictures, runs, scores
from core.errors import UsageError
from metrics import METRICS, MORE

COUNTED = (cells.c.status, func.count(), func.count(cells.c.expected_s), func.coalesce(func.sum(cells.c.expected_s), 0.0))
"""What `Counts.of` takes, for each group of equal status."""
RETRIED = ("failed", "crashed", "oom", "timeout", "skipped", "unavailable")
"""What `retry_failed` puts back among the waiting."""


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
        return cls(store_database.open_database(store_database.path(), checked=checked))

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

    def create(self, name: str, plan: RunPlan) -> StoredRun:
        """Store a new run with all its cells, in one transaction."""
        planned = plan.cells()
        with writing(self.engine) as connection:
            created = connection.execute(
                insert(runs).values(
                    name=name, request=plan.request, request_sha256=plan.request_sha256, state="planned", created_at=jobs.now()
                )
            )
            assert created.inserted_primary_key is not None
            run_id = created.inserted_primary_key[0]
            facts = [
                {
                    "run_id": run_id,
                    "name": dataset.name,
                    "root": str(dataset.root.absolute()),
                    "sha256": dataset.sha256,
                    "pictures": len(dataset),
                }
                for dataset in plan.datasets
            ]
            connection.execute(insert(datasets), facts)
            dataset_ids = {
                name: dataset_id
                for dataset_id, name in connection.execute(select(datasets.c.id, datasets.c.name).where(datasets.c.run_id == run_id))
            }
            connection.execute(
                insert(pictures),
                [
                    {"dataset_id": dataset_ids[each.dataset], "name": each.name, "scale": each.scale} | _paths(each.source)
                    for each in plan.pictures
                ],
            )
            of_run = select(pictures.c.id, datasets.c.name, pictures.c.name, pictures.c.scale).join(datasets)
            picture_ids = {
                (dataset, picture, scale): picture_id
                for picture_id, dataset, picture, scale in connection.execute(of_run.where(datasets.c.run_id == run_id))
            }
            values = [
                {"run_id": run_id, "picture_id": picture_ids[each.picture.dataset, each.picture.name, each.picture.scale]} | facts
                for each, facts in zip(planned, _cell_values(planned), strict=True)
            ]
            connection.execute(insert(cells), values)
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
            raise UsageError(f"The run {run.name!r} was planned otherwise: {change}. Give the same again, or another --run.")
        planned = plan.cells()
        slots = {_slot(cell.picture.dataset, cell.picture.name, cell.row): index for index, cell in enumerate(planned)}
        values = list(_cell_values(planned))
        with writing(self.engine) as connection:
            for dataset in plan.datasets:
                of_run = (datasets.c.run_id == run.id) & (datasets.c.name == dataset.name)
                moved = connection.execute(
                    update(datasets)
                    .where(of_run, datasets.c.root != str(dataset.root.absolute()))
                    .values(root=str(dataset.root.absolute()))
                )
                if moved.rowcount:
                    dataset_id = connection.execute(select(datasets.c.id).where(of_run)).scalar_one()
                    for each in plan.pictures:
                        if each.dataset == dataset.name:
                            place = (pictures.c.dataset_id == dataset_id, pictures.c.name == each.name, pictures.c.scale == each.scale)
                            connection.execute(update(pictures).where(*place).values(_paths(each.source)))
            again = RETRIED if retry_failed else ("unavailable",)
            finished = connection.execute(_joined().where(cells.c.run_id == run.id, cells.c.status.in_(again))).mappings().all()
            for found in finished:
                index = slots.get(_slot(found["dataset"], found["picture"], Row.model_validate(found["row"])))
                if index is not None and values[index]["status"] is None:
                    connection.execute(update(cells).where(cells.c.id == found["id"]).values({**_EMPTY, **values[index]}))

    def waiting(self, run: StoredRun) -> list[WaitingCell]:
        """The cells of a run that are not finished, in their order."""
        with reading(self.engine) as connection:
            found = connection.execute(_joined().where(cells.c.run_id == run.id, cells.c.status.is_(None)).order_by(cells.c.id)).mappings()
            return [
                WaitingCell(
                    id=each["id"],
                    picture_id=each["picture_id"],
                    dataset=each["dataset"],
                    picture=each["picture"],
                    original=Path(each["original_path"]),
                    original_sha256=each["original_sha256"],
                    small=Path(each["small_path"]) if each["small_path"] else None,
                    small_sha256=each["small_sha256"],
                    expected_s=each["expected_s"],
                    row=Row.model_validate(each["row"]),
                )
                for each in found
            ]

    def finished(self, run: StoredRun) -> Iterator[FinishedCell]:
        """The finished cells of a run, in their order, with all scores."""
        by_cell: dict[int, dict[str, ProtocolScores]] = {}
        with reading(self.engine) as connection:
            of_run = select(scores).join(cells).where(cells.c.run_id == run.id)
            for each in connection.execute(of_run).mappings():
                values = ProtocolScores(**each["numbers"], fingerprint=each["fingerprint"])
                by_cell.setdefault(each["cell_id"], {})[each["protocol"]] = values
            found = connection.execute(
                _joined().where(cells.c.run_id == run.id, cells.c.status.is_not(None)).order_by(cells.c.id)
            ).mappings()
            for each in found:
                row = Row.model_validate(each["row"])
                row.scores = by_cell.get(each["id"])
                yield FinishedCell(
                    id=each["id"],
                    dataset=each["dataset"],
                    dataset_sha256=each["dataset_sha256"],
                    picture=each["picture"],
                    row=row,
                    notes=tuple(each["notes"] or ()),
                    pixels_sha256=each["pixels_sha256"],
                    output_sha256=each["output_sha256"],
                    environment_id=each["environment_id"],
                )

    def scored(self, run: StoredRun) -> list[ScoredCell]:
        """What rankings need of the finished cells of a run, in their order: columns, for which no document has to be built."""
        more = tuple(MORE.get(name).id for name in run.request.get("metrics", ()))
        row, numbers = cells.c.row, scores.c.numbers
        of_run = cells.c.run_id == run.id
        by_cell: dict[int, dict[str, CellScores]] = {}
        with reading(self.engine) as connection:
            values = [numbers[name].as_float() for name in ("mse", "psnr_db", "ssim")]
            columns = (
                scores.c.cell_id,
                scores.c.protocol,
                *values,
                numbers["identical"].as_boolean(),
                *(numbers[name].as_float() for name in more),
            )
            for cell_id, protocol, mse, psnr_db, ssim, identical, *others in connection.execute(select(*columns).join(cells).where(of_run)):
                made = CellScores(
                    mse,
                    psnr_db,
                    ssim,
                    bool(identical),
                    {name: value for name, value in zip(more, others, strict=True) if protocol in METRICS.get(name).protocols},
                )
                by_cell.setdefault(cell_id, {})[protocol] = made
            texts = [row[name].as_string() for name in ("name", "aim", "runtime_version", "weights_sha256", "lr_source")]
            times = [row[name].as_float() for name in ("first_s", "warm_p50_s", "peak_rss_mib", "peak_vram_mib")]
            whole = [row[name].as_integer() for name in ("scale", "seed", "workers", "tile", "tile_limit")]
            said = [row[name].as_boolean() for name in ("verified_weights", "contended", "was_warm")]
            found = _joined(
                *(cells.c.id, datasets.c.name, datasets.c.sha256, pictures.c.name, cells.c.environment_id, cells.c.status),
                *(cells.c.upscaler, cells.c.runtime, cells.c.precision, cast(row["options"], Text), *texts, *times, *whole, *said),
            )
            finished = connection.execute(found.where(of_run, cells.c.status.is_not(None)).order_by(cells.c.id))
            return [ScoredCell._make((*values, by_cell.get(values[0], {}))) for values in finished]

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


_EMPTY = dict.fromkeys(("notes", "fingerprint", "environment_id", "pixels_sha256", "output_sha256", "finished_at"))


def _run(found: RowMapping) -> StoredRun:
    return StoredRun(
        id=found["id"],
        name=found["name"],
        state=found["state"],
        reason=found["reason"],
        request=found["request"],
        request_sha256=found["request_sha256"],
        created_at=found["created_at"],
    )


_WITH_PICTURE = (
    cells,
    pictures.c.name.label("picture"),
    pictures.c.original_path,
    pictures.c.original_sha256,
    pictures.c.small_path,
    pictures.c.small_sha256,
    datasets.c.name.label("dataset"),
    datasets.c.sha256.label("dataset_sha256"),
)


def _joined(*columns: Any) -> Any:  # noqa: ANN401 - SQLAlchemy's type would list every column
    """These columns, or all, of cells with their pictures and sets."""
    return (
        select(*(columns or _WITH_PICTURE))
        .select_from(cells)
        .join(pictures, cells.c.picture_id == pictures.c.id)
        .join(datasets, pictures.c.dataset_id == datasets.c.id)
    )


def _slot(dataset: str, picture: str, row: Row) -> tuple[str, str, float, str, str, str]:
    return dataset, picture, row.scale, row.upscaler, row.runtime, row.precision


def _paths(source: Any) -> dict[str, Any]:  # noqa: ANN401
    small = source.small
    return {
        "original_path": str(source.original.path.absolute()),
        "original_sha256": source.original.sha256,
        "small_path": str(small.path.absolute()) if small else None,
        "small_sha256": small.sha256 if small else None,
    }


def _cell_values(planned: Iterable[PlannedCell]) -> Iterator[dict[str, Any]]:
    """The columns of planned cells, but for run and picture. Cells of one upscaler share a row, which is written out once."""
    shared: tuple[int, dict[str, Any]] = (0, {})
    for cell in planned:
        if shared[0] != id(cell.row):
            shared = (id(cell.row), cell.row.model_dump(mode="json", exclude={"scores"}))
        yield {
            "upscaler": cell.row.upscaler,
            "runtime": cell.row.runtime,
            "precision": cell.row.precision,
            "input_hash": cell.input_hash,
            "model_hash": cell.model_hash,
            "settings_hash": cell.settings_hash,
            "expected_s": cell.expected_s,
            "status": cell.row.status,
            "row": shared[1],
        }
