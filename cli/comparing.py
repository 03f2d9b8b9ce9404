"""`compare` and `upscale`: one picture, some upscalers."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import upscalers
from benchmark import export, given, jobs
from benchmark.degradation import DOWNSCALERS, crop_to_multiple
from benchmark.given_small import Upload
from benchmark.plan import Plan
from benchmark.presentation import format, report
from benchmark.regions import check_region, parse_region
from benchmark.schema import Comparison, Row
from benchmark.workers.local_engine import LocalEngine
from cli.given import added_results, small_picture
from cli.options import ImageFile, MoreMetrics, Options, PrecisionName, Runtime, Tile, parse_metrics, parse_options, parse_precision
from cli.output import AsJson, make_folder, number, print_json, print_table, seconds
from core.errors import AppError, UsageError
from core.image import check_output_size, decode, read_file
from core.settings import settings
from metrics import MORE
from upscalers.preparing import is_to_be_prepared

POLL_S = 0.05
SLOW_S = 60.0
"""Expected times from here on are told before the work begins."""


def compare(
    image: ImageFile,
    scale: Annotated[int, typer.Option(help="2, 3, 4 or 8.")] = 4,
    chosen: Annotated[str, typer.Option("--upscalers", help="Ids separated by commas, or all-ready.")] = "all-ready",
    runtime: Runtime = "auto",
    precision: PrecisionName = "auto",
    downscale: Annotated[str, typer.Option(help=f"One of {', '.join(DOWNSCALERS.ids())}.")] = "bicubic",
    repeats: Annotated[
        int | None, typer.Option(help="Exactly so many warm calls each.", show_default="until half a second is full")
    ] = None,
    option: Options = None,
    region: Annotated[
        str | None, typer.Option(help="X,Y,WIDTH,HEIGHT in pixels: compare this part only.", show_default="the whole picture")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="For upscalers that draw random numbers.")] = None,
    tile: Tile = None,
    small_file: Annotated[Path | None, typer.Option("--lr", help="The picture's own small version, used instead of downscaling.")] = None,
    add: Annotated[list[str] | None, typer.Option("--add", help="NAME=FILE: another tool's result; may be given several times.")] = None,
    more: MoreMetrics = "",
    out: Annotated[
        Path | None, typer.Option(help="Write the results, a labelled strip, the numbers and a report into this directory.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Shrink a picture, race the upscalers, and score each result against the original."""
    ids = _ready_ids(scale) if chosen == "all-ready" else [part.strip() for part in chosen.split(",") if part.strip()]
    plan = Plan(
        scale=scale,
        upscaler_ids=ids,
        downscale=downscale,
        runtime=runtime,
        precision=parse_precision(precision),
        options=parse_options(option),
        region=parse_region(region) if region else None,
        seed=seed,
        tile_px=tile,
        repeats=repeats,
        metrics=parse_metrics(more),
    )
    upscalers.registry().select(ids)
    source = read_file(image)
    picture = decode(source, name=image.name)
    small = small_picture(small_file, (picture.width, picture.height), scale)
    if plan.region:
        check_region(plan.region, picture.width, picture.height)
    # Raises when what is compared is smaller than the scale.
    crop_to_multiple(plan.region.cut(picture.rgb) if plan.region else picture.rgb, scale)
    added = added_results(add or (), given.frame(plan.mode, scale, (picture.width, picture.height), plan.region))
    if out:
        make_folder(out)
    with finished(plan, source, image.name, small) as (directory, _):
        for name, upload in added:
            given.add(directory, upload, name=name)
        job = jobs.load(directory)
        written = {}
        if out:
            written = export.write(directory, job, out)
            report.write(directory, job, export.report_path(job, out))
    document = export.document(job)
    for row in document["rows"]:
        row["output_path"] = str(written[row["upscaler"]]) if row["upscaler"] in written else None
    if as_json:
        print_json(document)
    else:
        _print_comparison(job)
    _exit_by(job.rows)


