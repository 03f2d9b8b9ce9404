"""Weights being fetched for visitors: in the background, two models at once, each with progress and a way to stop it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmark.background import Task
from core import weights
from core.weights import FetchCancelledError, WeightFile

AT_ONCE = 2


@dataclass(eq=False, kw_only=True)
class Download(Task):
    """The weights of one upscaler on their way."""

    upscaler_id: str
    files: tuple[WeightFile, ...]
    file_name: str = ""
    """The file that is being fetched."""
    files_done: int = 0
    done_bytes: int = 0
    """Of that file."""
    total_bytes: int | None = None
    """Of that file; None while unknown."""
    followers: list[Callable[[], None]] | None = field(default_factory=list)
    """What is done when all files are there; None from then on."""

    @property
    def fraction(self) -> float:
        """How much of it is done, 0 to 1; files count alike where sizes are unknown."""
        part = min(1.0, self.done_bytes / self.total_bytes) if self.total_bytes else 0.0
        return min(1.0, (self.files_done + part) / max(1, len(self.files)))


class Downloads:
    """All downloads of this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._by_id: dict[str, Download] = {}
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(AT_ONCE)

    def start(self, upscaler_id: str, files: Sequence[WeightFile], *, then: Callable[[], None] | None = None) -> Download:
        """Begin to fetch these files, unless that upscaler's are on their way already.

        Parameters
        ----------
        then:
            Called in the background when all files are there, not when the download fails or is stopped. An `AppError` that it raises
            becomes the download's.
        """
        with self._lock:
            download = self._by_id.get(upscaler_id)
            is_new = download is None or not download.active or download.followers is None
            if download is None or is_new:
                download = self._by_id[upscaler_id] = Download(upscaler_id=upscaler_id, files=tuple(files))
            if then is not None and download.followers is not None:
                download.followers.append(then)
        if not is_new:
            return download
        name = f"download the weights of {upscaler_id}"
        download.start(lambda: self._work(download), slots=self._slots, name=name, stopped_by=FetchCancelledError)
        return download

    def _work(self, download: Download) -> None:
        _fetch(download)
        with self._lock:
            followers, download.followers = download.followers or [], None
        for follow in followers:
            follow()

    def get(self, upscaler_id: str) -> Download | None:
        """The latest download for an upscaler."""
        return self._by_id.get(upscaler_id)

    def active(self) -> list[Download]:
        """Those that wait or run."""
        with self._lock:
            return [download for download in self._by_id.values() if download.active]

    def close(self) -> None:
        """Stop all."""
        for download in self.active():
            download.cancel()


def _fetch(download: Download) -> None:
    def progress(done: int, total: int | None) -> None:
        download.done_bytes, download.total_bytes = done, total

    for file in download.files:
        download.file_name, download.done_bytes, download.total_bytes = file.name, 0, file.size_bytes
        weights.fetch(file, progress=progress, cancelled=lambda: download.cancelled)
        download.files_done += 1
        download.done_bytes = 0
