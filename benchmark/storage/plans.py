"""Writing the plan of a run into the store, at its beginning and when it goes on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, insert, select, update

from benchmark import jobs
from benchmark.runs.plan import PlannedCell, PlannedPicture, RunPlan
from benchmark.schema import Row
from benchmark.storage.queries import joined
from benchmark.storage.records import Execution, StoredRun
from benchmark.storage.tables import cells, datasets, pictures, runs

RETRIED = ("failed", "crashed", "oom", "timeout", "skipped", "unavailable")
"""What `retry_failed` puts back among the waiting."""
RESULT_COLUMNS = ("notes", "fingerprint", "environment_id", "pixels_sha256", "output_sha256", "finished_at")
"""Columns of a cell that are empty while it waits."""


def write_plan(connection: Connection, name: str, plan: RunPlan, planned: Sequence[PlannedCell], execution: Execution) -> None:
    """Write a new run with its sets, pictures and cells."""
    created = connection.execute(
        insert(runs).values(
            name=name,
            request=plan.request,
            request_sha256=plan.request_sha256,
            state="planned",
            created_at=jobs.now(),
            **asdict(execution),
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
        [{"dataset_id": dataset_ids[each.dataset], "name": each.name, "scale": each.scale} | _paths(each) for each in plan.pictures],
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


def note_places(connection: Connection, run: StoredRun, plan: RunPlan) -> None:
    """Note where the pictures of a run lie now."""
    for dataset in plan.datasets:
        of_run = (datasets.c.run_id == run.id) & (datasets.c.name == dataset.name)
        root = str(dataset.root.absolute())
        moved = connection.execute(update(datasets).where(of_run, datasets.c.root != root).values(root=root))
        if moved.rowcount:
            dataset_id = connection.execute(select(datasets.c.id).where(of_run)).scalar_one()
            for each in plan.pictures:
                if each.dataset == dataset.name:
                    place = (pictures.c.dataset_id == dataset_id, pictures.c.name == each.name, pictures.c.scale == each.scale)
                    connection.execute(update(pictures).where(*place).values(_paths(each)))


def wait_again(connection: Connection, run: StoredRun, planned: Sequence[PlannedCell], *, retry_failed: bool) -> None:
    """Let finished cells wait again: those that could not run when they were planned and can now, and failed ones if asked to."""
    slots = {_slot(cell.picture.dataset, cell.picture.name, cell.row): index for index, cell in enumerate(planned)}
    values = list(_cell_values(planned))
    again = RETRIED if retry_failed else ("unavailable",)
    finished = connection.execute(joined().where(cells.c.run_id == run.id, cells.c.status.in_(again))).mappings().all()
    for found in finished:
        index = slots.get(_slot(found["dataset"], found["picture"], Row.model_validate(found["row"])))
        if index is not None and values[index]["status"] is None:
            emptied = dict.fromkeys(RESULT_COLUMNS) | values[index]
            connection.execute(update(cells).where(cells.c.id == found["id"]).values(emptied))


def _slot(dataset: str, picture: str, row: Row) -> tuple[str, str, float, str, str, str]:
    return dataset, picture, row.scale, row.upscaler, row.runtime, row.precision


def _paths(picture: PlannedPicture) -> dict[str, Any]:
    original, small = picture.source.original, picture.source.small
    return {
        "original_path": str(original.path.absolute()),
        "original_sha256": original.sha256,
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
