"""The folder in which the pictures of a run are kept, and who may write there."""

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import BusyError, StoreError
from core.files import sync_folder
from core.settings import settings

BUSY_WAIT_S = 15.0
"""How long somebody waits for another process to let go of a run: one that was just stopped needs a moment."""


def folder_of(run_name: str) -> Path:
    """Where the pictures of a run are kept, whether or not there are any."""
    return settings().home / "runs" / run_name


def make_folder(folder: Path) -> None:
    """Create it where it is missing. Raises `core.errors.StoreError` when that can't be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"Pictures can't be kept in {folder}: {error.strerror}. Free some space and start the same again.") from error


@contextmanager
def working_on(run_name: str, *, wait_s: float = BUSY_WAIT_S) -> Iterator[None]:
    """Hold a run for this process, so that two never compute the same cells.

    Raises
    ------
    core.errors.BusyError
        Another process has it, and keeps it for `wait_s`.
    """
    make_folder(folder_of(run_name).parent)
    lock = FileLock(_lock_file(run_name))
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        raise BusyError(f"Another process works on the run {run_name!r}. Wait until it is done, or give another name.") from None
    try:
        yield
    finally:
        lock.release()


def is_worked_on(run_name: str) -> bool:
    """Whether some process holds a run at this moment."""
    if not _lock_file(run_name).exists():
        return False
    lock = FileLock(_lock_file(run_name))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def _lock_file(run_name: str) -> Path:
    return folder_of(run_name).with_name(f"{run_name}.lock")


def leftovers(run_name: str, named: Collection[str]) -> list[Path]:
    """What lies in a run's folder and belongs to no saved row.

    Parameters
    ----------
    named:
        The SHA-256 of every picture that a row of the run names.
    """
    folder = folder_of(run_name)
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if path.suffix != ".png" or path.stem not in named]


def remove_leftovers(run_name: str, named: Collection[str]) -> int:
    """Remove what a killed process left there: half-written files, and pictures whose row was not saved. Returns how many.

    Only whoever holds the run (`working_on`) may call it: the cells of those pictures still wait and are computed again.
    """
    found = leftovers(run_name, named)
    for path in found:
        path.unlink()
    if found:
        sync_folder(folder_of(run_name))
    return len(found)


def remove_folder(run_name: str) -> None:
    """Remove the pictures of a run that is not in the store any more."""
    folder = folder_of(run_name)
    if folder.is_dir():
        shutil.rmtree(folder)
        sync_folder(folder.parent)
