"""A row between its first call and the last of its warm ones: what its calls took, and what follows from that."""

from dataclasses import dataclass, field

import upscalers
from benchmark import estimates
from benchmark.schema import Row
from benchmark.timing import RUN_ONCE_ABOVE_S, ContentionMeter, median, percentile, wants_another_call
from benchmark.workers.process import Model


@dataclass(eq=False)
class TimedRow:
    """What is kept of a row between the passes."""

    row: Row
    model: Model
    first_meter: ContentionMeter
    """Of the first call."""
    calls_s: list[float] = field(default_factory=list)
    """The warm calls so far."""
    warm_meter: ContentionMeter = field(default_factory=ContentionMeter)
    """Of the warm calls."""

    def wants_another_call(self, exactly: int | None) -> bool:
        """Whether it gets one more; see `benchmark.timing.wants_another_call`."""
        return wants_another_call(self.calls_s, self.row.first_s or 0.0, exactly)

    def sum_up(self, size: tuple[int, int], exactly: int | None) -> None:
        """Put into the row what its calls took, and keep that for later estimates.

        Parameters
        ----------
        size:
            Height and width of what was enlarged, in pixels.
        exactly:
            The number of warm calls that a person asked for, if one did.
        """
        row, calls_s = self.row, self.calls_s
        row.repeats = len(calls_s)
        row.contended = (self.warm_meter if calls_s else self.first_meter).contended
        if calls_s:
            row.warm_p50_s, row.warm_p95_s = median(calls_s), percentile(calls_s, 0.95)
        elif row.timing_note is None:
            asked = exactly is not None
            row.timing_note = "Not repeated, as asked." if asked else f"Run once: one call takes over {RUN_ONCE_ABOVE_S:g} s."
        typical_s = row.warm_p50_s or row.first_s
        if typical_s and row.width and row.height:
            row.output_mp_per_s = row.width * row.height / 1e6 / typical_s
            # The first call of a quick model is mostly set-up and says nothing about its speed.
            _remember(row, size, typical_s if calls_s or typical_s > RUN_ONCE_ABOVE_S else None)
        row.stage = "done"


def _remember(row: Row, size: tuple[int, int], typical_s: float | None) -> None:
    """Keep time, where it is one, and memory for later estimates."""
    spec = upscalers.find(row.upscaler)
    if spec is None:
        return
    spec = spec.with_tile(row.scale, row.tile_limit)
    if typical_s is not None and not row.contended:
        pixels = estimates.processed_pixels(spec, row.scale, *size)
        estimates.record(spec, row.scale, row.runtime, row.precision, pixels, typical_s, row.options)
    if row.base_rss_mib is not None and row.peak_rss_mib is not None:
        estimates.record_memory(spec, row.scale, row.runtime, row.precision, size, row.base_rss_mib, row.peak_rss_mib)
