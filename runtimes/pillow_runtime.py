"""Pillow: no network, but what runs the interpolators, so that they appear in the same columns as everything else."""

from importlib.metadata import version

from core.errors import UnavailableError
from runtimes.base import NetworkSource, Placement, Runtime, Session


class PillowRuntime(Runtime):
    """Resampling by Pillow, single-threaded."""

    id = "pillow"
    name = "Pillow"
    module = "PIL"

    def version(self) -> str:
        """Name and version."""
        return f"Pillow {version('pillow')}"

    def open(self, source: NetworkSource, placement: Placement) -> Session:
        """Always refuses: Pillow runs no networks."""
        raise UnavailableError("Pillow resamples pictures and runs no networks: choose torch or opencv.")
