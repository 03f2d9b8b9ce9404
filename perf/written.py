"""Where measurements are kept: perf/results/, a file per machine and kind, and from there the README."""

import re
from pathlib import Path

from benchmark.environment import machine_facts, processor_name
from core.marked_text import fill
from runtimes.devices import gpu_name

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "perf" / "results"


def machine_name(device: str = "cpu") -> str:
    """Such as `AMD EPYC, 2 cores`."""
    return f"{(gpu_name() if device != 'cpu' else None) or processor_name()}, {machine_facts()['cores']} cores"


def results_path(kind: str = "", device: str = "cpu") -> Path:
    """The Markdown file of one kind of measurement on this machine; the bench itself has no kind."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    return RESULTS / (re.sub(r"[^a-z0-9]+", "-", f"{machine_name(device)} {kind}".lower()).strip("-") + ".md")


def put_into_readme(kind: str, text: str) -> None:
    """Replace what stands between the two marks of a kind. Raises `ValueError` when a mark is missing."""
    fill(ROOT / "README.md", f"<!-- {kind}: begin -->", f"<!-- {kind}: end -->", text)


def keep(kind: str, text: str, *, readme: bool) -> None:
    """Write Markdown to its file, and into the README where that is asked for."""
    path = results_path(kind)
    path.write_text(text, encoding="utf-8")
    print(f"{text}\nwritten to {path.relative_to(ROOT)}")
    if readme:
        put_into_readme(kind, text)
