"""Which accelerators this machine has, told without importing a library that takes seconds."""

import functools
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version


@functools.cache
def gpu_name() -> str | None:
    """The first NVIDIA GPU, asked from its driver without importing PyTorch; None without one."""
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    names = asked.stdout.strip().splitlines()
    return names[0].strip() if asked.returncode == 0 and names else None


def has_gpu() -> bool:
    """Whether PyTorch will compute on an NVIDIA GPU, as far as can be told without importing it."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}
    return gpu_name() is not None and not hidden and not (library_version("torch") or "").endswith("+cpu")


def accelerates_torch() -> bool:
    """Whether PyTorch will find a device that is faster than the CPU: an NVIDIA GPU, or Apple's."""
    return has_gpu() or (sys.platform == "darwin" and platform.machine() == "arm64")


@functools.cache
def library_version(package: str) -> str | None:
    """The installed version of a package, without importing it; None where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
