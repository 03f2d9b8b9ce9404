"""The store of converted networks: `settings().converted/<key>/`, each with the files of the network and `entry.json`.

A network is converted once for each of its weights and options, each version of the libraries, and each change of the code that builds
it. Neither size nor precision is part of the key: the stored form takes pictures of any size, in f32, and the runtime compiles it for
what is asked. An entry gets its name when it is complete and on disk; whoever reads sees a whole one or none. One whose bytes have
changed since counts as none and is deleted.
"""

import functools
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from core.files import sync_folder, write_atomically
from core.settings import settings
from core.weight_hashes import sha256_of
from runtimes.base import NetworkSource
from runtimes.devices import library_version

log = logging.getLogger(__name__)

FORMAT = 1
"""Changes when what is stored, or how it is made, does."""
RECORD = "entry.json"
NETWORK = "network.xml"
MAX_ENTRIES = 60
"""Of more, those made longest ago are deleted: options such as a denoise strength make one for each of their values."""
LEFT_OVER_S = 24 * 3600.0
"""Hidden directories older than this belong to a process that was killed."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """`entry.json`: a converted network, or why there is none."""

    schema: Literal[1] = 1
    source: str
    """`NetworkSource.key`."""
    files: dict[str, str] = field(default_factory=dict)
    """Name and sha256 of each file of the network."""
    largest_difference: float = 0.0
    """From the original, on small pictures in 0..1."""
    seconds: float = 0.0
    """What the conversion took."""
    refused: str | None = None
    """Why the network can't be converted, in one line; None where it was."""


@functools.cache
def _adapter() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)


def find(source: NetworkSource) -> Entry | None:
    """The entry of a network, its bytes checked; None when it was never converted, or not by these versions."""
    folder = _folder(source)
    if not folder.is_dir():
        return None
    with suppress(OSError, ValidationError):
        entry = _adapter().validate_json((folder / RECORD).read_bytes())
        if all(_sha256(folder / name) == digest for name, digest in entry.files.items()):
            return entry
    log.warning("The converted network in %s is damaged: it is deleted and will be made again.", folder)
    _delete(folder)
    return None


def network_path(source: NetworkSource) -> Path:
    """Where the network of an entry lies."""
    return _folder(source) / NETWORK


def forget(source: NetworkSource) -> None:
    """Delete an entry, if there is one."""
    _delete(_folder(source))


@contextmanager
def converting(source: NetworkSource) -> Iterator[None]:
    """Hold the right to convert this network: of several processes, one works and the others wait. Look for the entry again inside."""
    root = settings().converted
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f".{_key(source)}.lock"):
        yield


def publish(source: NetworkSource, write: Callable[[Path], Entry]) -> Entry:
    """Make an entry, within `converting`.

    Parameters
    ----------
    write:
        Writes the files of the network into a directory and says what it made; `files` is filled in here.

    Raises
    ------
    OSError
        The disk refuses.
    """
    root = settings().converted
    _sweep(root)
    draft = Path(tempfile.mkdtemp(dir=root, prefix=".converting-"))
    try:
        made = write(draft)
        files = {path.name: _synced_sha256(path) for path in sorted(draft.iterdir())}
        entry = Entry(
            source=source.key, files=files, largest_difference=made.largest_difference, seconds=made.seconds, refused=made.refused
        )
        write_atomically(draft / RECORD, _adapter().dump_json(entry, indent=1))
        folder = _folder(source)
        _delete(folder)
        draft.rename(folder)
        sync_folder(root)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    _delete_older(source)
    return entry


def _key(source: NetworkSource) -> str:
    """Which entry belongs to a network, here and now."""
    libraries = {name: library_version(name) for name in ("openvino", "torch")}
    text = json.dumps([FORMAT, source.key, source.code, libraries], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:32]


def _folder(source: NetworkSource) -> Path:
    return settings().converted / _key(source)


def _delete(folder: Path) -> None:
    """Take the name away first: nobody may see half of an entry."""
    hidden = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".deleted-")) if folder.is_dir() else None
    if hidden is not None:
        try:
            with suppress(FileNotFoundError):  # another process was first
                folder.rename(hidden / folder.name)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)


def _delete_older(source: NetworkSource) -> None:
    """Entries of the same network that other versions made are of no use to these; going back to them costs a conversion."""
    found: list[tuple[float, Path]] = []
    for record in settings().converted.glob(f"[!.]*/{RECORD}"):
        with suppress(OSError, ValidationError):
            if record.parent != _folder(source) and _adapter().validate_json(record.read_bytes()).source == source.key:
                _delete(record.parent)
            else:
                found.append((record.stat().st_mtime, record.parent))
    for _, folder in sorted(found)[:-MAX_ENTRIES]:
        _delete(folder)


def _sweep(root: Path) -> None:
    for folder in root.glob(".*-*"):
        with suppress(OSError):
            if folder.is_dir() and time.time() - folder.stat().st_mtime > LEFT_OVER_S:
                shutil.rmtree(folder)


def _sha256(path: Path) -> str:
    """Read again only when the file was written since."""
    stat = path.stat()
    return _known_sha256(path, stat.st_ino, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=256)
def _known_sha256(path: Path, _inode: int, _written: int, _size: int) -> str:
    return sha256_of(path)


def _synced_sha256(path: Path) -> str:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return sha256_of(path)
