"""`run`: whole data sets through some upscalers. The same command again goes on where it stopped."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

import upscalers
from benchmark.degradation import DOWNSCALERS
from benchmark.presentation import format
from benchmark.ray.cluster import cluster_options
from benchmark.runs.pace import Pace
from benchmark.runs.plan import AUTO, GIVEN, RunPlan, check_name
from benchmark.workers.local_engine import LocalEngine
from cli.options import MoreMetrics, Options, PrecisionName, Tile, parse_metrics, parse_options, parse_precision
from cli.output import AsJson, number, print_json, print_table, seconds
from core.errors import UsageError
from core.settings import settings
from metrics import MORE
from upscalers.spec import SCORED_SCALES

if TYPE_CHECKING:
    from benchmark.storage.records import Counts, StoredRun
    from benchmark.storage.store import Store

TOLD_EVERY_S = 10.0
"""How often progress is told where there is no terminal."""


def run(
    dataset: Annotated[
        list[str], typer.Option(help="A folder of pictures, or owner/name at Hugging Face; may be given several times.", show_default=False)
    ],
    scales: Annotated[str, typer.Option(help="Numbers separated by commas, of 2, 3, 4 and 8.")] = "4",
    chosen: Annotated[str, typer.Option("--upscalers", help="Ids separated by commas, or all-ready.")] = "all-ready",
    lr: Annotated[
        str,
        typer.Option(help=f"Small pictures: {GIVEN}, or shrunk here by one of {', '.join(DOWNSCALERS.ids())}; {AUTO}: given where there."),
    ] = AUTO,
    runtime: Annotated[str, typer.Option(help="auto, torch, openvino or opencv; several separated by commas.")] = "auto",
    precision: PrecisionName = "auto",
    repeats: Annotated[int, typer.Option(help="Warm calls of each picture after the first.")] = 0,
    option: Options = None,
    seed: Annotated[int | None, typer.Option(help="For upscalers that draw random numbers.")] = None,
    tile: Tile = None,
    more: MoreMetrics = "",
    workers: Annotated[int, typer.Option(help="Processes side by side: faster, but their times are not those of a model alone.")] = 1,
    engine: Annotated[str, typer.Option(help="local, or ray: a cluster, that of RAY_ADDRESS or one on this machine.")] = "local",
    ray_open: Annotated[bool, typer.Option("--ray-open", help="Use a Ray cluster that lets anybody in.")] = False,
    name: Annotated[str | None, typer.Option("--run", help="Name of the run.", show_default="from what was asked for")] = None,
    keep_images: Annotated[bool, typer.Option("--keep-images", help="Keep the results as PNG.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed pictures again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run whole data sets; every result is saved as it comes, and the same command goes on after an interruption."""
    # It imports SQLAlchemy, which the other commands need not wait for.
    from benchmark.datasets.sources import open_dataset
    from benchmark.runs.folder import working_on
    from benchmark.runs.summary import document
    from benchmark.storage.records import EngineName, Execution
    from benchmark.storage.store import Store

    if name is not None:
        check_name(name)
    execution = Execution(workers, keep_images, cast("EngineName", engine))
    numbers = _scales(scales)
    plan = RunPlan(
        datasets=tuple(open_dataset(each) for each in dataset),
        scales=numbers,
        upscaler_ids=_ids(chosen, numbers),
        ready_only=chosen == "all-ready",
        lr=lr,
        runtimes=tuple(_parts(runtime)),
        precision=parse_precision(precision),
        options=parse_options(option),
        seed=seed,
        repeats=repeats,
        metrics=parse_metrics(more),
        tile_px=tile,
    )
    with Store.open() as store:
        with working_on(name or plan.default_name()):
            stored = store.find_run(name or plan.default_name())
            if stored is None:
                stored = store.create(name or plan.default_name(), plan, execution)
            else:
                store.resume(stored, plan, retry_failed=retry_failed)
                store.set_execution(stored, execution)
        _announce(plan, stored, store.counts(stored))
        try:
            cluster = cluster_options(allow_open=ray_open) if engine == "ray" else None
            reason = _compute(store, stored, workers=workers, keep_images=keep_images, cluster=cluster)
        except (KeyboardInterrupt, SystemExit):
            counts = store.counts(stored)
            typer.echo(f"Stopped: {counts.done + counts.failed} of {counts.total} are saved. The same command goes on.", err=True)
            raise
        result = document(store, stored)
        if as_json:
            print_json(result)
        else:
            _print_means(result)
        _exit_by(store, stored, reason)


def _compute(store: "Store", stored: "StoredRun", **how: Any) -> str | None:  # noqa: ANN401 - those of `run_dataset`
    """Have the engine work until nothing waits. Returns why it ended before that, or None."""
    if not store.counts(stored).waiting:
        return None
    engine = LocalEngine(log_file=settings().home / "logs" / "engine.log")
    try:
        return _watch(engine.run_dataset(stored.name, **how))
    finally:
        engine.close()


