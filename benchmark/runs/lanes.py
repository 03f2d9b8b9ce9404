"""In which order the cells of a run are computed, what is tried again, and when a model is given up.

A lane is what one process computes one after the other. All interpolators share one, picture by picture, so that a picture is read once
for all of them; every network has its own, so that it is loaded once.
"""

import json
from collections import Counter, deque
from collections.abc import Iterable, Sequence

from benchmark.storage.records import FinishedCell, WaitingCell
from benchmark.workers.pool import LIGHT_RUNTIME

ATTEMPTS = 2
"""How often a cell is computed whose process dies over it."""
GIVEN_UP_AFTER = 2
"""Pictures in a row over which a model crashed or hung; the rest of its cells is skipped."""
FATAL = ("crashed", "timeout")

Group = list[WaitingCell]
"""Cells of one picture at one scale."""


class Lane:
    """Cells that one process computes one after the other."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self._groups = deque(groups)
        self._attempts: Counter[int] = Counter()
        self._fatal_in_row: Counter[str] = Counter()
        self._given_up: set[str] = set()
        self.runtime = self._groups[0][0].row.runtime

    @property
    def expected_s(self) -> float:
        """Expected time of what waits; infinite where something is unknown."""
        return sum(cell.expected_s if cell.expected_s is not None else float("inf") for group in self._groups for cell in group)

    @property
    def pictures_waiting(self) -> int:
        """Pictures that nobody has taken."""
        return len(self._groups)

    def take(self, pictures: int) -> list[Group]:
        """The next cells, of at most so many pictures; they no longer wait."""
        return [self._groups.popleft() for _ in range(min(pictures, len(self._groups)))]

    def give_back(self, groups: Sequence[Group]) -> list[WaitingCell]:
        """Let cells wait again, before all others. Returns those that are to be skipped, as their model was given up meanwhile."""
        kept = [[cell for cell in group if entry_of(cell) not in self._given_up] for group in groups]
        self._groups.extendleft(reversed([group for group in kept if group]))
        return [cell for group in groups for cell in group if entry_of(cell) in self._given_up]

    def may_try_again(self, cell: WaitingCell) -> bool:
        """Note that a process died over a cell, and tell whether it gets another one."""
        self._attempts[cell.id] += 1
        return self._attempts[cell.id] < ATTEMPTS

    def note(self, cell: WaitingCell, status: str | None) -> list[WaitingCell]:
        """Note how a cell ended. Returns the cells that are to be skipped because their model is given up: they no longer wait."""
        entry = entry_of(cell)
        self._fatal_in_row[entry] = self._fatal_in_row[entry] + 1 if status in FATAL else 0
        return self.drop(entry) if self._fatal_in_row[entry] >= GIVEN_UP_AFTER else []

    def drop(self, entry: str) -> list[WaitingCell]:
        """Give one model up: take all its waiting cells out."""
        self._given_up.add(entry)
        dropped = [cell for group in self._groups for cell in group if entry_of(cell) == entry]
        kept = ([cell for cell in group if entry_of(cell) != entry] for group in self._groups)
        self._groups = deque(group for group in kept if group)
        return dropped


def entry_of(cell: WaitingCell | FinishedCell) -> str:
    """Which model computes a cell, at which scale and how: cells with the same use the same loaded model."""
    row = cell.row
    return json.dumps([row.upscaler, row.scale, row.runtime, row.precision, row.options, row.seed], sort_keys=True)


def plan_lanes(cells: Iterable[WaitingCell]) -> list[Lane]:
    """The lanes of a run: the interpolators, then the networks, the quickest first."""
    light: dict[int, Group] = {}
    networks: dict[str, list[Group]] = {}
    for cell in cells:
        if cell.row.runtime == LIGHT_RUNTIME:
            light.setdefault(cell.picture_id, []).append(cell)
        else:
            networks.setdefault(entry_of(cell), []).append([cell])
    lanes = sorted((Lane(groups) for groups in networks.values()), key=lambda lane: lane.expected_s)
    return [Lane(light.values()), *lanes] if light else lanes
