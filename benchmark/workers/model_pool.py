"""What a dataset run needs of the models that compute it, wherever their processes are: on this machine or on a cluster's nodes."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from benchmark.runs.cells import CellResult, PictureTask
from benchmark.workers.worker import Loaded, ModelKey


class Ending(Protocol):
    """A process, near or far."""

    @property
    def alive(self) -> bool:
        """Whether it can take a call."""
        ...

    def end(self) -> None:
        """Kill it, from any thread; a call in progress then fails as cancelled."""
        ...


class HasProcess(Protocol):
    """Something that lives in a process."""

    @property
    def process(self) -> Ending:
        """Its process, which it may share."""
        ...


class RunModel(HasProcess, Protocol):
    """A model in its process."""

    @property
    def key(self) -> ModelKey:
        """Which model, how."""
        ...

    def load(self) -> Loaded:
        """Load it, once. Raises `benchmark.workers.process.CallFailedError`."""
        ...

    def compute(self, tasks: Sequence[PictureTask], finished: Callable[[CellResult], None]) -> None:
        """Compute cells; `finished` gets each as soon as it is there. Raises `benchmark.workers.process.CallFailedError`."""
        ...


class ModelPool(Protocol):
    """Where models come from."""

    def opened(self) -> AbstractContextManager[object]:
        """Held for as long as a run uses the pool. Raises `core.errors.AppError` when it can't be used."""
        ...

    def places(self, workers: int) -> int:
        """How many of so many workers there is room for now."""
        ...

    def threads(self, wanted: int, workers: int) -> int:
        """Threads of each of so many workers, where a single one would have `wanted`."""
        ...

    def get(self, key: ModelKey, place: int = 0) -> RunModel:
        """This model at this place; in a new process unless it is warm."""
        ...

    def forget(self, model: HasProcess) -> None:
        """End the process of a model; its memory goes back at once."""
        ...
