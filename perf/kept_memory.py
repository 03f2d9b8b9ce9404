"""A network in PyTorch's eager mode with the allocator as it comes and with freed memory kept, each in several processes in turn: the
fastest call of each process, and how many pages it took in.

python perf/kept_memory.py WEIGHTS [--processes 4] [--side 160]
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from core.memory import keep_freed_memory, peak_memory_mib

CALLS = 7


def calls(weights: str, side: int, *, kept: bool) -> tuple[float, int, float]:
    """Of the fastest of some calls in this process: seconds and pages; and the process's largest memory in MiB."""
    if kept:
        keep_freed_memory()
    import spandrel
    import torch

    from runtimes.base import usable_cores

    torch.set_num_threads(usable_cores())
    network = spandrel.ModelLoader().load_from_file(weights).model.eval()
    picture = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    seen = []
    with torch.no_grad():
        for _ in range(CALLS):
            pages, started = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
            network(picture)
            seen.append((time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - pages))
    return *min(seen), peak_memory_mib() or 0.0


def main() -> None:
    """Print a line for each process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="a file that spandrel reads")
    parser.add_argument("--side", type=int, default=160, help="of the picture, in pixels")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--inside", choices=("as it comes", "kept"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        print(json.dumps(calls(asked.weights, asked.side, kept=asked.inside == "kept")))
        return
    for _ in range(asked.processes):
        for how in ("as it comes", "kept"):
            command = [sys.executable, __file__, asked.weights, "--side", str(asked.side), "--inside", how]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds, pages, peak_mib = json.loads(done.stdout.splitlines()[-1])
            print(f"{how:12} {1000 * seconds:6.0f} ms, {pages:7} pages, {peak_mib:.0f} MiB at most")


if __name__ == "__main__":
    main()
