"""The pictures that the app offers to those who bring none."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from core.errors import AppError

DRAWN = Path(__file__).resolve().parent.parent / "assets" / "samples"
SAMPLES: Mapping[str, str] = {
    "Astronaut": "astronaut.png",
    "Cat": "chelsea.png",
    "Coffee": "coffee.png",
    "Rocket": "rocket.jpg",
    "Text": "text.png",
    "Drawing": "drawing.png",
}
"""File names under the names that visitors see. The photos come with scikit-image, the others are drawn by `assets/drawing`."""


def sample_path(label: str) -> Path:
    """Where a sample lies. Raises `AppError` when it is not installed."""
    drawn = DRAWN / SAMPLES[label]
    if drawn.is_file():
        return drawn
    package = importlib.util.find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise AppError("The sample pictures come with scikit-image, which is not installed: run `pip install -r requirements.txt`.")
    return Path(package.submodule_search_locations[0]) / "data" / SAMPLES[label]