def _watch(events: Iterator[dict[str, Any]]) -> str | None:
    """Show progress on standard error until the last event; returns its reason."""
    console = Console(stderr=True, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    with ExitStack() as held:
        bar = held.enter_context(Progress(*columns, console=console, transient=True)) if console.is_terminal else None
        task = None
        pace: Pace | None = None
        told_at = time.monotonic()
        for event in events:
            if event["state"] != "running":
                return event["reason"]
            finished = event["done"] + event["failed"]
            pace = pace or Pace(finished, event["expected_s"])
            text = _pace_text(pace, event)
            if bar is not None:
                task = bar.add_task("run", total=event["total"], pace=text) if task is None else task
                bar.update(task, completed=finished, pace=text)
            elif time.monotonic() - told_at > TOLD_EVERY_S:
                told_at = time.monotonic()
                console.print(f"{finished} of {event['total']}, {text}")
    return None


def _pace_text(pace: Pace, event: dict[str, Any]) -> str:
    """A few words such as `12.5/s, 3 min left, 1 failed`."""
    finished = event["done"] + event["failed"]
    per_s, left_s = pace.per_s(finished), pace.left_s(finished, event["total"] - finished, event["expected_s"])
    words = [f"{per_s:.2g}/s"] if per_s else []
    words += [f"{format.seconds(left_s)} left"] if left_s is not None else []
    words += [f"{event['failed']} failed"] if event["failed"] else []
    return ", ".join(words)


def _announce(plan: RunPlan, stored: "StoredRun", counts: "Counts") -> None:
    """Say what will be computed and how long that takes, before it starts."""
    for each in plan.datasets:
        left_out = f"; {each.left_out} other files left out" if each.left_out else ""
        typer.echo(f"{each.name}: {len(each)} pictures, sha256 {each.sha256[:16]}{left_out}", err=True)
    begun = f", {counts.done} of them done before" if counts.done else ""
    begun += f", {counts.failed} failed or can't run" if counts.failed else ""
    expected = f"; about {format.seconds(counts.expected_s)}" if counts.waiting and counts.expected_s else ""
    typer.echo(f"Run {stored.name}: {counts.total} results{begun}{expected}", err=True)


def _print_means(result: dict[str, Any]) -> None:
    typer.echo(f"{result['run']}: {result['cells_done']} of {result['cells_total']} done, {result['cells_failed']} failed")
    columns = ("data set", "scale", "upscaler", "n", "y PSNR", "y SSIM", "PSNR dB", "SSIM", "first p50", "warm p50", "runtime")
    table = Table(*columns, *(MORE.get(name).short_name for name in result["metrics"]), box=None, header_style="bold")
    for mean in result["means"]:
        luma, colour = (mean["scores"].get(protocol, {}) for protocol in ("y", "rgb"))
        table.add_row(
            mean["dataset"],
            f"x{mean['scale']}",
            mean["upscaler"],
            f"{mean['n']}" + (f" ({mean['failed']} failed)" if mean["failed"] else ""),
            number(luma.get("psnr_db"), 2),
            number(luma.get("ssim"), 4),
            number(colour.get("psnr_db"), 2),
            number(colour.get("ssim"), 4),
            seconds(mean["first_p50_s"]),
            seconds(mean["warm_p50_s"]),
            f"{mean['runtime']}/{mean['precision']}",
            *(number(colour.get(MORE.get(name).id), 4) for name in result["metrics"]),
        )
    print_table(table)


def _exit_by(store: "Store", stored: "StoredRun", reason: str | None) -> None:
    """Exit with 1 when something failed or is not done, after a line for each reason on standard error, and one about what helps."""
    reasons: dict[str, list[str]] = {}
    retried = False
    for cell in store.finished(stored):
        if cell.row.status != "ok":
            text = f"{cell.row.upscaler}@x{cell.row.scale:g}: {cell.row.status}: {cell.row.reason}"
            reasons.setdefault(text, []).append(f"{cell.dataset}/{cell.picture}")
            # What can't run here is looked at again each time.
            retried = retried or cell.row.status != "unavailable"
    for text, places in reasons.items():
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        typer.echo(f"{text} ({places[0]}{more})", err=True)
    if reason:
        typer.echo(reason, err=True)
    if store.counts(stored).waiting:
        typer.echo("The same command goes on.", err=True)
    if retried:
        typer.echo("The same command with --retry-failed tries what failed again.", err=True)
    if reason or reasons:
        raise typer.Exit(1)


def _scales(text: str) -> tuple[int, ...]:
    parts = _parts(text)
    if not parts or any(part not in map(str, SCORED_SCALES) for part in parts):
        raise UsageError(f"Expected scales of {', '.join(map(str, SCORED_SCALES))}, separated by commas; got {text!r}.")
    return tuple(sorted({int(part) for part in parts}))


def _ids(chosen: str, scales: tuple[int, ...]) -> tuple[str, ...]:
    if chosen != "all-ready":
        return tuple(_parts(chosen))
    return tuple(spec.id for spec in upscalers.registry() if any(spec.status(scale).kind == "ready" for scale in scales))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
