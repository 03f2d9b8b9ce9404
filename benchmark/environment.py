"""What machine and which versions a result comes from."""

import functools
import os
import platform
import shutil
import subprocess
from pathlib import Path

import psutil

from runtimes.base import usable_cores
from runtimes.devices import gpu_name, library_version

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("torch", "spandrel", "openvino", "opencv-contrib-python-headless", "pillow", "numpy", "streamlit")


@functools.cache
def processor_name() -> str:
    """The processor as its maker calls it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                if name and name != "unknown":
                    return name
    return platform.processor() or platform.machine()


def machine_label() -> str:
    """A few words for the page's corner: `NVIDIA H200`, or `CPU, 8 threads`."""
    threads = usable_cores()
    return gpu_name() or f"CPU, {threads} thread{'s' if threads != 1 else ''}"


@functools.cache
def machine_facts() -> dict[str, str | int | float | None]:
    """Processor, memory, system and versions, as stored with every comparison."""
    facts: dict[str, str | int | float | None] = {
        "processor": processor_name(),
        "cores": usable_cores(),
        "logical_cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": gpu_name(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "upscale-bench": library_version("upscale-bench"),
    }
    return facts | {library: library_version(library) for library in LIBRARIES}


@functools.cache
def run_facts() -> dict[str, str | int | float | None]:
    """`machine_facts`, and the commit of this program where it runs from a clone; `-dirty` where files differ from it."""
    return machine_facts() | {"commit": _commit()}


def _commit() -> str | None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return None
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None
