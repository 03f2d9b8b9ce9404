"""Connecting to a Ray cluster, and not to one that lets anybody in.

Whoever reaches the ports of a cluster without a token can run code on its nodes as the user who started it. Ray 2.54 and newer make a
token when a cluster is started from Python, but not always for `ray start`; see docs/cluster.md.
"""

import contextlib
import importlib.util
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Set
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core.errors import UnavailableError, UsageError
from runtimes.base import usable_cores

OLDEST = (2, 54)
"""Older releases let a web page run code on a cluster (CVE-2026-27482)."""
LOOPBACK = "127.0.0.2"
"""Where a cluster of our own listens. Ray takes 127.0.0.1 for a name of the machine's outer address."""
PROBE_TIMEOUT_S = 30.0
PROBE = "import sys, ray; ray.init(sys.argv[1], logging_level='CRITICAL', log_to_driver=False); print('open')"


def cluster_options(*, allow_open: bool = False) -> dict[str, Any]:
    """The cluster that this program is told of, as `benchmark.workers.local_engine.LocalEngine.run_dataset` takes it."""
    return {"address": os.environ.get("RAY_ADDRESS"), "allow_open": allow_open}


def unavailable_reason() -> str | None:
    """Why no cluster can be used from here, in one line; None where one can."""
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed: pip install -r requirements-ray.txt"
    if tuple(int(part) for part in version("ray").split(".")[:2]) < OLDEST:
        return f"Ray {version('ray')} is not safe: {OLDEST[0]}.{OLDEST[1]} or newer is needed (pip install -U ray)."
    return None


def processors(lost: Set[str] = frozenset()) -> float:
    """Processors of the nodes that are alive; `lost` are known not to be, though Ray may need half a minute to see it."""
    import ray

    return sum(node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"] and node["NodeID"] not in lost)


def connect(address: str | None, workers: int, *, allow_open: bool = False) -> None:
    """Connect this process to a cluster, or start one on this machine that only this machine reaches.

    Raises
    ------
    core.errors.UnavailableError
        Ray is missing or too old, or the cluster can't be reached.
    core.errors.UsageError
        The cluster lets anybody in.
    """
    if reason := unavailable_reason():
        raise UnavailableError(reason)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        # A mode that somebody chose for other clusters must not open this one; Ray reads it when it is imported.
        os.environ.pop("RAY_AUTH_MODE", None)
    import ray

    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address is None:
        ray.init(address="local", num_cpus=max(workers, usable_cores()), include_dashboard=False, _node_ip_address=LOOPBACK, **quiet)
        protect_token()
        return
    protect_token()
    if not allow_open and is_open(address):
        raise UsageError(
            f"The Ray cluster at {address} lets anybody who reaches it run code. Start it with RAY_AUTH_MODE=token, "
            "as docs/cluster.md says."
        )
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UnavailableError(f"The Ray cluster at {address} can't be reached: {str(error).splitlines()[0]}") from error


def is_open(address: str) -> bool:
    """Whether a cluster takes somebody in who shows no token: tried, from a process that has none."""
    without = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    with tempfile.TemporaryDirectory() as home:
        # A home of its own, so that no token lies where Ray looks for one.
        environment = {**without, "RAY_AUTH_MODE": "disabled", "HOME": home}
        with contextlib.suppress(subprocess.TimeoutExpired):
            tried = subprocess.run(
                [sys.executable, "-c", PROBE, address],
                env=environment,
                capture_output=True,
                text=True,
                timeout=PROBE_TIMEOUT_S,
                check=False,
            )
            return tried.returncode == 0 and "open" in tried.stdout
    return False


def protect_token() -> None:
    """Take the rights of others from the file with the cluster's token: Ray writes it so that everybody on the machine may read it."""
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    with contextlib.suppress(FileNotFoundError, PermissionError):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
