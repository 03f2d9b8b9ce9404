"""What a source of weight files is, and how the bytes of one file travel. A new kind of source is one more subclass of `Source`."""

import contextlib
import hashlib
import json
import os
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeVar

from core.errors import WeightsError
from core.files import write_atomically
from core.settings import MIB
from core.weight_hashes import read_json

POLL_S = 0.1
BLOCK_BYTES = 64 * 1024
Result = TypeVar("Result")


class SourceError(Exception):
    """A source gave no file. The text is a clause ("the server answered 404 Not Found"); `fetch` makes a `WeightsError` of it."""


class FetchCancelledError(WeightsError):
    """The person stopped the fetch."""


class Transfer:
    """The bytes of one file on their way, shared by the thread that downloads and the one that watches it.

    They are written to `part`, which lies in a folder of its own. If the source can go on later, a record beside it says of
    which file the bytes are, how many there are, and their hash: a part that was damaged or cut on the disk is not built
    upon, also where no hash of the whole file is known.
    """

    def __init__(self, folder: Path, name: str, identity: Mapping[str, str | None]) -> None:
        """Take `folder` for the part of the file `name`; `identity` tells it from other files that had the same name. Touches no disk."""
        self.part = folder / name
        """Where the bytes are written."""
        self.done_bytes = 0
        """Bytes in the part."""
        self.total: int | None = None
        """Bytes announced by the source; None while unknown."""
        self.validator: str | None = None
        """What the server must confirm before it goes on: its ETag or Last-Modified. None: a later fetch starts anew."""
        self.resumed = False
        """Whether the part was put together from more than one answer."""
        self._folder = folder
        self._record = folder / f"{name}.json"
        self._identity = dict(identity)
        self._digest = hashlib.sha256()
        self._saved_bytes = 0
        self._stream: FileIO | None = None
        self._stopped = threading.Event()
        self._lock = threading.RLock()

    @property
    def kept_bytes(self) -> int:
        """Bytes that a later fetch need not ask for again."""
        return self.done_bytes if self.validator else 0

    def stop(self) -> None:
        """Ask the downloading thread to end. Once this has returned, that thread writes nothing more, even if it hangs in a read."""
        with self._lock:
            self._stopped.set()

    def check(self) -> None:
        """Raise `FetchCancelledError` if the transfer was asked to stop."""
        if self._stopped.is_set():
            raise FetchCancelledError("The transfer was cancelled.")

    def pause(self, seconds: float) -> None:
        """Wait, or raise `FetchCancelledError` as soon as the transfer is asked to stop."""
        self._stopped.wait(seconds)
        self.check()

    def take_up(self) -> None:
        """Go on from what an earlier fetch left, as far as it is recorded and undamaged; otherwise clear the folder. Raises `OSError`."""
        left = self._left_by_earlier_fetch()
        with self._writing():
            if left is None:
                self.discard()
                self._folder.mkdir(parents=True)
                return
            self._stream = self.part.open("r+b", buffering=0)
            self._stream.truncate(left.n_bytes)
            self._stream.seek(left.n_bytes)
            self.done_bytes = self._saved_bytes = left.n_bytes
            self.total, self.validator, self._digest = left.total, left.validator, left.digest
            self.resumed = True

    def begin(self, *, validator: str | None = None, total: int | None = None) -> None:
        """Start the part from nothing. Raises `OSError` and `FetchCancelledError`.

        A record of what was there before may stay: it counts only as long as its hash fits.
        """
        with self._writing():
            if self._stream is not None:
                self._stream.close()
            self._stream = self.part.open("wb", buffering=0)
            self.done_bytes = self._saved_bytes = 0
            self.total, self.validator, self._digest = total, validator, hashlib.sha256()
            self.resumed = False

    def write(self, block: bytes) -> None:
        """Append to the part. Raises `OSError` and `FetchCancelledError`."""
        with self._writing():
            if self._stream is None:
                raise ValueError("begin() comes before write().")
            left = memoryview(block)
            while left:  # an unbuffered stream may take a block in pieces
                written = self._stream.write(left)
                self._digest.update(left[:written])
                self.done_bytes += written
                left = left[written:]

    def save(self) -> None:
        """Record what has arrived, so that it is not lost if this process is killed. A disk that refuses costs only the resuming."""
        with self._lock:
            if self.kept_bytes == self._saved_bytes:
                return
            record = {"file": self._identity, "validator": self.validator, "total": self.total}
            record |= {"bytes": self.done_bytes, "sha256": self._digest.hexdigest()}
            with contextlib.suppress(OSError):
                write_atomically(self._record, json.dumps(record).encode(), durable=False)
                self._saved_bytes = self.done_bytes

    def close(self) -> None:
        """Record what has arrived and close the part."""
        with self._lock:
            self.save()
            if self._stream is not None:
                self._stream.close()

    def discard(self) -> None:
        """Delete the part, its record and the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            self.check()
            yield

    def _left_by_earlier_fetch(self) -> "_Left | None":
        match read_json(self._record):
            case {
                "file": identity,
                "validator": str(validator),
                "total": (int() | None) as total,
                "bytes": int(n_bytes),
                "sha256": str(sha256),
            } if identity == self._identity and 0 < n_bytes <= (n_bytes if total is None else total):
                digest = self._digest_of_first(n_bytes)
                if digest is not None and digest.hexdigest() == sha256:
                    return _Left(n_bytes, total, validator, digest)
        return None

    def _digest_of_first(self, n_bytes: int) -> "hashlib._Hash | None":
        digest = hashlib.sha256()
        try:
            with self.part.open("rb") as stream:
                while n_bytes and (block := stream.read(min(n_bytes, MIB))):
                    self.check()
                    digest.update(block)
                    n_bytes -= len(block)
        except FileNotFoundError:
            return None
        return digest if n_bytes == 0 else None


class _Left(NamedTuple):
    n_bytes: int
    total: int | None
    validator: str
    digest: "hashlib._Hash"
    """Of those bytes; it goes on with the next ones."""


class Source(ABC):
    """Where a weight file is published. Subclasses are frozen dataclasses."""

    needs_network: ClassVar[bool] = True
    """Whether UPSCALE_BENCH_OFFLINE forbids it."""

    @property
    @abstractmethod
    def origin(self) -> str:
        """What to call this place in a message. Two sources with the same text are the same source."""

    @abstractmethod
    def download(self, transfer: Transfer) -> str | None:
        """Give the published bytes to `transfer`: `begin`, then `write` until all are there.

        It runs in a thread of its own and obeys `transfer.check()`. The folder of `transfer.part` may be used for scratch
        files. The caller compares hash and size.

        Returns
        -------
        str or None
            A reason to doubt the bytes, such as "the server calls it text/html". It matters only where no hash is known.

        Raises
        ------
        SourceError
            There is no connection, no such file, or the transfer broke off.
        FetchCancelledError
            `transfer` was asked to stop.
        """

    def remedy(self, name: str) -> str:
        """What a person can do where the file called `name` can't be fetched; one sentence."""
        return f"Put {name} into a directory named in UPSCALE_BENCH_WEIGHTS, or try again later."


