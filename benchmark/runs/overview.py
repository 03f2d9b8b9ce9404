"""How all dataset runs stand, for somebody who watches them: read no more often than anybody would notice."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from benchmark.jobs import SERVER_STOPPED
from benchmark.runs.folder import is_worked_on
from benchmark.runs.pace import Pace
from benchmark.storage import database, overview
from benchmark.storage.overview import FailedCell, Share, StoredSet
from benchmark.storage.records import Counts, StoredRun
from benchmark.storage.store import Store

FRESH_S = 0.5
"""What was read from the store less than so long ago is shown again: ten visitors cost no more than one."""
IDLE_FRESH_S = 10.0
"""The same for the counts of runs on which nobody works."""
State = Literal["waiting", "checking", "running", "stopping", "elsewhere", "planned", "stopped", "interrupted", "paused", "failed", "done"]
"""The first four are this server's; `elsewhere` is computed by another process; on the others nobody works."""
OWN: tuple[State, ...] = ("waiting", "checking", "running", "stopping")
ACTIVE: tuple[State, ...] = (*OWN, "elsewhere")
STORED: Mapping[str, State] = {"planned": "planned", "stopped": "stopped", "paused": "paused", "failed": "failed", "done": "done"}


@dataclass(eq=False, kw_only=True)
class Order:
    """A run that this server works on, or will."""

    name: str
    state: State = "waiting"
    counts: Counts | None = None
    """As the engine told last."""


@dataclass(frozen=True)
class RunView:
    """How a run stands."""

    run: StoredRun
    state: State
    counts: Counts
    reason: str | None = None
    """Why it is not done, where that helps."""
    per_s: float | None = None
    """Cells per second since this process watches."""
    left_s: float | None = None
    """Expected seconds until its end; None where nothing is known."""

    @property
    def is_own(self) -> bool:
        """Whether this server works on it, or will."""
        return self.state in OWN

    @property
    def active(self) -> bool:
        """Whether somebody works on it, or will."""
        return self.state in ACTIVE


class Overview:
    """What the store says of the runs. Safe to use from several threads; all methods raise `core.errors.StoreError`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: tuple[object, Store] | None = None
        self._paces: dict[str, Pace] = {}
        self._idle: dict[int, tuple[float, Counts]] = {}
        self._seen: list[RunView] = []
        self._seen_s = 0.0
        self._is_fresh = False

    def forget(self) -> None:
        """Something has changed: read it anew."""
        self._is_fresh = False

    def views(self, orders: Mapping[str, Order], problems: Mapping[str, str]) -> list[RunView]:
        """All runs: those of `orders` in their order, those that other processes compute, then the others, the latest first.

        Parameters
        ----------
        orders:
            What this server works on, by the runs' names.
        problems:
            Why runs ended, where the store does not know.
        """
        with self._lock:
            if not self._is_fresh or time.monotonic() - self._seen_s > FRESH_S:
                # First, so that what changes meanwhile is not overlooked.
                self._is_fresh = True
                self._seen = self._read(orders, problems)
                self._seen_s = time.monotonic()
            return self._seen

    def shares(self, view: RunView) -> list[Share]:
        """How far each upscaler of a run is."""
        with self._lock:
            return overview.shares(self._store(), view.run)

    def failures(self, view: RunView, limit: int) -> list[FailedCell]:
        """The first cells of a run that failed, at most `limit`."""
        with self._lock:
            return overview.failures(self._store(), view.run, limit)

    def sets_run_before(self) -> list[StoredSet]:
        """The data sets of all runs, those of the latest first."""
        with self._lock:
            return overview.sets_run_before(self._store())

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            if self._opened:
                self._opened[1].close()
            self._opened = None

    def _store(self) -> Store:
        """The store, kept open: opening it looks at every page of the file."""
        if self._opened is None or self._opened[0] != _file_identity():
            if self._opened:
                self._opened[1].close()
                self._opened = None
            self._idle.clear()
            store = Store.open()
            self._opened = (_file_identity(), store)
        return self._opened[1]

    def _read(self, orders: Mapping[str, Order], problems: Mapping[str, str]) -> list[RunView]:
        store = self._store()
        runs = store.runs()
        states: dict[int, State] = {run.id: _state(run, orders.get(run.name)) for run in runs}
        counts = self._counts(store, runs, states, orders)
        views = [self._view(run, states[run.id], counts[run.id], problems.get(run.name)) for run in reversed(runs)]
        places = {name: place for place, name in enumerate(orders)}
        return sorted(views, key=lambda view: (not view.active, places.get(view.run.name, len(places))))

    def _counts(self, store: Store, runs: list[StoredRun], states: Mapping[int, State], orders: Mapping[str, Order]) -> dict[int, Counts]:
        """The engine's own word where it works, the store's elsewhere; runs on which nobody works are counted now and then."""
        now_s = time.monotonic()
        counts: dict[int, Counts] = {}
        for run in runs:
            told = orders[run.name].counts if run.name in orders else None
            if states[run.id] in ACTIVE:
                self._idle.pop(run.id, None)
            counted_s, counted = self._idle.get(run.id, (0.0, None))
            if told is not None:
                counts[run.id] = told
            elif counted is not None and now_s - counted_s <= IDLE_FRESH_S:
                counts[run.id] = counted
        missing = [run.id for run in runs if run.id not in counts]
        read = overview.counts_of(store, missing) if missing else {}
        self._idle |= {run_id: (now_s, each) for run_id, each in read.items() if states[run_id] not in ACTIVE}
        return counts | read

    def _view(self, run: StoredRun, state: State, counts: Counts, problem: str | None) -> RunView:
        if state not in ("running", "elsewhere"):
            self._paces.pop(run.name, None)
            reason = problem or (run.reason if state in ("paused", "failed") else None)
            return RunView(run, state, counts, reason, left_s=counts.expected_s or None)
        finished = counts.done + counts.failed
        pace = self._paces.setdefault(run.name, Pace(finished, counts.expected_s))
        return RunView(run, state, counts, None, pace.per_s(finished), pace.left_s(finished, counts.waiting, counts.expected_s))


def _state(run: StoredRun, order: Order | None) -> State:
    if order is not None:
        return order.state
    if run.state == "running":
        return "elsewhere" if is_worked_on(run.name) else "interrupted"
    return "interrupted" if run.reason == SERVER_STOPPED else STORED[run.state]


def _file_identity() -> tuple[str, int]:
    """Another one when the store was moved away and begun anew."""
    file = database.path()
    return str(file), file.stat().st_ino if file.exists() else 0