def upscale(
    image: ImageFile,
    upscaler: Annotated[str, typer.Option(help="Id of the upscaler.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="PNG file to write.", show_default=False)],
    scale: Annotated[float, typer.Option(help="Enlargement; the interpolators take fractions too.")] = 4,
    runtime: Runtime = "auto",
    precision: PrecisionName = "auto",
    option: Options = None,
    seed: Annotated[int | None, typer.Option(help="For upscalers that draw random numbers.")] = None,
    tile: Tile = None,
) -> None:
    """Enlarge a picture as it is, without shrinking it first: the real job."""
    upscalers.create(upscaler, scale)
    if out.suffix.lower() != ".png":
        raise UsageError(f"Results are lossless PNG: expected a name that ends in .png, got {out.name!r}.")
    plan = Plan(
        scale=scale,
        upscaler_ids=[upscaler],
        mode="as-is",
        runtime=runtime,
        precision=parse_precision(precision),
        options=parse_options(option),
        seed=seed,
        tile_px=tile,
        repeats=0,
    )
    source = read_file(image)
    picture = decode(source, name=image.name)
    check_output_size(picture.width, picture.height, scale)
    make_folder(out.parent)
    with finished(plan, source, image.name) as (directory, job):
        row = job.rows[0]
        if row.output_path:
            out.write_bytes((directory / row.output_path).read_bytes())
            typer.echo(f"{out}: {row.width}×{row.height} in {seconds(row.first_s)}")
            agreement = "identical" if row.lr_identical else f"{number(row.lr_consistency, 2)} dB"
            typer.echo(f"  agrees with the picture: {agreement}, shrunk back by {row.lr_downscale}")
            typer.echo(f"  colour shift: {number(row.colour_shift, 2)} (mean CIEDE2000)")
            for note in job.image.notes if job.image else ():
                typer.echo(f"  {note}")
    _exit_by(job.rows)


@contextmanager
def finished(plan: Plan, source: bytes, name: str, small: Upload | None = None) -> Iterator[tuple[Path, Comparison]]:
    """Run a comparison in a directory that lives as long as this context, showing progress on standard error."""
    with tempfile.TemporaryDirectory(prefix="upscale-bench-") as folder:
        engine = LocalEngine(Path(folder), log_file=settings().home / "logs" / "engine.log")
        try:
            job_id = engine.submit(plan, source, name=name, user="command line", small=small)
            job = _watch(engine, job_id)
        finally:
            engine.close()
        if job.image is None:
            raise AppError(job.reason or "The comparison stopped.")
        yield Path(folder) / job_id, job


def _watch(engine: LocalEngine, job_id: str) -> Comparison:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[stage]}"), TimeElapsedColumn())
    console = Console(stderr=True, soft_wrap=True)
    with Progress(*columns, console=console, transient=True) as progress:
        job = engine.load(job_id)
        tasks = {row.upscaler: progress.add_task(row.upscaler, total=1, stage="waiting", start=False) for row in job.rows}
        told: set[str] = set()
        while True:
            for row in job.rows:
                if row.upscaler not in told and (row.expected_s or 0) >= SLOW_S:
                    told.add(row.upscaler)
                    console.print(f"{row.upscaler}: about {format.seconds(row.expected_s)} expected in {row.precision} on this machine")
                _show(progress, tasks[row.upscaler], row)
            if not job.active:
                return job
            time.sleep(POLL_S)
            job = engine.load(job_id)


def _show(progress: Progress, task: Any, row: Row) -> None:  # noqa: ANN401 - rich keeps its TaskID type to itself
    if row.stage != "waiting" and not progress.tasks[task].started:
        progress.start_task(task)
    tiles = f"{row.progress_unit} {row.tiles_done} of {row.tiles_total}" if row.tiles_total > 1 else row.stage
    stage = row.status if row.stage == "done" else tiles if row.stage == "running" else row.stage
    done = row.tiles_done / row.tiles_total if row.tiles_total else 0.0
    progress.update(task, completed=1 if row.stage in ("timing", "done") else done, stage=stage)
    if row.stage == "done":
        progress.stop_task(task)


def _print_comparison(job: Comparison) -> None:
    if job.image:
        made = "with your small picture" if job.lr_sha256 else f"downscaled by {job.downscale}"
        part = f" at {job.region.x},{job.region.y}" if job.region else ""
        typer.echo(f"{job.image.name}: {job.image.width}×{job.image.height}{part}, x{job.scale:g}, {made}")
        for note in job.image.notes:
            typer.echo(f"  {note}")
    table = Table(
        "upscaler",
        "PSNR dB",
        "SSIM",
        "MSE",
        "y PSNR",
        "y SSIM",
        "load",
        "first",
        "warm p50",
        "p95",
        "MP/s",
        "memory",
        "runtime",
        *(MORE.get(name).short_name for name in job.metrics),
        box=None,
        header_style="bold",
    )
    for row in job.rows:
        if row.status != "ok" or not row.scores:
            table.add_row(row.upscaler, f"{row.status}: {row.reason}")
            continue
        rgb, luma = row.scores["rgb"], row.scores["y"]
        table.add_row(
            row.upscaler,
            "identical" if rgb.identical else number(rgb.psnr_db, 2),
            number(rgb.ssim, 4),
            number(rgb.mse, 2),
            "identical" if luma.identical else number(luma.psnr_db, 2),
            number(luma.ssim, 4),
            seconds(row.load_s),
            seconds(row.first_s),
            seconds(row.warm_p50_s),
            seconds(row.warm_p95_s),
            number(row.output_mp_per_s, 2),
            f"{row.peak_rss_mib:.0f} MiB" if row.peak_rss_mib else "-",
            row.runtime if row.given else f"{row.runtime}/{row.precision}" + (" (contended)" if row.contended else ""),
            *(number(rgb.more.get(MORE.get(name).id), 4) for name in job.metrics),
        )
    print_table(table)
    # The same reason often holds for every row.
    reasons = [reason for row in job.rows for scores in (row.scores or {}).values() for reason in scores.reasons.values()]
    for reason in dict.fromkeys(reasons):
        typer.echo(reason)


def _ready_ids(scale: int) -> list[str]:
    ids = [spec.id for spec in upscalers.registry() if spec.status(scale).kind == "ready"]
    if not ids:
        raise UsageError(f"No upscaler is ready at x{scale}; a comparison takes a scale of {', '.join(map(str, upscalers.SCORED_SCALES))}.")
    return ids


def _could_be_prepared(row: Row) -> bool:
    """Whether a row ran on PyTorch only because its network is not converted. `prepare` does so for default options."""
    spec = None if row.given or row.status != "ok" or row.runtime != "torch" else upscalers.find(row.upscaler)
    return spec is not None and spec.options({}) == row.options and is_to_be_prepared(spec, row.scale, row.options)


def _exit_by(rows: list[Row]) -> None:
    """Exit with 1 when a row failed, after a line for each on standard error, and one about what would have been faster."""
    slow = [row.upscaler for row in rows if _could_be_prepared(row)]
    if slow:
        typer.echo(f"Faster next time: `upscale-bench prepare {' '.join(slow)} --scale {rows[0].scale:g}`.", err=True)
    failed = [row for row in rows if row.status != "ok"]
    for row in failed:
        typer.echo(f"{row.upscaler}: {row.status}: {row.reason}", err=True)
    if failed:
        raise typer.Exit(1)
