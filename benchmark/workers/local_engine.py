"""The engine for one machine: what the page and the command line talk to. It starts the worker host and hands it comparisons."""

import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmark import jobs
from benchmark.environment import machine_facts
from benchmark.given_small import Upload
from benchmark.plan import Plan
from benchmark.schema import Comparison
from benchmark.workers.host_process import HostProcess
from core.errors import AppError, BusyError, UsageError
from core.settings import settings


class Converting(NamedTuple):
    """Upscalers whose networks are converted for a faster runtime while nobody waits for anything."""

    now: str | None = None
    next: tuple[str, ...] = ()


class LocalEngine:
    """Runs comparisons on this machine. Safe to use from several threads.

    Parameters
    ----------
    root:
        Where the comparisons are kept; by default the user's store.
    warm_up:
        Prepare for the first comparison as soon as the engine starts: for servers.
    log_file:
        Where the host and the models write their messages; by default this process's standard error.
    """

    def __init__(self, root: Path | None = None, *, warm_up: bool = False, log_file: Path | None = None) -> None:
        self._root = root
        self._log_file = log_file
        self._arguments = ["--warm-up"] if warm_up else []
        self._host: HostProcess | None = None
        self._submitted: set[str] = set()
        self._followed: dict[str, queue.SimpleQueue[dict[str, Any]]] = {}
        self._conversions = Converting()
        self._lock = threading.Lock()
        self._submitting = threading.Lock()

    @property
    def root(self) -> Path:
        """Where the comparisons are kept."""
        return self._root or settings().comparisons

    @property
    def conversions(self) -> Converting:
        """Which networks get a faster form, now and next."""
        return self._conversions

    def start(self) -> None:
        """Start the worker host unless it runs. Comparisons that an earlier host left unfinished are closed."""
        with self._lock:
            if self._host is not None and self._host.alive:
                return
            jobs.close_interrupted(self._root)
            self._host = HostProcess(self._arguments, self._log_file, heard=self._hear, gone=self._miss)

    def submit(self, plan: Plan, source: bytes, *, name: str, user: str, small: Upload | None = None) -> str:
        """Queue a comparison and return its id.

        Parameters
        ----------
        source:
            The bytes of a picture file, checked before by `core.image.decode`.
        name:
            Its name, for display.
        user:
            Who asks; users are served in turn.
        small:
            The small picture, where it is given instead of made; checked before by `benchmark.given_small.check`.

        Raises
        ------
        core.errors.BusyError
            Too many comparisons wait already.
        """
        self.start()
        with self._submitting:
            self._check_limits(user)
            directory = jobs.create(plan, source, name=name, user=user, root=self.root, small=small)
            with self._lock:
                self._submitted.add(directory.name)
        if not self._tell({"do": "submit", "directory": str(directory.absolute())}):
            raise BusyError("The engine stopped just now: try again.")
        return directory.name

    def run_again(self, job_id: str, row_id: str, *, tile_px: int | None = None) -> None:
        """Run one row of a comparison that gave no picture once more; the others keep theirs.

        Parameters
        ----------
        row_id:
            The row's upscaler.
        tile_px:
            Side of the tiles to run it with, in input pixels; None: as before.

        Raises
        ------
        core.errors.UsageError
            The comparison is gone or of another machine, or has no such row.
        core.errors.BusyError
            Too many comparisons wait already.
        """
        self.start()
        with self._submitting:
            job = self.load(job_id)
            if any(job.machine.get(fact) != value for fact, value in machine_facts().items() if fact in ("processor", "gpu")):
                raise UsageError("The other results come from another machine: press Compare to measure all of them here.")
            directory = self.root / job_id
            if job.active:
                command = {"do": "again", "directory": str(directory.absolute()), "row": row_id, "tile_px": tile_px}
            else:
                self._check_limits(job.user)
                jobs.reopen(directory, row_id, tile_px=tile_px)
                with self._lock:
                    self._submitted.add(job_id)
                command = {"do": "submit", "directory": str(directory.absolute())}
        if not self._tell(command):
            raise BusyError("The engine stopped just now: try again.")

    def _check_limits(self, user: str) -> None:
        active = self._active()
        limits = settings()
        own = sum(job.user == user for job in active)
        if own >= limits.max_jobs_per_user:
            raise BusyError(f"{own} of your comparisons are waiting or running, the most that one person may have: wait, or cancel one.")
        if len(active) >= limits.max_jobs:
            raise BusyError(f"{len(active)} comparisons are waiting: try again in a few minutes.")

    def run_dataset(
        self, name: str, *, workers: int = 1, keep_images: bool = False, cluster: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Compute what waits of a run in the store, and give each event as it comes; see `benchmark.runs.dataset_run.DatasetRun`.

        `cluster`, with the keys `address` and `allow_open`, has Ray compute it; see `benchmark.ray.engine.RayPool`.

        The last one has another state than `running`; where the host dies, it is `{"state": "failed", ...}`.
        """
        events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.start()
        self._followed[name] = events
        gone = {"run": name, "state": "failed", "reason": "The engine stopped; what it had saved stays."}
        try:
            if not self._tell({"do": "run", "name": name, "workers": workers, "keep_images": keep_images, "cluster": cluster}):
                yield gone
                return
            while True:
                event = events.get()
                yield event or gone
                if event.get("state") != "running":
                    return
        finally:
            self._followed.pop(name, None)

    def _hear(self, event: dict[str, Any]) -> None:
        if "converting" in event:
            self._conversions = Converting(event["converting"], tuple(event["to_convert"]))
        elif event["run"] in self._followed:
            self._followed[event["run"]].put(event)

    def _miss(self) -> None:
        """The host is gone: whoever follows a run hears it."""
        self._conversions = Converting()
        for events in list(self._followed.values()):
            events.put({})

    def cancel(self, job_id: str) -> None:
        """Stop a comparison; its process is gone within two seconds."""
        self._tell({"do": "cancel", "id": job_id})

    def delete(self, job_id: str) -> None:
        """Stop a comparison if it runs, and remove it with its pictures."""
        with contextlib.suppress(AppError):
            if self.load(job_id).active:
                self.cancel(job_id)
        jobs.delete(job_id)

    def load(self, job_id: str) -> Comparison:
        """A comparison as it stands now. Raises `core.errors.UsageError` when there is none."""
        directory = jobs.directory_of(job_id, self.root)
        if directory is None:
            raise UsageError(jobs.GONE)
        job = jobs.load(directory)
        if job.active and self._is_abandoned(job):
            # Read again: the host may have finished it in the last moment of its life.
            job = jobs.load(directory)
            if job.active:
                jobs.close_job(directory, job)
        return job

    def directory(self, job: Comparison) -> Path:
        """Where the pictures of a comparison lie; those of the example come with the program."""
        return jobs.EXAMPLE_FOLDER if job.id == jobs.EXAMPLE else self.root / job.id

    def _is_abandoned(self, job: Comparison) -> bool:
        with self._lock:
            host, own = self._host, job.id in self._submitted
        return not jobs.host_is_alive(job) or (own and host is not None and host.ended)

    def ahead(self, job: Comparison) -> int:
        """How many comparisons are served before or beside this one."""
        since = job.queued_at or job.created_at
        return sum((other.queued_at or other.created_at) <= since for other in self._active() if other.id != job.id)

    def close(self) -> None:
        """End the host and all models."""
        with self._lock:
            host, self._host = self._host, None
        if host is not None:
            host.close()

    def _active(self) -> list[Comparison]:
        """The comparisons of this engine that are not finished."""
        with self._lock:
            waiting = set(self._submitted)
        active = []
        for job_id in waiting:
            with contextlib.suppress(AppError):
                job = self.load(job_id)
                if job.active:
                    active.append(job)
        with self._lock:
            self._submitted -= waiting - {job.id for job in active}
        return active

    def _tell(self, command: dict[str, Any]) -> bool:
        """Send a command; False when the host is gone, whose comparisons are then closed by `load`."""
        with self._lock:
            return self._host is not None and self._host.tell(command)
