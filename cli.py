"""`upscale-bench`: the command line. Results go to standard output, progress and errors to standard error."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from typer.exceptions import TyperException

import upscalers
from benchmark import export
from benchmark.degradation import DOWNSCALERS, crop_to_multiple
from benchmark.local_engine import LocalEngine
from benchmark.plan import Plan
from benchmark.schema import Comparison, Row
from core import weights as weight_files
from core.errors import AppError, UsageError
from core.image import check_output_size, decode, read_file
from core.settings import settings
from runtimes.base import Precision

ROOT = Path(__file__).resolve().parent
STARTER = ("opencv-espcn", "opencv-fsrcnn", "opencv-lapsrn", "realesr-general-x4v3")
"""Upscalers whose weights together are under 15 MB."""
POLL_S = 0.05

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help="Compare image upscalers on your own pictures."
)
weights_app = typer.Typer(no_args_is_help=True, help="The weight files of the upscalers.")
app.add_typer(weights_app, name="weights")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
ImageFile = Annotated[Path, typer.Argument(help="PNG, JPEG, WebP, TIFF or BMP, up to 25 MP.", show_default=False)]
Options = Annotated[list[str] | None, typer.Option("--option", help="ID.key=value; may be given several times.")]
Runtime = Annotated[str, typer.Option(help="auto, torch or opencv.")]
PrecisionName = Annotated[str, typer.Option(help="f32, bf16 or f16.")]


@app.command("upscalers")
def list_upscalers(as_json: AsJson = False) -> None:
    """List every upscaler: scales, runtimes, and whether it can run here."""
    entries = [_upscaler_entry(spec) for spec in upscalers.registry()]
    if as_json:
        _print_json({"schema": 1, "upscalers": entries})
        return
    table = Table("id", "kind", "scales", "runtimes", "status", box=None, header_style="bold")
    for entry in entries:
        scales = " ".join(f"x{scale}" for scale in entry["scales"]) + (" and any other" if entry["fractional"] else "")
        table.add_row(entry["id"], entry["group"], scales, " ".join(entry["runtimes"]), entry["status"])
    _print(table)
    for entry in entries:
        if entry["reason"]:
            typer.echo(f"{entry['id']}: {entry['reason']}")


def _upscaler_entry(spec: upscalers.UpscalerSpec) -> dict[str, Any]:
    by_scale = {scale: spec.status(scale) for scale in spec.scales}
    best = next((status for status in by_scale.values() if status.kind == "ready"), next(iter(by_scale.values())))
    return {
        "id": spec.id,
        "name": spec.name,
        "group": spec.group,
        "aim": spec.aim,
        "scales": list(spec.scales),
        "fractional": spec.fractional,
        "runtimes": list(spec.runtimes),
        "license": spec.license,
        "status": best.kind,
        "status_by_scale": {str(scale): status.kind for scale, status in by_scale.items()},
        "reason": spec.unavailable_reason(),
    }


@app.command()
def compare(
    image: ImageFile,
    scale: Annotated[int, typer.Option(help="2, 3, 4 or 8.")] = 4,
    chosen: Annotated[str, typer.Option("--upscalers", help="Ids separated by commas, or all-ready.")] = "all-ready",
    runtime: Runtime = "auto",
    precision: PrecisionName = "f32",
    downscale: Annotated[str, typer.Option(help=f"One of {', '.join(DOWNSCALERS.ids())}.")] = "bicubic",
    repeats: Annotated[
        int | None, typer.Option(help="Exactly so many warm calls each.", show_default="until half a second is full")
    ] = None,
    option: Options = None,
    seed: Annotated[int | None, typer.Option(help="For upscalers that draw random numbers.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the results and a labelled strip into this directory.")] = None,
    as_json: AsJson = False,
) -> None:
    """Shrink a picture, race the upscalers, and score each result against the original."""
    ids = _ready_ids(scale) if chosen == "all-ready" else [part.strip() for part in chosen.split(",") if part.strip()]
    plan = Plan(
        scale=scale,
        upscaler_ids=ids,
        downscale=downscale,
        runtime=runtime,
        precision=_precision(precision),
        options=_options(option),
        seed=seed,
        repeats=repeats,
    )
    upscalers.registry().select(ids)
    source = read_file(image)
    crop_to_multiple(decode(source, name=image.name).rgb, scale)
    if out:
        _make_folder(out)
    with _finished(plan, source, image.name) as (directory, job):
        written = export.write_pictures(directory, job, out) if out else {}
    document = export.document(job)
    for row in document["rows"]:
        row["output_path"] = str(written[row["upscaler"]]) if row["upscaler"] in written else None
    if as_json:
        _print_json(document)
    else:
        _print_comparison(job)
    _exit_by(job.rows)


@app.command()
def upscale(
    image: ImageFile,
    upscaler: Annotated[str, typer.Option(help="Id of the upscaler.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="PNG file to write.", show_default=False)],
    scale: Annotated[float, typer.Option(help="Enlargement; the interpolators take fractions too.")] = 4,
    runtime: Runtime = "auto",
    precision: PrecisionName = "f32",
    option: Options = None,
    seed: Annotated[int | None, typer.Option(help="For upscalers that draw random numbers.")] = None,
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
        precision=_precision(precision),
        options=_options(option),
        seed=seed,
        repeats=0,
    )
    source = read_file(image)
    picture = decode(source, name=image.name)
    check_output_size(picture.width, picture.height, scale)
    _make_folder(out.parent)
    with _finished(plan, source, image.name) as (directory, job):
        row = job.rows[0]
        if row.output_path:
            out.write_bytes((directory / row.output_path).read_bytes())
            typer.echo(f"{out}: {row.width}×{row.height} in {_seconds(row.first_s)}")
            for note in job.image.notes if job.image else ():
                typer.echo(f"  {note}")
    _exit_by(job.rows)


@weights_app.command("list")
def list_weights(as_json: AsJson = False) -> None:
    """List every weight file, where it is and whether it is the published one."""
    entries = []
    for spec in upscalers.registry():
        for scale, files in spec.weights.items():
            for file in files:
                status = weight_files.status(file)
                located = status.located
                entries.append(
                    {
                        "upscaler": spec.id,
                        "scale": scale,
                        "file": file.name,
                        "status": status.state,
                        "size_bytes": file.size_bytes,
                        "sha256": located.sha256 if located else file.sha256,
                        "path": str(located.path) if located else None,
                        "source": file.source.origin,
                    }
                )
    if as_json:
        _print_json({"schema": 1, "weights": entries})
        return
    table = Table("upscaler", "scale", "file", "status", "size", box=None, header_style="bold")
    for entry in entries:
        size = f"{entry['size_bytes'] / 1e6:.1f} MB" if entry["size_bytes"] else "unknown"
        table.add_row(entry["upscaler"], f"x{entry['scale']}", entry["file"], entry["status"], size)
    _print(table)


@weights_app.command("fetch")
def fetch_weights(
    ids: Annotated[list[str] | None, typer.Argument(help="Upscalers.", show_default=False)] = None,
    starter: Annotated[bool, typer.Option("--starter", help="The starter set, under 15 MB.")] = False,
) -> None:
    """Download weight files and check them against their published hashes."""
    if not ids and not starter:
        raise UsageError("Expected ids of upscalers, or --starter; got neither. `upscale-bench upscalers` lists the ids.")
    specs = upscalers.registry().select([*(ids or ()), *(STARTER if starter else ())])
    files = list(dict.fromkeys(file for spec in specs for each in spec.weights.values() for file in each if ids or not file.optional))
    failures: list[str] = []
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for file in files:
            task = progress.add_task(file.name, total=file.size_bytes)
            try:
                located = weight_files.fetch(
                    file, progress=lambda done, total, task=task: progress.update(task, completed=done, total=total)
                )
                progress.console.print(f"{file.name}: {located.origin}, {'verified' if located.verified else 'hash unknown'}")
            except AppError as error:
                failures.append(str(error))
                if starter:
                    # Without a network every file of the set fails alike: one line says it.
                    break
            finally:
                progress.remove_task(task)
    for failure in failures:
        typer.echo(failure, err=True)
    if failures:
        raise typer.Exit(1)


@app.command("app")
def serve(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 8501,
) -> None:
    """Serve the web app on this machine."""
    _make_folder(settings().home)
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(ROOT / "streamlit_app.py"),
        "--server.port",
        str(port),
        "--server.headless",
        "true",
    ]
    environment = {"MALLOC_ARENA_MAX": "2", **os.environ}
    raise typer.Exit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)


@contextmanager
def _finished(plan: Plan, source: bytes, name: str) -> Iterator[tuple[Path, Comparison]]:
    """Run a comparison in a directory that lives as long as this context, showing progress on standard error."""
    with tempfile.TemporaryDirectory(prefix="upscale-bench-") as folder:
        engine = LocalEngine(Path(folder), log_file=settings().home / "logs" / "engine.log")
        try:
            job_id = engine.submit(plan, source, name=name, user="command line")
            job = _watch(engine, job_id)
        finally:
            engine.close()
        if job.image is None:
            raise AppError(job.reason or "The comparison stopped.")
        yield Path(folder) / job_id, job


def _make_folder(folder: Path) -> None:
    """Find out before the work, not after it, whether results can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"Results can't be written into {folder}: {error.strerror}. Name another directory.") from error


