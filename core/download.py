"""Bring one weight file into the cache: watched, kept where it breaks off, checked, and moved into place whole."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager

from filelock import FileLock, Timeout

from core.errors import WeightsError
from core.files import write_atomically
from core.settings import MIB, settings
from core.weight_file import LocatedWeights, WeightFile
from core.weight_hashes import sha256_of
from core.weight_sources import POLL_S, FetchCancelledError, SourceError, Transfer, run_aside

Progress = Callable[[int, int | None], None]
Cancelled = Callable[[], bool]
STOP_GRACE_S = 0.5
SAVE_EVERY_S = 0.5
"""What a killed process received after the last time is asked for again."""


def download(file: WeightFile, *, expected: str | None, progress: Progress | None, cancelled: Cancelled | None) -> LocatedWeights:
    """Download the file into the cache. The caller holds its lock. Other parameters and errors: see `core.weights.fetch`.

    Parameters
    ----------
    expected:
        The SHA-256 that the bytes must have. None: none is known, and that of these bytes is recorded.
    """
    with storing(file):
        _require_space(file)
    transfer = _transfer(file)
    outcome = _attempt(file, transfer, expected, progress, cancelled)
    if isinstance(outcome, str) and transfer.resumed:
        # The part that was gone on from may be what is wrong.
        outcome = _attempt(file, _transfer(file), expected, progress, cancelled)
    if isinstance(outcome, str):
        raise failure(file, outcome)
    return outcome


def failure(file: WeightFile, reason: str, kept: str = "") -> WeightsError:
    """The error for a file that can't be had: what, from where, why, and what to do."""
    return WeightsError(f"{file.name} can't be fetched from {file.source.origin}: {reason}. {kept}{file.source.remedy(file.name)}")


@contextmanager
def storing(file: WeightFile) -> Iterator[None]:
    """Turn the errors of a full or read-only disk into a line."""
    try:
        yield
    except OSError as error:
        where = f"{file.name} can't be stored in {settings().weight_cache}: {error.strerror or error}"
        raise WeightsError(f"{where}. Free space, allow writing there, or move UPSCALE_BENCH_HOME.") from error


@contextmanager
def turn(file: WeightFile, cancelled: Cancelled | None = None, *, timeout_s: float = -1) -> Iterator[None]:
    """Hold the lock of this file; whoever has it finishes first, and a process that dies gives it back.

    Raises
    ------
    FetchCancelledError
        `cancelled` said True while waiting.
    WeightsError
        `timeout_s` passed (a negative one never does), or there can be no lock in the cache.
    """
    with storing(file):
        file.lock.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file.lock)
        try:
            lock.acquire(timeout=timeout_s, poll_interval=POLL_S, cancel_check=cancelled)
        except Timeout:
            if timeout_s < 0:
                raise FetchCancelledError(f"Fetching {file.name} was cancelled.") from None
            raise WeightsError(f"{file.name} is being fetched. Stop that or wait until it is done.") from None
    try:
        yield
    finally:
        lock.release()


def _transfer(file: WeightFile) -> Transfer:
    return Transfer(file.part_folder, file.cached.name, {"source": file.source.origin, "sha256": file.sha256})


def _require_space(file: WeightFile) -> None:
    part = file.part_folder / file.cached.name
    needed_bytes = (file.size_bytes or 0) - (part.stat().st_size if part.is_file() else 0)
    free_bytes = shutil.disk_usage(file.cached.parent).free
    if free_bytes < needed_bytes:
        need = f"{needed_bytes / MIB:,.0f} MiB are needed and {free_bytes / MIB:,.0f} MiB free"
        raise WeightsError(f"{file.name} does not fit into {settings().weight_cache}: {need}. Free space or move UPSCALE_BENCH_HOME.")


