"""What a stored row's upscaler is called, also when it is no longer in the registry."""

from dataclasses import dataclass
from typing import Literal

import upscalers
from benchmark.schema import Row
from upscalers.spec import Aim

GONE = "No longer on this machine."
Kind = Aim | Literal["added"]
"""What results are compared within: their aim; that of one which another tool made is not known."""


@dataclass(frozen=True)
class Label:
    """How a row is presented."""

    name: str
    aim: Kind
    summary: str


def label_of(row: Row) -> Label:
    """The words for a row: as it was added or planned and, where an older version did not note that down, as the registry has it now."""
    if row.given is not None:
        # Never in the registry, whatever ids it may hold.
        return Label(row.name or row.upscaler, "added", " ".join([f"Added from the file {row.given.name}.", *row.given.notes]))
    spec = upscalers.find(row.upscaler)
    return Label(
        name=row.name or (spec.name if spec else row.upscaler),
        aim=row.aim or (spec.aim if spec else "faithful"),
        summary=spec.summary if spec else GONE,
    )
