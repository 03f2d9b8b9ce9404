"""What a stored row's upscaler is called, also when it is no longer in the registry."""

from dataclasses import dataclass

import upscalers
from benchmark.schema import Row
from upscalers.spec import Aim

GONE = "No longer on this machine."


@dataclass(frozen=True)
class Label:
    """How a row is presented."""

    name: str
    aim: Aim
    summary: str


def label_of(row: Row) -> Label:
    """The words for a row: as it was planned and, where an older version did not note that down, as the registry has it now."""
    spec = upscalers.find(row.upscaler)
    return Label(
        name=row.name or (spec.name if spec else row.upscaler),
        aim=row.aim or (spec.aim if spec else "faithful"),
        summary=spec.summary if spec else GONE,
    )