def _watch(engine: LocalEngine, job_id: str) -> Comparison:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[stage]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        job = engine.load(job_id)
        tasks = {row.upscaler: progress.add_task(row.upscaler, total=1, stage="waiting", start=False) for row in job.rows}
        while True:
            for row in job.rows:
                _show(progress, tasks[row.upscaler], row)
            if not job.active:
                return job
            time.sleep(POLL_S)
            job = engine.load(job_id)


def _show(progress: Progress, task: Any, row: Row) -> None:  # noqa: ANN401 - rich keeps its TaskID type to itself
    if row.stage != "waiting" and not progress.tasks[task].started:
        progress.start_task(task)
    tiles = f"tile {row.tiles_done} of {row.tiles_total}" if row.tiles_total > 1 else row.stage
    stage = row.status if row.stage == "done" else tiles if row.stage == "running" else row.stage
    done = row.tiles_done / row.tiles_total if row.tiles_total else 0.0
    progress.update(task, completed=1 if row.stage in ("timing", "done") else done, stage=stage)
    if row.stage == "done":
        progress.stop_task(task)


def _print_comparison(job: Comparison) -> None:
    if job.image:
        typer.echo(f"{job.image.name}: {job.image.width}×{job.image.height}, x{job.scale:g}, downscaled by {job.downscale}")
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
            "identical" if rgb.identical else _number(rgb.psnr_db, 2),
            _number(rgb.ssim, 4),
            _number(rgb.mse, 2),
            "identical" if luma.identical else _number(luma.psnr_db, 2),
            _number(luma.ssim, 4),
            _seconds(row.load_s),
            _seconds(row.first_s),
            _seconds(row.warm_p50_s),
            _seconds(row.warm_p95_s),
            _number(row.output_mp_per_s, 2),
            f"{row.peak_rss_mib:.0f} MiB" if row.peak_rss_mib else "-",
            f"{row.runtime}/{row.precision}" + (" (contended)" if row.contended else ""),
        )
    _print(table)


