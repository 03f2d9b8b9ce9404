"""What the store hands out: a run, how far it is, and its cells before and after they are computed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from benchmark.runs.folder import folder_of
from benchmark.schema import Row
from core.errors import UsageError

EngineName = Literal["local", "ray"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
MAX_WORKERS = 64


@dataclass(frozen=True)
class Execution:
    """How a run is computed. Nothing of it changes a score, and it may be another one whenever the run goes on.

    Raises
    ------
    core.errors.UsageError
        There is no such engine, or too many workers.
    """

    workers: int = 1
    """Processes side by side."""
    keep_images: bool = False
    """Whether results are kept as PNG."""
    engine: EngineName = "local"
    """This machine, or a Ray cluster."""

    def __post_init__(self) -> None:
        """Check it."""
        if not 1 <= self.workers <= MAX_WORKERS:
            raise UsageError(f"Workers lie between 1 and {MAX_WORKERS}; got {self.workers}.")
        if self.engine not in ENGINES:
            raise UsageError(f"Engines are {' and '.join(ENGINES)}; got {self.engine!r}.")


@dataclass(frozen=True)
class StoredRun:
    """A run."""

    id: int
    name: str
    state: str
    """`planned`, `running`, `stopped`, `paused` or `done`."""
    reason: str | None
    request: Mapping[str, Any]
    request_sha256: str
    created_at: str
    execution: Execution = Execution()
    """How it was last computed, or will be."""

    @property
    def folder(self) -> Path:
        """Where its pictures are kept."""
        return folder_of(self.name)


@dataclass(frozen=True)
class Counts:
    """How far a run is."""

    total: int
    done: int
    """With a result."""
    failed: int
    """Finished without one."""
    expected_s: float
    """Expected time of the waiting cells; 0 where that of one is not known."""

    @classmethod
    def of(cls, groups: Iterable[Sequence[Any]]) -> "Counts":
        """Sum up what the store says of a run: status (None: it waits), cells, those of them with a known time, and its sum."""
        by_status = {status: (count, expected_s if known == count else 0.0) for status, count, known, expected_s in groups}
        total = sum(count for count, _ in by_status.values())
        waiting, expected_s = by_status.get(None, (0, 0.0))
        done = by_status.get("ok", (0, 0.0))[0]
        return cls(total=total, done=done, failed=total - waiting - done, expected_s=expected_s)

    @property
    def waiting(self) -> int:
        """Not finished."""
        return self.total - self.done - self.failed


@dataclass(frozen=True)
class WaitingCell:
    """What is needed to compute a cell."""

    id: int
    picture_id: int
    dataset: str
    picture: str
    original: Path
    original_sha256: str
    small: Path | None
    small_sha256: str | None
    expected_s: float | None
    row: Row


@dataclass(frozen=True)
class FinishedCell:
    """A finished cell as the store has it."""

    id: int
    dataset: str
    dataset_sha256: str
    picture: str
    row: Row
    notes: tuple[str, ...]
    """Each conversion that was made of the picture on its way in, a sentence each."""
    pixels_sha256: str | None
    output_sha256: str | None
    environment_id: str | None


class CellScores(NamedTuple):
    """Scores of a cell under one protocol, as `benchmark.schema.ProtocolScores` has them."""

    mse: float | None
    psnr_db: float | None
    ssim: float | None
    identical: bool
    more: Mapping[str, float | None]
    """The metrics that were asked for, by id."""


class ScoredCell(NamedTuple):
    """What rankings need of a finished cell: of ten thousand of them, whole documents take four times as long to read.

    The fields are those of `FinishedCell` and `benchmark.schema.Row`.
    """

    id: int
    dataset: str
    dataset_sha256: str
    picture: str
    environment_id: str | None
    status: str
    upscaler: str
    runtime: str
    precision: str
    options: str
    """As JSON."""
    name: str | None
    aim: str | None
    runtime_version: str | None
    weights_sha256: str | None
    lr_source: str
    first_s: float | None
    warm_p50_s: float | None
    peak_rss_mib: float | None
    peak_vram_mib: float | None
    scale: int
    seed: int | None
    workers: int
    tile: int | None
    tile_limit: int | None
    verified_weights: bool | None
    contended: bool | None
    was_warm: bool | None
    scores: Mapping[str, CellScores]
    """By protocol."""
