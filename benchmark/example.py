"""The finished comparison that greets a visitor: `python -m benchmark.example` (or `make example`) computes it anew with real models.

It is an ordinary comparison, run by the engine and then copied: its numbers are those of the machine that made it, which it names.
"""

import argparse
import io
import shutil
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

import upscalers
from benchmark import jobs, maps
from benchmark.plan import Plan
from benchmark.samples import SAMPLES, sample_path
from benchmark.schema import Comparison
from benchmark.workers.local_engine import LocalEngine
from core.errors import AppError, UsageError

SCALE = 4
MODELS = ("bicubic", "lanczos", "opencv-lapsrn", "realesr-general-x4v3")
"""What the example always shows."""
MORE_MODELS = ("dat-light",)
"""Shown as well where their weights are at hand."""
POLL_S = 0.2


def make(target: Path) -> Comparison:
    """Compare the first sample and put the result at `target`, in place of what is there.

    Raises
    ------
    core.errors.AppError
        A model is not ready, or failed.
    """
    ready = {upscaler_id: upscalers.get(upscaler_id).unavailable_reason(SCALE) for upscaler_id in (*MODELS, *MORE_MODELS)}
    for upscaler_id in MODELS:
        if reason := ready[upscaler_id]:
            raise UsageError(f"The example needs {upscaler_id}: {reason}")
    plan = Plan(scale=SCALE, upscaler_ids=[upscaler_id for upscaler_id, reason in ready.items() if reason is None])
    picture = sample_path(next(iter(SAMPLES)))
    with tempfile.TemporaryDirectory(prefix="upscale-bench-") as folder:
        engine = LocalEngine(Path(folder))
        try:
            job_id = engine.submit(plan, picture.read_bytes(), name=picture.name, user=jobs.EVERYBODY)
            while (job := engine.load(job_id)).active:
                time.sleep(POLL_S)
        finally:
            engine.close()
        if failed := [row for row in job.rows if row.status != "ok"]:
            raise AppError(f"{failed[0].upscaler} failed: {failed[0].reason}")
        _copy(Path(folder) / job_id, job, target)
    return job


def _copy(directory: Path, job: Comparison, target: Path) -> None:
    """Copy a comparison, its pictures coded as small as PNG can."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    job.id, job.host_pid, job.host_mark, job.pinned = jobs.EXAMPLE, None, None, True
    job.original_path = _shrink(directory, job.original_path, target)
    job.downscaled_path = _shrink(directory, job.downscaled_path, target)
    for row in job.rows:
        row.output_path = _shrink(directory, row.output_path, target)
    keep_maps(target, job)
    jobs.save(target, job)


def keep_maps(target: Path, job: Comparison) -> None:
    """Put the maps of where its results differ beside its pictures: who looks at the example may not be allowed to write there."""
    names = [*(maps.error_path(target, job, row) for row in job.rows), maps.disagreement_path(target, job)]
    for name in filter(None, names):
        with Image.open(target / name) as picture:
            # A map has 256 colours at most, so nothing is lost.
            indexed = picture.quantize(256, dither=Image.Dither.NONE)
        indexed.save(target / name, optimize=True)


def _shrink(directory: Path, name: str | None, target: Path) -> str:
    assert name is not None
    buffer = io.BytesIO()
    with Image.open(directory / name) as picture:
        picture.save(buffer, "PNG", optimize=True)
    return jobs.store_picture(target, buffer.getvalue())


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.example", description="Compute the comparison that greets a visitor.")
    parser.add_argument("--out", type=Path, default=jobs.EXAMPLE_FOLDER, help="where to put it")
    out = parser.parse_args().out
    try:
        job = make(out)
    except AppError as error:
        print(error, file=sys.stderr)
        return 2
    size = sum(file.stat().st_size for file in out.iterdir())
    if any(row.contended for row in job.rows):
        print("Other programs used the machine: its times are marked as contended. Make it again when it is quiet.", file=sys.stderr)
    print(f"{out}: {', '.join(row.upscaler for row in job.rows)}; {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
