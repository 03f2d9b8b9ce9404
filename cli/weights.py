"""`weights list` and `weights fetch`."""

import re
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table

import upscalers
from cli.models import weights_entry
from cli.output import AsJson, print_json, print_table
from core import weights as weight_files
from core.errors import AppError, UsageError

STARTER = ("opencv-espcn", "opencv-fsrcnn", "opencv-lapsrn", "realesr-general-x4v3")
"""Upscalers whose weights together are under 15 MB."""


def list_weights(as_json: AsJson = False) -> None:
    """List every weight file, where it is and whether it is the published one."""
    entries = [weights_entry(spec, scale, file) for spec in upscalers.registry() for scale, files in spec.weights.items() for file in files]
    if as_json:
        print_json({"schema": 1, "weights": entries})
        return
    table = Table("upscaler", "scale", "file", "status", "size", box=None, header_style="bold")
    for entry in entries:
        size = f"{entry['size_bytes'] / 1e6:.1f} MB" if entry["size_bytes"] else "unknown"
        table.add_row(entry["upscaler"], f"x{entry['scale']}", entry["file"], entry["status"], size)
    print_table(table)


def fetch_weights(
    ids: Annotated[list[str] | None, typer.Argument(help="Upscalers.", show_default=False)] = None,
    starter: Annotated[bool, typer.Option("--starter", help="The starter set, under 15 MB.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every upscaler.")] = False,
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
    specs = list(upscalers.registry()) if everything else upscalers.registry().select([*(ids or ()), *(STARTER if starter else ())])
    wanted = list(dict.fromkeys(file for spec in specs for each in spec.weights.values() for file in each if ids or not file.optional))
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


def _bytes(text: str | None) -> int | None:
    """`100MB` as bytes; None stays None. Raises `UsageError`."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMG]?)B?\s*", text)
    if match is None:
        raise UsageError(f"Expected a size such as 100MB or 2GB, got {text!r}.")
    return int(float(match[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[match[2]])
