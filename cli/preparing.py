"""`prepare`: convert upscalers for the fast runtime, so that nobody waits for it later."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import upscalers
from benchmark.timing import somebody_times
from core.errors import AppError, UsageError
from runtimes import RUNTIMES
from runtimes.base import Precision
from upscalers.preparing import can_prepare, distance_from_f32, prepare
from upscalers.spec import UpscalerSpec


def prepare_upscalers(
    ids: Annotated[list[str] | None, typer.Argument(help="Upscalers; without any, all whose weights are here.", show_default=False)] = None,
    scale: Annotated[int | None, typer.Option(help="Only this one.", show_default="all")] = None,
    precision: Annotated[
        Precision, typer.Option(help="f32 or bf16. One conversion serves both; bf16 is tried, and its distance from f32 printed.")
    ] = "f32",
) -> None:
    """Convert networks for OpenVINO, once: they then load in a second instead of many, and run faster on a CPU.

    What is ready stays as it is. While something is timed on this machine, the work rests.
    """
    if precision not in RUNTIMES.get("openvino").precisions:
        raise UsageError(f"OpenVINO computes in {' or '.join(RUNTIMES.get('openvino').precisions)}; got {precision}.")
    chosen = upscalers.registry().select(ids) if ids else list(upscalers.registry())
    if scale is not None and not any(scale in spec.scales for spec in chosen):
        raise UsageError(f"None of these upscalers does x{scale}.")
    work = [(spec, each) for spec in chosen if can_prepare(spec) for each in spec.scales if _is_asked(spec, each, scale, named=bool(ids))]
    console, failures = Console(stderr=True), []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(work))
        for spec, each in work:
            label = f"{spec.id} x{each}"
            progress.update(task, description=label)
            try:
                done = prepare(
                    spec,
                    each,
                    report=lambda stage, label=label: progress.update(task, description=f"{label}: {stage}"),
                    must_rest=somebody_times,
                )
                text = f"{label}: {'converted' if done else 'ready already'}"
                if precision != "f32":
                    largest, psnr_db = distance_from_f32(spec, each, precision)
                    text += f"; {precision} differs from f32 by up to {largest} of 255 levels ({psnr_db:.1f} dB) on a small picture"
                progress.console.print(text)
            except AppError as error:
                failures.append(str(error))
            progress.advance(task)
    for failure in failures:
        typer.echo(failure, err=True)
    if not work:
        typer.echo("Nothing to prepare: these upscalers run as they are, or have no weights here.", err=True)
    if failures:
        raise typer.Exit(1)


def _is_asked(spec: UpscalerSpec, scale: int, wanted: int | None, *, named: bool) -> bool:
    """Scales without weights are left out, unless the upscaler was named: then they are an error with a remedy."""
    if wanted is not None and scale != wanted:
        return False
    return named or spec.status(scale).kind == "ready"
