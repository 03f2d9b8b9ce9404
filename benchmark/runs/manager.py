"""Dataset runs that belong to a server: asked for by a visitor, computed one after another by the server's engine, seen by everybody.

A run goes on when the visitor who started it has left. What other processes compute is seen too: in the store, and by the lock that
they hold on their run. Nothing but the order of those that wait is kept here, so a server that was killed loses nothing else.
"""

import logging
import threading
from dataclasses import dataclass

from benchmark.datasets.dataset import open_folder
from benchmark.ray.cluster import cluster_options
from benchmark.runs.folder import is_worked_on, working_on
from benchmark.runs.overview import Order, Overview, RunView
from benchmark.runs.plan import RunPlan
from benchmark.storage import overview
from benchmark.storage.records import Counts, Execution, StoredRun
from benchmark.storage.store import Store
from benchmark.workers.local_engine import LocalEngine
from core.errors import AppError, BusyError

log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True)
class _Order(Order):
    """A run that this server was asked to compute, and how."""

    execution: Execution
    goes_on: bool
    """Whether it was begun before: its pictures are then looked at again."""
    retry_failed: bool = False


class RunManager:
    """All dataset runs, as a server sees them. Safe to use from several threads."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._orders: dict[str, _Order] = {}
        self._problems: dict[str, str] = {}
        self._worker: threading.Thread | None = None
        self._closing = False
        self._overview = Overview()

    def start(self, plan: RunPlan, execution: Execution | None = None) -> str:
        """Store a run and queue it; returns its name. One that is in the store already goes on.

        Parameters
        ----------
        execution:
            How it is computed; None: as most are.

        Raises
        ------
        core.errors.AppError
            Somebody works on it, or it can't be stored.
        """
        name = plan.default_name()
        with Store.open() as store:
            self._check_free(name)
            with working_on(name, wait_s=0.0):
                found = store.find_run(name)
                execution = execution or Execution()
                if found is None:
                    store.create(name, plan, execution)
                else:
                    store.set_execution(found, execution)
        self._append(_Order(name=name, execution=execution, goes_on=found is not None))
        return name

    def go_on(self, name: str, *, retry_failed: bool = False) -> None:
        """Queue a run that was begun before, computed as it was then. Raises `core.errors.AppError` as `start` does."""
        self._check_free(name)
        with Store.open() as store:
            execution = store.run(name).execution
        self._append(_Order(name=name, execution=execution, goes_on=True, retry_failed=retry_failed))

    def stop(self, name: str) -> None:
        """Stop a run of this server, waiting or running; what is saved stays."""
        with self._lock:
            order = self._orders.get(name)
            if order is None:
                return
            if order.state == "waiting":
                del self._orders[name]
            else:
                order.state = "stopping"
        self._engine.cancel(name)
        self._overview.forget()

    def delete(self, name: str) -> None:
        """Delete a run with its results and pictures. Raises `core.errors.AppError` when somebody works on it."""
        self._check_free(name)
        with Store.open() as store, working_on(name, wait_s=0.0):
            overview.delete_run(store, store.run(name))
        with self._lock:
            self._problems.pop(name, None)
        self._overview.forget()

    def find(self, name: str) -> RunView | None:
        """How one run stands; None when there is none."""
        return next((view for view in self.all() if view.run.name == name), None)

    def all(self) -> list[RunView]:
        """How all runs stand: those being worked on, in their order, then the others, the latest first. Raises `core.errors.StoreError`."""
        with self._lock:
            orders, problems = dict(self._orders), dict(self._problems)
        return self._overview.views(orders, problems)

    def shares(self, view: RunView) -> list[overview.Share]:
        """How far each upscaler of a run is."""
        return self._overview.shares(view)

    def failures(self, view: RunView, limit: int) -> list[overview.FailedCell]:
        """The first cells of a run that failed, at most `limit`."""
        return self._overview.failures(view, limit)

    def sets_run_before(self) -> list[overview.StoredSet]:
        """The data sets of all runs, those of the latest first."""
        return self._overview.sets_run_before()

    def close(self) -> None:
        """Begin nothing more; the engine's own end stops what runs."""
        with self._lock:
            self._closing = True
            self._orders = {name: order for name, order in self._orders.items() if order.state != "waiting"}
        self._overview.close()

    def _check_free(self, name: str) -> None:
        with self._lock:
            ordered = name in self._orders
        if ordered or is_worked_on(name):
            raise BusyError(f"The run {name} is being worked on: stop it, or wait until it is done.")

    def _append(self, order: _Order) -> None:
        with self._lock:
            if self._closing or order.name in self._orders:
                return
            self._problems.pop(order.name, None)
            self._orders[order.name] = order
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, daemon=True, name="dataset runs")
                self._worker.start()
        self._overview.forget()

    def _work(self) -> None:
        """Compute one run after another, until none waits."""
        while True:
            with self._lock:
                order = next(iter(self._orders.values()), None)
                if order is None:
                    self._worker = None
                    return
                order.state = "checking"
            try:
                problem = self._compute(order)
            except AppError as error:
                problem = str(error)
            except Exception as error:
                log.exception("The run %s could not be computed", order.name)
                problem = f"Internal error ({type(error).__name__}); the log has the details."
            with self._lock:
                del self._orders[order.name]
                if problem is not None:
                    self._problems[order.name] = problem
            self._overview.forget()

    def _compute(self, order: _Order) -> str | None:
        """Have the engine compute a run; returns why it ended, where the store does not know."""
        if order.goes_on:
            with Store.open() as store, working_on(order.name):
                run = store.run(order.name)
                store.resume(run, _plan_again(store, run), retry_failed=order.retry_failed)
        if order.state == "stopping" or self._closing:
            return None
        how = order.execution
        cluster = cluster_options() if how.engine == "ray" else None
        for event in self._engine.run_dataset(order.name, workers=how.workers, keep_images=how.keep_images, cluster=cluster):
            if event["state"] != "running":
                return event["reason"] if event["state"] in ("busy", "paused") else None
            order.counts = Counts(event["total"], event["done"], event["failed"], event["expected_s"])
            with self._lock:
                stopping = order.state == "stopping"
                if not stopping:
                    order.state = "running"
            if stopping:
                # It was asked to before the engine knew the run.
                self._engine.cancel(order.name)
        return None


def _plan_again(store: Store, run: StoredRun) -> RunPlan:
    """The plan of a run as it would be made now. Raises `core.errors.AppError` when its pictures or upscalers are gone."""
    return RunPlan.from_request(run.request, [open_folder(each.root, name=each.name) for each in overview.sets_of(store, run)])
