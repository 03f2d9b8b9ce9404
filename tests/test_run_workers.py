"""The workers of a run on nodes that come and go, without any process: what one of them holds must not be in another's way."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmark.runs.cells import CellResult, PictureTask
from benchmark.runs.dataset_run import DatasetRun
from benchmark.storage.store import Store
from benchmark.workers.model_pool import HasProcess
from benchmark.workers.process import CallFailedError
from benchmark.workers.worker import Loaded, ModelKey
from tests.run_helpers import PLUGINS, make_set, plan_of

STEP_S = 0.1
LOADED = Loaded(load_s=0.0, import_s=0.0, device="none", runtime_version="none", weights_sha256=None, verified_weights=None)


class Node:
    """Has room for one process."""

    def __init__(self) -> None:
        self.is_there = True
        self.taken_by: object = None


class Process:
    def __init__(self, nodes: list[Node]) -> None:
        self.node = next((node for node in nodes if node.is_there and node.taken_by is None), None)
        if self.node is not None:
            self.node.taken_by = self

    @property
    def alive(self) -> bool:
        return self.node is not None and self.node.is_there

    def end(self, *_: object) -> None:
        if self.node is not None:
            self.node.taken_by = None
        self.node = None


class Model:
    def __init__(self, pool: "Nodes", key: ModelKey) -> None:
        self.process, self.key, self._pool = Process(pool.nodes), key, pool

    def load(self) -> Loaded:
        if not self.process.alive:
            self._pool.refused += 1
            # What would go on for ever ends the test.
            assert self._pool.refused < 5
            time.sleep(STEP_S)
            raise CallFailedError("cancelled", "No node had room for it.")
        return LOADED

    def compute(self, tasks: Sequence[PictureTask], finished: Callable[[CellResult], None]) -> None:
        for task in tasks:
            for cell in task.cells:
                if self._pool.computed < 2:
                    self._pool.both_began.wait(30)
                self._pool.computed += 1
                if self._pool.computed == 4:
                    self._pool.first_place_is_lost()
                if not self.process.alive:
                    raise CallFailedError("cancelled", "Its node is lost.")
                time.sleep(STEP_S / 4)
                finished(CellResult(cell.id, cell.row.model_copy(update={"status": "ok", "stage": "done"})))


class Nodes:
    """Two nodes, of which that of the first worker is lost."""

    def __init__(self) -> None:
        self.nodes = [Node(), Node()]
        self.models: dict[int, Model] = {}
        self.computed = self.refused = 0
        self.both_began = threading.Barrier(2)

    def first_place_is_lost(self) -> None:
        node = self.models[1].process.node
        assert node is not None
        node.is_there = False

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        yield

    def places(self, workers: int) -> int:
        return min(workers, sum(node.is_there for node in self.nodes))

    def threads(self, wanted: int, workers: int) -> int:
        return 1

    def get(self, key: ModelKey, place: int = 0) -> Model:
        self.models[place] = Model(self, key)
        return self.models[place]

    def forget(self, model: HasProcess) -> None:
        model.process.end()


def test_when_a_node_is_lost_the_workers_that_are_left_make_room_for_the_first(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_PLUGINS", PLUGINS)
    monkeypatch.setattr("benchmark.runs.dataset_run.STEP_S", STEP_S)
    monkeypatch.setattr("benchmark.runs.workers.MESSAGE_S", 0.0)
    run = store.create("test", plan_of(make_set(tmp_path / "set", 20), upscaler_ids=("fake-good",)))
    events: list[dict[str, Any]] = []
    pool = Nodes()
    for _ in DatasetRun("test", pool, events.append, workers=2).steps():
        pass
    assert events[-1]["state"] == "done"
    assert store.counts(run).done == 20
