"""From what a person names to a set of pictures."""

from pathlib import Path

from benchmark.datasets import Dataset, open_folder


def open_dataset(named: str) -> Dataset:
    """The set that a person means: a folder. Raises `core.errors.AppError`."""
    return open_folder(Path(named).expanduser())