@dataclass(frozen=True)
class AddedSource(Source):
    """A model file that a person added. It lies among the models (`Settings.models`) and nowhere else: it is only found, never fetched."""

    needs_network: ClassVar[bool] = False

    @property
    def origin(self) -> str:
        """Whose file it is."""
        return "your own files"

    def remedy(self, name: str) -> str:
        """What to do about a file that is lost or changed."""
        return f"{name} was changed or lost after it was added: remove the model and add its file again."

    def download(self, transfer: Transfer) -> None:
        """Always fails: nobody publishes it."""
        raise SourceError("nobody publishes it")


@dataclass(frozen=True)
class FileSource(Source):
    """A file on this machine or on a mounted disk. It is copied into the cache, so that its disk may go away afterwards."""

    path: Path
    needs_network: ClassVar[bool] = False

    @property
    def origin(self) -> str:
        """The path."""
        return str(self.path)

    def remedy(self, name: str) -> str:
        """Where the file may be put."""
        return f"Put the file there, or put {name} into a directory named in UPSCALE_BENCH_WEIGHTS."

    def download(self, transfer: Transfer) -> None:
        """Copy the file. See `Source.download`."""
        with self._reading():
            original = self.path.open("rb")
        with original:
            transfer.begin(total=os.fstat(original.fileno()).st_size)
            while True:
                with self._reading():
                    block = original.read(BLOCK_BYTES)
                if not block:
                    return
                transfer.write(block)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Tell the errors of the file from those of the disk that the copy goes to."""
        try:
            yield
        except FileNotFoundError as error:
            raise SourceError("there is no such file") from error
        except OSError as error:
            raise SourceError(f"it can't be read ({error.strerror})") from error


def run_aside(name: str, work: Callable[[], Result]) -> "Future[Result]":
    """Run `work` in a daemon thread: one that hangs is left behind, and the program can still end. The result or error is in the future."""
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is asked for
            outcome.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return outcome
