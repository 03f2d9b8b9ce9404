"""What a plan amounts to, before it is started."""

from dataclasses import dataclass

from benchmark.runs.plan import RunPlan


@dataclass(frozen=True)
class Forecast:
    """How much work a plan is."""

    pictures: int
    cells: int
    expected_s: float
    """Of one worker, for the cells of which something is known."""
    unknown: int
    """Cells of which nothing is known."""
    slowest: tuple[tuple[str, float], ...]
    """The upscalers with their expected seconds, the slowest first."""
    left_out: tuple[str, ...]
    """The upscalers that the plan names and that have no cell, as they can't run so."""


def forecast(plan: RunPlan) -> Forecast:
    """Count the cells that a plan will have, and add up what is expected of them. Cells that can't run here take no time."""
    expected: dict[str, float] = {}
    cells = plan.cells()
    present = {cell.row.upscaler for cell in cells}
    waiting = [cell for cell in cells if cell.row.status is None]
    for cell in waiting:
        expected[cell.row.upscaler] = expected.get(cell.row.upscaler, 0.0) + (cell.expected_s or 0.0)
    return Forecast(
        pictures=sum(len(dataset) for dataset in plan.datasets),
        cells=len(cells),
        expected_s=sum(expected.values()),
        unknown=sum(cell.expected_s is None for cell in waiting),
        slowest=tuple(sorted(expected.items(), key=lambda item: -item[1])),
        left_out=tuple(name for name in dict.fromkeys(plan.upscaler_ids) if name not in present),
    )
