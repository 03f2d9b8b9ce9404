"""Weight files: find them, fetch them, and know whose bytes they are.

Directories that the user names in `UPSCALE_BENCH_WEIGHTS` come first, then the cache, then the network. One flipped byte
in a weight file loads silently and changes pictures, so no file is used without its hash being computed.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.download import Progress, download, failure, turn
from core.errors import WeightsError
from core.http_source import HttpSource
from core.hub_source import HuggingFaceSource
from core.settings import settings
from core.weight_file import LocatedWeights, WeightFile
from core.weight_hashes import fresh_sha256_of, remembered_sha256_of, sha256_of
from core.weight_sources import AddedSource, FetchCancelledError, FileSource, Source
from core.wheel_source import WheelSource

__all__ = [
    "AddedSource",
    "FetchCancelledError",
    "FileSource",
    "HttpSource",
    "HuggingFaceSource",
    "LocatedWeights",
    "Progress",
    "Source",
    "WeightFile",
    "WeightStatus",
    "WheelSource",
    "cached_bytes",
    "fetch",
    "locate",
    "remove",
    "sha256_of",
    "status",
]

REMOVE_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class WeightStatus:
    """What a page says of a weight file."""

    state: Literal["verified", "unverified", "missing", "damaged"]
    """`damaged`: there is only a cached file with a wrong hash, which `fetch` replaces, or an added one, which nobody can replace."""
    located: LocatedWeights | None
    """The file that `locate` would give; None if it is missing or damaged."""


def locate(file: WeightFile) -> LocatedWeights | None:
    """Find the file in the user's directories (by its name, in their order), then in the cache.

    A file that the user provides is used whatever its hash is; `verified` tells. A cached file is used only if its hash is
    the published one or, where none is published, the one recorded when it was fetched. The bytes are read each time.

    A model file that a person added (`AddedSource`) is looked for among the models only, and used only while it is as it was then.

    Raises
    ------
    WeightsError
        A file is there and can't be read.
    """
    return _find(file, fresh_sha256_of)


def status(file: WeightFile) -> WeightStatus:
    """Tell what `locate` would find, reading a file only if it changed since its hash was last computed.

    Raises
    ------
    WeightsError
        A file is there and can't be read.
    """
    located = _find(file, remembered_sha256_of)
    if located is not None:
        return WeightStatus("verified" if located.verified else "unverified", located)
    return WeightStatus("damaged" if _own_place(file).is_file() else "missing", None)


def fetch(
    file: WeightFile, *, progress: Progress | None = None, cancelled: Callable[[], bool] | None = None, accept_new: bool = False
) -> LocatedWeights:
    """Locate the file, or download it into the cache. Processes that want the same file at once download it once.

    A download that breaks off is tried again a few times. What has arrived by then, or when the fetch is cancelled or its
    process killed, is kept if the server can go on from there: the next fetch does.

    Parameters
    ----------
    progress:
        Called in the caller's thread with the bytes so far, those of an earlier fetch included, and the bytes in all (None
        while unknown). The bytes so far become fewer when the server makes it start anew.
    cancelled:
        Asked about ten times a second; once it says True the fetch ends within a second.
    accept_new:
        Of a file whose hash is not published, accept bytes other than those of the first fetch, and check against them from
        now on. A published hash is always checked.

    Raises
    ------
    WeightsError
        The file can't be had: no connection, not enough space, or not the expected bytes. No file was stored.
    FetchCancelledError
        `cancelled` said True.
    """
    located = locate(file)
    if located is not None:
        return located
    if file.source.needs_network and settings().offline:
        raise failure(file, "UPSCALE_BENCH_OFFLINE is set; unset it to download")
    with turn(file, cancelled):
        expected = file.sha256 if accept_new else file.expected_sha256()
        return locate(file) or download(file, expected=expected, progress=progress, cancelled=cancelled)


def cached_bytes(file: WeightFile) -> int:
    """Bytes on disk that `remove` would free: the cached file, or the part that arrived of it. 0 if there is neither."""
    own = [] if _is_users(file) else [file.cached]
    return sum(_size_bytes(path) for path in [*own, file.part_folder / file.cached.name])


def remove(file: WeightFile) -> bool:
    """Delete the cached file and what has arrived of it; a file in a directory that the user named is never touched.

    Where no hash is published, that of the first fetch stays recorded, so that a file that changed at its source is noticed
    when it is fetched again.

    Returns
    -------
    Whether anything was deleted.

    Raises
    ------
    WeightsError
        The file is being fetched, or the disk refuses.
    """
    if not file.cached.parent.is_dir():
        return False
    removed = False
    with turn(file, timeout_s=REMOVE_TIMEOUT_S):
        try:
            if file.part_folder.is_dir():
                shutil.rmtree(file.part_folder)
                removed = True
            if file.cached.is_file() and not _is_users(file):
                file.cached.unlink()
                removed = True
        except OSError as error:
            raise WeightsError(f"{file.cached} can't be deleted: {error.strerror}. Delete it by hand.") from error
    return removed


def _find(file: WeightFile, digest: Callable[[Path], str]) -> LocatedWeights | None:
    added = isinstance(file.source, AddedSource)
    for directory in () if added else settings().weight_directories:
        path = directory / file.name
        if sha256 := _digest(path, digest):
            return LocatedWeights(path, sha256, verified=sha256 == file.sha256, origin="directory")
    expected, path = file.expected_sha256(), _own_place(file)
    if expected and _digest(path, digest) == expected:
        return LocatedWeights(path, expected, verified=file.sha256 is not None, origin="models" if added else "cache")
    return None


def _own_place(file: WeightFile) -> Path:
    """Where this program keeps the file."""
    return settings().models / file.name if isinstance(file.source, AddedSource) else file.cached


def _digest(path: Path, digest: Callable[[Path], str]) -> str | None:
    try:
        return digest(path) if path.is_file() else None
    except FileNotFoundError:  # deleted meanwhile
        return None
    except OSError as error:
        raise WeightsError(f"{path} can't be read: {error.strerror}. Make it readable or move it away.") from error


def _is_users(file: WeightFile) -> bool:
    """Whether the user named the cache itself as a directory of his own."""
    return any((directory / file.name).resolve() == file.cached.resolve() for directory in settings().weight_directories)


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # deleted meanwhile
        return 0