def _attempt(
    file: WeightFile, transfer: Transfer, expected: str | None, progress: Progress | None, cancelled: Cancelled | None
) -> LocatedWeights | str:
    """Download, check and publish. Returns why the bytes are not the file's, if they are not."""
    finished = False
    try:
        doubt = _run(file, transfer, progress, cancelled)
        with storing(file):
            sha256 = sha256_of(transfer.part)
            objection = _objection(file, transfer, sha256, expected, doubt)
            if objection is None:
                _publish(file, transfer, sha256)
        finished = True
        return objection or LocatedWeights(file.cached, sha256, verified=file.sha256 is not None, origin="cache")
    except FetchCancelledError:
        raise FetchCancelledError(f"Fetching {file.name} was cancelled. {_kept(transfer)}".rstrip()) from None
    except SourceError as error:
        raise failure(file, str(error), _kept(transfer)) from error
    finally:
        if finished or not transfer.kept_bytes:
            transfer.discard()


def _kept(transfer: Transfer) -> str:
    return f"{transfer.kept_bytes:,} bytes are kept, and fetching it again goes on from there. " if transfer.kept_bytes else ""


def _run(file: WeightFile, transfer: Transfer, progress: Progress | None, cancelled: Cancelled | None) -> str | None:
    """Download in a thread, so that a server that sends nothing does not keep the person from stopping."""

    def work() -> str | None:
        with storing(file):
            transfer.take_up()
            return file.source.download(transfer)

    outcome = run_aside(f"fetch {file.name}", work)
    try:
        _watch(file, transfer, outcome, progress, cancelled)
        doubt = outcome.result()
    finally:
        # A thread that hangs in a read is left behind: it can't write any more.
        transfer.stop()
        wait([outcome], STOP_GRACE_S)
        transfer.close()
    if progress is not None:
        progress(transfer.done_bytes, transfer.done_bytes)
    return doubt


def _watch(
    file: WeightFile, transfer: Transfer, outcome: "Future[str | None]", progress: Progress | None, cancelled: Cancelled | None
) -> None:
    shown, saved_s = None, time.monotonic()
    while not wait([outcome], POLL_S).done:
        if cancelled is not None and cancelled():
            raise FetchCancelledError
        if progress is not None and transfer.done_bytes != shown:
            shown = transfer.done_bytes
            progress(shown, transfer.total or file.size_bytes)
        if time.monotonic() - saved_s > SAVE_EVERY_S:
            transfer.save()
            saved_s = time.monotonic()


def _objection(file: WeightFile, transfer: Transfer, sha256: str, expected: str | None, doubt: str | None) -> str | None:
    """Why the bytes are not the file's: by hash, or by their looks where no hash is known. None if they are."""
    if sha256 == expected:
        return None
    with transfer.part.open("rb") as stream:
        head = stream.read(512)
    if _looks_like_a_web_page(head):
        return "a web page came instead of the file"
    if file.size_bytes not in {None, transfer.done_bytes}:
        return f"expected {file.size_bytes} bytes, got {transfer.done_bytes}"
    if expected and file.sha256:
        return f"the catalogue has sha256 {expected[:12]}..., and this is {sha256[:12]}..."
    if expected:
        return (
            f"the file there has changed: the first fetch had sha256 {expected[:12]}..., and this is {sha256[:12]}.... "
            "To accept the new file, run `upscale-bench weights fetch --accept-new` for its upscaler"
        )
    return doubt if transfer.done_bytes else "the file is empty"


def _looks_like_a_web_page(head: bytes) -> bool:
    # A protobuf or safetensors file may begin with "<" too, but then control characters follow at once.
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"<") and not any(byte < 0x20 and byte not in b"\t\n\f\r" for byte in text)


def _publish(file: WeightFile, transfer: Transfer, sha256: str) -> None:
    with transfer.part.open("rb") as stream:
        os.fsync(stream.fileno())
    if file.sha256 is None:
        # First the record: a cached file without one is not used.
        write_atomically(file.first_record, json.dumps({"source": file.source.origin, "sha256": sha256}).encode())
    transfer.part.replace(file.cached)
