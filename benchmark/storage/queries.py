"""Reading the cells of a run from the store: those that wait, those that are finished, and what rankings need of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Text, cast, select

from benchmark.schema import ProtocolScores, Row
from benchmark.storage.records import CellScores, FinishedCell, ScoredCell, StoredRun, WaitingCell
from benchmark.storage.tables import cells, datasets, pictures, scores
from metrics import METRICS, MORE

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


def joined(*columns: Any) -> Any:  # noqa: ANN401 - SQLAlchemy's type would list every column
    """These columns, or all, of cells with their pictures and sets."""
    return (
        select(*(columns or _WITH_PICTURE))
        .select_from(cells)
        .join(pictures, cells.c.picture_id == pictures.c.id)
        .join(datasets, pictures.c.dataset_id == datasets.c.id)
    )


def waiting(connection: Connection, run: StoredRun) -> list[WaitingCell]:
    """The cells of a run that are not finished, in their order."""
    found = connection.execute(joined().where(cells.c.run_id == run.id, cells.c.status.is_(None)).order_by(cells.c.id)).mappings()
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


def finished(connection: Connection, run: StoredRun) -> Iterator[FinishedCell]:
    """The finished cells of a run, in their order, with all scores."""
    by_cell: dict[int, dict[str, ProtocolScores]] = {}
    of_run = select(scores).join(cells).where(cells.c.run_id == run.id)
    for each in connection.execute(of_run).mappings():
        values = ProtocolScores(**each["numbers"], fingerprint=each["fingerprint"])
        by_cell.setdefault(each["cell_id"], {})[each["protocol"]] = values
    found = connection.execute(joined().where(cells.c.run_id == run.id, cells.c.status.is_not(None)).order_by(cells.c.id)).mappings()
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


def scored(connection: Connection, run: StoredRun) -> list[ScoredCell]:
    """What rankings need of the finished cells of a run, in their order: columns, for which no document has to be built."""
    more = tuple(MORE.get(name).id for name in run.request.get("metrics", ()))
    row, numbers = cells.c.row, scores.c.numbers
    of_run = cells.c.run_id == run.id
    by_cell: dict[int, dict[str, CellScores]] = {}
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
    found = joined(
        *(cells.c.id, datasets.c.name, datasets.c.sha256, pictures.c.name, cells.c.environment_id, cells.c.status),
        *(cells.c.upscaler, cells.c.runtime, cells.c.precision, cast(row["options"], Text), *texts, *times, *whole, *said),
    )
    rows = connection.execute(found.where(of_run, cells.c.status.is_not(None)).order_by(cells.c.id))
    return [ScoredCell._make((*each, by_cell.get(each[0], {}))) for each in rows]
