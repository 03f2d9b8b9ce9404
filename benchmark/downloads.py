"""Weights being fetched for visitors: in the background, two models at once, each with progress and a way to stop it."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from core import weights
from core.errors import AppError
from core.weights import FetchCancelledError, WeightFile

log = logging.getLogger(__name__)

AT_ONCE = 2
State = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass(eq=False)
class Download:
    """The weights of one upscaler on their way."""

    upscaler_id: str
    files: tuple[WeightFile, ...]
    state: State = "waiting"
    file_name: str = ""
    """The file that is being fetched."""
    files_done: int = 0
    done_bytes: int = 0
    """Of that file."""
    total_bytes: int | None = None
    """Of that file; None while unknown."""
    error: str | None = None
    """Why it failed, in one line."""
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("waiting", "running")

    @property
    def fraction(self) -> float:
        """How much of it is done, 0 to 1; files count alike where sizes are unknown."""
        part = min(1.0, self.done_bytes / self.total_bytes) if self.total_bytes else 0.0
        return min(1.0, (self.files_done + part) / max(1, len(self.files)))

    def cancel(self) -> None:
        """Ask it to stop; it does within a second."""
        self._stop.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked it to stop."""
        return self._stop.is_set()


class Downloads:
    """All downloads of this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._by_id: dict[str, Download] = {}
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(AT_ONCE)

    def start(self, upscaler_id: str, files: Sequence[WeightFile]) -> Download:
        """Begin to fetch these files, unless that upscaler's are on their way already."""
        with self._lock:
            known = self._by_id.get(upscaler_id)
            if known is not None and known.active:
                return known
            download = self._by_id[upscaler_id] = Download(upscaler_id, tuple(files))
        threading.Thread(target=self._run, args=(download,), name=f"download {upscaler_id}", daemon=True).start()
        return download

    def get(self, upscaler_id: str) -> Download | None:
        """The latest download for an upscaler."""
        return self._by_id.get(upscaler_id)

    def forget(self, upscaler_id: str) -> None:
        """Drop what is known of a finished download, such as its error."""
        with self._lock:
            download = self._by_id.get(upscaler_id)
            if download is not None and not download.active:
                del self._by_id[upscaler_id]

    def active(self) -> list[Download]:
        """Those that wait or run."""
        with self._lock:
            return [download for download in self._by_id.values() if download.active]

    def close(self) -> None:
        """Stop all."""
        for download in self.active():
            download.cancel()

    def _run(self, download: Download) -> None:
        try:
            while not self._slots.acquire(timeout=0.1):
                if download.cancelled:
                    raise FetchCancelledError("Cancelled.")
            try:
                self._fetch(download)
            finally:
                self._slots.release()
            download.state = "done"
        except FetchCancelledError:
            download.state = "cancelled"
        except AppError as error:
            download.error = str(error)
            download.state = "failed"
        except Exception as error:
            log.exception("The weights of %s could not be fetched", download.upscaler_id)
            download.error = f"Internal error ({type(error).__name__}); the log has the details."
            download.state = "failed"

    def _fetch(self, download: Download) -> None:
        download.state = "running"

        def progress(done: int, total: int | None) -> None:
            download.done_bytes, download.total_bytes = done, total

        for file in download.files:
            download.file_name, download.done_bytes, download.total_bytes = file.name, 0, file.size_bytes
            weights.fetch(file, progress=progress, cancelled=lambda: download.cancelled)
            download.files_done += 1
            download.done_bytes = 0
