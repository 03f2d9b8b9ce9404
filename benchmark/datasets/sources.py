"""From what a person names to a set of pictures."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.datasets import hub
from benchmark.datasets.dataset import Dataset, open_folder
from core.errors import UsageError


@dataclass(frozen=True)
class Source:
    """Where the pictures of a set come from: a folder, or the Hugging Face hub."""

    folder: Path | None = None
    hub_id: str | None = None

    @property
    def is_here(self) -> bool:
        """Whether nothing need be fetched."""
        return self.hub_id is None or hub.folder_of(self.hub_id).is_dir()

    def open(self) -> Dataset:
        """Read the set, and fetch it before where that is needed. Raises `core.errors.AppError`."""
        if self.hub_id is not None:
            return open_folder(hub.fetch(self.hub_id), name=self.hub_id.partition("/")[2])
        assert self.folder is not None
        return open_folder(self.folder)


def find_source(named: str) -> Source:
    """The folder that a person means where there is one, else a set of the hub.

    Parameters
    ----------
    named:
        A path, `owner/name`, or the name of a usual benchmark such as `Set5`.

    Raises
    ------
    core.errors.UsageError
        No file system could have such a path.
    """
    hub_id = hub.dataset_id(named)
    try:
        path = Path(named).expanduser()
        is_there = path.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"Expected a folder of pictures, or a data set as owner/name; got {named[:80]!r}.") from error
    return Source(folder=path) if is_there or hub_id is None else Source(hub_id=hub_id)


def find_source_below(named: str, roots: Sequence[Path]) -> Source:
    """The same for somebody who may not look around on this machine: only folders below `roots`, and sets of the hub.

    Parameters
    ----------
    named:
        A path, from one of the roots or absolute; `owner/name`; or the name of a usual benchmark.

    Raises
    ------
    core.errors.UsageError
        It is nothing of that, in the same words whether or not such a folder exists elsewhere.
    """
    for root in roots:
        # Of what no file system could have nothing is said: it is no folder.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            # An absolute path replaces the root; links and `..` are followed before it is judged.
            folder = (root / named).resolve()
            if folder.is_relative_to(root.resolve()) and folder.is_dir():
                return Source(folder=folder)
    hub_id = hub.dataset_id(named)
    if hub_id is None:
        folders = f"a folder below {' or '.join(str(root) for root in roots)}, or " if roots else ""
        raise UsageError(f"Expected {folders}owner/name at Hugging Face; got {named[:80]!r}.")
    return Source(hub_id=hub_id)


def folders_on_offer(roots: Sequence[Path]) -> list[Path]:
    """The folders directly below `roots`, sorted by root and name."""
    return [
        folder
        for root in roots
        if root.is_dir()
        for folder in sorted(root.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    ]


def open_dataset(named: str) -> Dataset:
    """The set that a person means, see `find_source`. Raises `core.errors.AppError` when there is none, or it can't be fetched."""
    return find_source(named).open()
