"""What a dataset run teaches about the speed of this machine, for the next estimate."""

from collections.abc import Iterable
from dataclasses import dataclass

import upscalers
from benchmark import estimates
from benchmark.runs.cells import CellResult
from benchmark.schema import Row


@dataclass
class _Sum:
    row: Row
    pixels: int = 0
    seconds: float = 0.0


class Speeds:
    """Adds up times of the cells that this process saw."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, float, str, str, str], _Sum] = {}
        self._scored_mp = 0.0
        self._scoring_s = 0.0

    def add(self, results: Iterable[CellResult]) -> None:
        """Take finished cells into account; those beside other workers, and the first call of a process, say little and are left out."""
        for result in results:
            row = result.row
            spec = upscalers.find(row.upscaler)
            if row.status != "ok" or row.workers > 1 or not (row.width and row.height and row.first_s) or spec is None:
                continue
            # What was computed on request is no part of what every run costs.
            if not any(scores.more for scores in (row.scores or {}).values()):
                self._scored_mp += row.width * row.height / 1e6
                self._scoring_s += max(0.0, result.spent_s - row.first_s - row.repeats * (row.warm_p50_s or 0.0))
            spec = spec.with_tile(row.scale, row.tile_limit)
            height, width = round(row.height / row.scale), round(row.width / row.scale)
            if row.was_warm and not row.contended:
                key = (row.upscaler, row.scale, row.runtime, row.precision, str(sorted(row.options.items())))
                entry = self._models.setdefault(key, _Sum(row))
                entry.pixels += estimates.processed_pixels(spec, row.scale, height, width)
                entry.seconds += row.warm_p50_s or row.first_s

    def remember(self) -> None:
        """Keep what was learnt for `benchmark.estimates`."""
        for entry in self._models.values():
            row, spec = entry.row, upscalers.find(entry.row.upscaler)
            if spec is not None:
                estimates.record(spec, row.scale, row.runtime, row.precision, entry.pixels, entry.seconds, row.options)
        if self._scored_mp > 0:
            estimates.record_scoring(self._scoring_s / self._scored_mp)
