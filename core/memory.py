"""How much memory this process used at most, and when it gives memory back."""

import ctypes
from pathlib import Path

from core.settings import MIB

CLEAR_REFS = Path("/proc/self/clear_refs")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BLOCK_MIB = 32
"""The largest block that is kept when it is freed: the most that glibc allows."""


def keep_freed_memory() -> bool:
    """Have this process keep blocks of some megabytes that it freed, and use them again.

    glibc's allocator begins by giving each block of more than 128 KiB back to the system. Arithmetic on arrays of a megabyte then
    spends nearly half of its time on taking in new pages, and a network in PyTorch takes in a gigabyte at each call. It learns from
    the largest block that was ever freed, up to the limits that are set here at once; so what is kept is no more than after a large
    picture. Source: mallopt(3).

    Returns whether the system has it (Linux with glibc).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK_MIB * MIB) and mallopt(M_TRIM_THRESHOLD, 2 * KEPT_BLOCK_MIB * MIB))


def clear_peak_memory() -> bool:
    """Start a new measurement of this process's largest resident memory. Source: proc(5), `/proc/pid/clear_refs`.

    Returns whether the system has it (Linux).
    """
    try:
        CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return True


def peak_memory_mib() -> float | None:
    """This process's largest resident memory since `clear_peak_memory`, in MiB; None where the system doesn't tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return int(line.split()[1]) / 1024 if line else None
