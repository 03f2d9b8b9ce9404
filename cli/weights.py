"""`weights list` and `weights fetch`."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table

import upscalers
from cli.output import AsJson, print_json, print_table
from core import weights as weight_files
from core.errors import AppError, UsageError

STARTER = ("opencv-espcn", "opencv-fsrcnn", "opencv-lapsrn", "realesr-general-x4v3")
"""Upscalers whose weights together are under 15 MB."""


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
