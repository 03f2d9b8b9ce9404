"""Where the models that a person added are kept: `settings().models/<id>/`, each with its file and `model.json`.

A directory gets its name when it is complete, and loses it before anything in it is deleted: whoever reads sees a whole model or none.
"""

import functools
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock
from pydantic import Field, TypeAdapter, ValidationError

from core.errors import CheckCancelledError, UsageError
from core.files import sync_folder, write_atomically
from core.settings import MIB, settings
from core.weight_hashes import SHA256
from upscalers.model_facts import ModelFacts
from upscalers.spec import Aim

log = logging.getLogger(__name__)

ID = re.compile(r"custom-[a-z0-9]+(-[a-z0-9]+)*")
RECORD = "model.json"
LOCK_TIMEOUT_S = 30.0
LEFT_OVER_S = 24 * 3600.0
"""Hidden directories older than this belong to a process that was killed: no check takes so long."""

Fingerprint = tuple[tuple[str, int, int, int], ...]
"""Path, inode, time and size of each record."""


@dataclass(frozen=True, kw_only=True)
class AddedModel:
    """`model.json`."""

    schema: Literal[1] = 1
    name: Annotated[str, Field(min_length=1)]
    """For people."""
    aim: Aim
    file_name: str
    """What the person's file was called."""
    added_at: str
    """UTC, ISO 8601."""
    stored_name: Annotated[str, Field(pattern=r"^model\.[a-z]+$")]
    """Name of the file beside `model.json`."""
    sha256: Annotated[str, Field(pattern=f"^{SHA256.pattern}$")]
    """Of that file, as it was checked."""
    facts: ModelFacts


@functools.cache
def _adapter() -> TypeAdapter[AddedModel]:
    return TypeAdapter(AddedModel)


def fingerprint() -> Fingerprint:
    """What changes whenever a model is added, removed or altered by any process. It costs a look at each directory and opens no file."""
    found = []
    for folder in _folders():
        with suppress(OSError):
            stat = (folder / RECORD).stat()
            found.append((str(folder), stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def read_all() -> dict[str, AddedModel]:
    """The models by id, in the order in which they were added. One that can't be read is left out, with a line in the log."""
    found = {}
    for folder in _folders():
        try:
            found[folder.name] = _adapter().validate_json((folder / RECORD).read_bytes())
        except FileNotFoundError:
            continue  # removed a moment ago
        except (OSError, ValidationError) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
            log.warning("%s is left out: its %s is damaged, or from a newer version (%s).", folder.name, RECORD, why)
    return dict(sorted(found.items(), key=lambda entry: (entry[1].added_at, entry[0])))


def _folders() -> list[Path]:
    try:
        with os.scandir(settings().models) as entries:
            return sorted(Path(entry.path) for entry in entries if ID.fullmatch(entry.name))
    except OSError:
        return []


@contextmanager
def draft() -> Iterator[Path]:
    """A hidden directory beside the models in which one is put together. What is left of it at the end is deleted."""
    root = settings().models
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    folder = Path(tempfile.mkdtemp(dir=root, prefix=".adding-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copy_file(source: Path, target: Path, cancelled: Callable[[], bool]) -> str:
    """Copy a file to disk and return its SHA-256: what is checked and kept is the copy, whatever becomes of the original.

    Raises
    ------
    OSError
        It can't be read, or not be written.
    core.errors.CheckCancelledError
        `cancelled` said True.
    """
    digest = sha256()
    with source.open("rb") as reading, target.open("xb") as writing:
        while block := reading.read(MIB):
            if cancelled():
                raise CheckCancelledError("The check of the model file was cancelled.")
            digest.update(block)
            writing.write(block)
        writing.flush()
        os.fsync(writing.fileno())
    return digest.hexdigest()


def check_is_new(model_id: str, name: str, sha256: str) -> None:
    """Raise `core.errors.UsageError` when the file is here already or the id is taken."""
    for known_id, known in read_all().items():
        if known.sha256 == sha256:
            raise UsageError(f"This file is here already: {known_id} ({known.name}). Use that, or remove it first.")
    if is_added(model_id):
        raise UsageError(f"The name {name!r} is taken by {model_id}. Choose another name, or remove that model first.")


def publish(folder: Path, model_id: str, model: AddedModel) -> None:
    """Turn a draft into a model. Raises `OSError`, or `core.errors.UsageError` when another process was first."""
    write_atomically(folder / RECORD, _adapter().dump_json(model, indent=1))
    root = settings().models
    with FileLock(root / ".lock", timeout=LOCK_TIMEOUT_S):
        check_is_new(model_id, model.name, model.sha256)
        folder.rename(root / model_id)
        sync_folder(root)


def is_added(model_id: str) -> bool:
    """Whether there is a directory of this id, readable or not."""
    return ID.fullmatch(model_id) is not None and (settings().models / model_id).is_dir()


def delete(model_id: str) -> bool:
    """Delete a model, also one whose `model.json` can't be read; False when there was none. Raises `OSError`."""
    if not is_added(model_id):
        return False
    root = settings().models
    hidden = Path(tempfile.mkdtemp(dir=root, prefix=".removed-"))
    try:
        with suppress(FileNotFoundError):  # another process was first
            (root / model_id).rename(hidden / model_id)
            sync_folder(root)
            return True
        return False
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Delete what a killed process left behind."""
    for folder in root.glob(".*-*"):
        with suppress(OSError):
            if folder.is_dir() and time.time() - folder.stat().st_mtime > LEFT_OVER_S:
                shutil.rmtree(folder)
