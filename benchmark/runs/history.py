"""What the finished cells of a run say about those that still wait."""

from benchmark.runs.lanes import FATAL, GIVEN_UP_AFTER, entry_of
from benchmark.storage.records import StoredRun
from benchmark.storage.store import Store


def given_up(store: Store, run: StoredRun) -> set[str]:
    """The models that crashed or hung on the last pictures before the run was interrupted, by `benchmark.runs.lanes.entry_of`."""
    endings: dict[str, list[str | None]] = {}
    for cell in store.finished(run):
        if cell.row.status != "skipped":
            endings.setdefault(entry_of(cell), []).append(cell.row.status)
    return {
        entry
        for entry, statuses in endings.items()
        if len(last := statuses[-GIVEN_UP_AFTER:]) == GIVEN_UP_AFTER and set(last) <= set(FATAL)
    }


def weights_in_use(store: Store, run: StoredRun) -> dict[str, str | None]:
    """The weights that each model had in the run's earlier results."""
    return {entry_of(cell): cell.row.weights_sha256 for cell in store.finished(run) if cell.row.status == "ok"}
