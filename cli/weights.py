"""`weights list` and `weights fetch`."""

import re
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table

import metrics
import upscalers
from cli.models import file_entry, weights_entry
from cli.output import AsJson, print_json, print_table
from core import weights as weight_files
from core.errors import AppError, UsageError

STARTER = ("opencv-espcn", "opencv-fsrcnn", "opencv-lapsrn", "realesr-general-x4v3")
"""Upscalers whose weights together are under 15 MB."""


def list_weights(as_json: AsJson = False) -> None:
    """List every weight file, where it is and whether it is the published one."""
    entries = [weights_entry(spec, scale, file) for spec in upscalers.registry() for scale, files in spec.weights.items() for file in files]
    entries += [
        {"upscaler": None, "scale": None, "metric": metric.option, **file_entry(file)} for metric in metrics.MORE for file in metric.weights
    ]
    if as_json:
        print_json({"schema": 1, "weights": entries})
        return
    table = Table("for", "scale", "file", "status", "size", box=None, header_style="bold")
    for entry in entries:
        size = f"{entry['size_bytes'] / 1e6:.1f} MB" if entry["size_bytes"] else "unknown"
        table.add_row(
            entry["upscaler"] or entry["metric"], f"x{entry['scale']}" if entry["scale"] else "-", entry["file"], entry["status"], size
        )
    print_table(table)


def fetch_weights(
    ids: Annotated[list[str] | None, typer.Argument(help="Upscalers, or metrics such as lpips.", show_default=False)] = None,
    starter: Annotated[bool, typer.Option("--starter", help="The starter set, under 15 MB.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every upscaler and metric.")] = False,
    max_size: Annotated[
        str | None, typer.Option(help="Leave out files that are larger, or of unknown size: 100MB, 2GB.", show_default=False)
    ] = None,
    accept_new: Annotated[
        bool, typer.Option("--accept-new", help="Take a file of unknown hash although it differs from the one first fetched.")
    ] = False,
) -> None:
    """Download weight files and check them against their published hashes. A download that was cut goes on where it stopped."""
    if not (ids or starter or everything):
        raise UsageError("Expected ids of upscalers, --all or --starter; got none. `upscale-bench upscalers` lists the ids.")
    limit_bytes = _bytes(max_size)
    wanted = _wanted([*(ids or ()), *(STARTER if starter else ())], everything=everything, optional=bool(ids))
    files = [file for file in wanted if limit_bytes is None or (file.size_bytes is not None and file.size_bytes <= limit_bytes)]
    if len(files) < len(wanted):
        typer.echo(f"{len(wanted) - len(files)} files are larger than {max_size} or of unknown size: left out.", err=True)
    failures: list[str] = []
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for file in files:
            task = progress.add_task(file.name, total=file.size_bytes)
            try:
                located = weight_files.fetch(
                    file,
                    progress=lambda done, total, task=task: progress.update(task, completed=done, total=total),
                    accept_new=accept_new,
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


def _wanted(ids: Sequence[str], *, everything: bool, optional: bool) -> list[weight_files.WeightFile]:
    """The files of these upscalers and metrics, each once. Raises `UnknownIdError`."""
    asked = [metric for metric in metrics.MORE if everything or metric.option in ids]
    names = upscalers.registry().ids() if everything else [name for name in ids if name not in metrics.MORE]
    files = [
        file
        for spec in upscalers.registry().select(names)
        for each in spec.weights.values()
        for file in each
        if optional or not file.optional
    ]
    return list(dict.fromkeys([*files, *(file for metric in asked for file in metric.weights)]))


def _bytes(text: str | None) -> int | None:
    """`100MB` as bytes; None stays None. Raises `UsageError`."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMG]?)B?\s*", text)
    if match is None:
        raise UsageError(f"Expected a size such as 100MB or 2GB, got {text!r}.")
    return int(float(match[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[match[2]])