def _ready_ids(scale: int) -> list[str]:
    ids = [spec.id for spec in upscalers.registry() if spec.status(scale).kind == "ready"]
    if not ids:
        raise UsageError(f"No upscaler is ready at x{scale}; a comparison takes a scale of {', '.join(map(str, upscalers.SCORED_SCALES))}.")
    return ids


def _options(given: list[str] | None) -> dict[str, dict[str, object]]:
    options: dict[str, dict[str, object]] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        upscaler_id, dot, key = name.rpartition(".")
        if not (equals and dot):
            raise UsageError(f"Expected --option ID.key=value, got {text!r}.")
        options.setdefault(upscaler_id, {})[key] = value
    return options


def _precision(name: str) -> Precision:
    match name:
        case "f32" | "bf16" | "f16":
            return name
        case _:
            raise UsageError(f"Precision is f32, bf16 or f16; got {name!r}.")


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def _print(table: Table) -> None:
    # Piped into a file, a table keeps its columns instead of being cut to the width of a terminal that is not there.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _exit_by(rows: list[Row]) -> None:
    """Exit with 1 when a row failed, after a line for each on standard error."""
    failed = [row for row in rows if row.status != "ok"]
    for row in failed:
        typer.echo(f"{row.upscaler}: {row.status}: {row.reason}", err=True)
    if failed:
        raise typer.Exit(1)


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)


def main() -> NoReturn:
    """Entry point. Exit codes: 0 done, 1 some rows failed, 2 bad input or usage, 130 and 143 stopped."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = app(standalone_mode=False)
    except AppError as error:
        typer.echo(str(error), err=True)
        code = 2
    except TyperException as error:
        # Typer keeps the class that has this method to itself.
        text = str(getattr(error, "format_message", error.__str__)())
        typer.echo(" ".join(text.split()), err=True)
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
