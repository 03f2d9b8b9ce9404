"""Finished comparisons that no model has run for: pictures and numbers are what a test says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark import jobs
from benchmark.schema import Comparison, ImageFacts, ProtocolScores, Row
from core.image import RGB8
from tests.pictures import png

MACHINE = {"processor": "Abacus 5", "cores": 2, "memory_gib": 8.0, "gpu": None, "pillow": "13.0.0"}


def scores_of(psnr_db: float) -> dict[str, ProtocolScores]:
    """Scores that differ from protocol to protocol."""
    return {
        protocol: ProtocolScores(mse=12.5 + index, psnr_db=psnr_db + index, ssim=0.75 + index / 100, fingerprint=f"{index}" * 16)
        for index, protocol in enumerate(("rgb", "y", "y-float"))
    }


def row_of(upscaler: str, **facts: Any) -> Row:
    """A finished row."""
    usual = {"scale": 4, "runtime": "pillow", "precision": "f32", "threads": 1, "lr_source": "bicubic", "status": "ok", "stage": "done"}
    return Row(**{"upscaler": upscaler, **usual, **facts})


def store(root: Path, original: RGB8, small: RGB8, results: Mapping[str, RGB8], rows: Mapping[str, Row], **facts: Any) -> Path:
    """Write a comparison; returns its directory. Rows without a result stay without a picture."""
    directory = root / "0123456789abcdef"
    directory.mkdir(parents=True)
    height, width = original.shape[:2]
    for upscaler, picture in results.items():
        rows[upscaler].output_path = jobs.store_picture(directory, png(picture))
        rows[upscaler].width, rows[upscaler].height = width, height
    image = ImageFacts(name="bird", sha256="ab" * 32, width=width, height=height, stored_channels=3, has_alpha=False, notes=["Cropped."])
    usual: dict[str, Any] = {
        "id": directory.name,
        "user": "tester",
        "created_at": "2026-03-09T14:05:06.000+00:00",
        "finished_at": "2026-03-09T14:06:07.000+00:00",
        "state": "done",
        "mode": "restore",
        "scale": 4,
        "downscale": "bicubic",
        "image": image,
        "original_path": jobs.store_picture(directory, png(original)),
        "downscaled_path": jobs.store_picture(directory, png(small)),
        "downscaled_height": small.shape[0],
        "downscaled_width": small.shape[1],
        "machine": MACHINE,
        "rows": list(rows.values()),
    }
    jobs.save(directory, Comparison(**{**usual, **facts}))
    return directory
