"""What runs on a node of a Ray cluster: a model in a process, and what it says of the place where it is."""

import contextlib
import hashlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

from benchmark.environment import run_facts
from benchmark.failures import failure_of
from benchmark.ray.forms import Form, is_missing, keep_form
from benchmark.runs.cells import CellResult, PictureTask
from benchmark.schema import RowStatus
from benchmark.workers.worker import Loaded, ModelBench, ModelKey
from core.errors import UnavailableError

CODE = ("benchmark", "core", "metrics", "runtimes", "upscalers")
"""The packages that decide about pixels and scores."""
LIBRARIES = ("numpy", "Pillow", "opencv-contrib-python-headless", "torch", "openvino", "spandrel", "ray")


@dataclass(frozen=True)
class Node:
    """What an actor says of the place where it runs."""

    id: str
    host: str
    pid: int
    code: str
    """Hash of this program's source files there."""
    versions: Mapping[str, str]
    facts: Mapping[str, str | int | float | None]


@cache
def code_sha256() -> str:
    """Hash of the source files that decide about pixels and scores."""
    root = Path(__file__).resolve().parents[2]
    total = hashlib.sha256()
    for path in sorted(path for package in CODE for path in (root / package).rglob("*.py")):
        total.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def versions() -> dict[str, str]:
    """Releases of Python and of the libraries that decide about pixels and scores."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            found[name] = version(name)
    return found


def check_node(node: Node) -> None:
    """Refuse a node that would not compute the same. Raises `core.errors.UnavailableError`."""
    here = versions()
    names = sorted(here.keys() | node.versions.keys())
    other = [
        f"{name} {node.versions.get(name, 'missing')} there, {here.get(name, 'missing')} here"
        for name in names
        if node.versions.get(name) != here.get(name)
    ]
    if other:
        raise UnavailableError(f"Node {node.host} has other libraries ({'; '.join(other)}): install the same there.")
    if node.code != code_sha256():
        raise UnavailableError(f"Node {node.host} has another version of Upscale Bench: install the same commit there.")


class BenchActor:
    """The process of a model on a node."""

    def __init__(self) -> None:
        self._bench = ModelBench()
        self._folder = Path(tempfile.mkdtemp(prefix="upscale-bench-cells-"))

    def node(self) -> Node:
        """Where it runs."""
        import ray

        context = ray.get_runtime_context()
        return Node(context.get_node_id(), socket.gethostname(), os.getpid(), code_sha256(), versions(), run_facts())

    def lacks_form(self, key: ModelKey) -> bool:
        """Whether a model needs a converted network that this node does not have."""
        return is_missing(key)

    def load(self, key: ModelKey, form: Form | None = None) -> Loaded | tuple[RowStatus, str]:
        """Load a model, whose converted network may come with it; what went wrong where it can't be."""
        try:
            if form is not None:
                keep_form(key, form)
            return self._bench.load(key, progress=_silent)
        except Exception as error:  # noqa: BLE001 - it becomes the reason of its cells
            return failure_of(error, key.upscaler)

    def compute(self, key: ModelKey, tasks: Sequence[PictureTask], files: Mapping[str, bytes]) -> Iterator[tuple[CellResult, bytes | None]]:
        """Compute cells; each is handed out as soon as it is finished, with the PNG that is to be kept."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            kept = Path(folder) / "results"
            kept.mkdir()
            for task in tasks:
                here = _on_this_node(task, files, Path(folder), kept)
                finished: list[CellResult] = []
                # Cell by cell, so that each leaves before the next begins.
                for cell in here.cells:
                    self._bench.cells(key, [replace(here, cells=(cell,))], progress=_silent, part=finished.append)
                    result = finished.pop()
                    png = kept / result.row.output_path if result.row.output_path else None
                    yield result, png.read_bytes() if png else None
                    if png:
                        png.unlink()


def _silent(done: int, total: int) -> None:
    """Tiles of a cell are of no interest to the run."""


def _on_this_node(task: PictureTask, files: Mapping[str, bytes], folder: Path, kept: Path) -> PictureTask:
    def put(path: Path | None, sha256: str | None) -> Path | None:
        if path is None or sha256 is None:
            return path
        # The name stays: it says what format the file should have, and messages name it.
        place = folder / sha256[:16] / path.name
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(files[sha256])
        return place

    original = put(task.original, task.original_sha256)
    assert original is not None
    return replace(task, original=original, small=put(task.small, task.small_sha256), keep_in=kept if task.keep_in else None)
