"""How much memory this process used at most."""

from pathlib import Path

CLEAR_REFS = Path("/proc/self/clear_refs")


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
