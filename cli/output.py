"""What the commands share: tables, JSON, numbers for people, folders that can be written to."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from core.errors import UsageError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def make_folder(folder: Path) -> None:
    """Find out before the work, not after it, whether results can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"Results can't be written into {folder}: {error.strerror}. Name another directory.") from error


def number(value: float | None, digits: int) -> str:
    """A number with so many digits after the point; `-` for none."""
    return "-" if value is None else f"{value:.{digits}f}"


def seconds(value: float | None) -> str:
    """A duration in milliseconds or seconds; `-` for none."""
    return "-" if value is None else f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def print_table(table: Table) -> None:
    """Write a table to standard output."""
    # Piped into a file, a table keeps its columns instead of being cut to the width of a terminal that is not there.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def print_json(value: dict[str, Any]) -> None:
    """Write the one JSON document of a command to standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
