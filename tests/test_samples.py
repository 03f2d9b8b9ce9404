"""The pictures on offer; those that this project draws are what their generator gives, and hold what they promise."""

import io

import numpy as np
import pytest
from PIL import Image

from assets.drawing import scene, sheet
from benchmark.samples import DRAWN, SAMPLES, sample_path
from core.image import decode

MAX_BYTES = 300_000


@pytest.mark.parametrize("label", SAMPLES)
def test_each_sample_is_accepted_like_an_upload(label: str) -> None:
    picture = decode(sample_path(label).read_bytes(), name=sample_path(label).name)
    assert min(picture.width, picture.height) >= 300


@pytest.mark.parametrize(("name", "draw"), [("text.png", sheet.draw), ("drawing.png", scene.draw)])
def test_the_drawn_ones_are_what_the_generator_draws(name: str, draw) -> None:
    drawn = draw()
    stored = DRAWN / name
    assert stored.stat().st_size < MAX_BYTES
    again = io.BytesIO()
    draw().save(again, "PNG")
    assert np.array_equal(np.asarray(Image.open(again)), np.asarray(drawn))
    # Another build of FreeType may shade the edges of letters a little differently.
    difference = np.abs(np.asarray(Image.open(stored)).astype(int) - np.asarray(drawn))
    assert drawn.size == (1024, 768)
    assert difference.mean() < 0.5


def test_the_sheet_has_patterns_down_to_single_pixels() -> None:
    grey = np.asarray(Image.open(DRAWN / "text.png").convert("L")).astype(int)
    left, top = sheet.MIDDLE, 272
    checker = grey[top : top + 54, left : left + 54]
    assert set(np.unique(checker)) == {22, 252}
    assert np.array_equal(checker[1:], checker[:-1][:, ::-1])
    # The spokes meet at the middle of the star: a ring around it crosses 36 dark and 36 light ones.
    angles = np.radians(np.arange(0, 360, 0.25))
    middle = sheet.MIDDLE + 98 - 0.5, 44 + 98 - 0.5
    ring = grey[np.rint(middle[1] + 85 * np.sin(angles)).astype(int), np.rint(middle[0] + 85 * np.cos(angles)).astype(int)]
    changes = np.count_nonzero(np.diff(np.r_[ring, ring[0]] > 137))
    assert changes == 72


def test_the_drawing_has_flat_areas_and_gradients() -> None:
    rgb = np.asarray(Image.open(DRAWN / "drawing.png").convert("RGB")).astype(int)
    flat = (np.abs(np.diff(rgb, axis=1)).sum(axis=-1) == 0).mean()
    assert 0.5 < flat < 0.97
    sky = rgb[20:440, 480]
    assert len(np.unique(sky, axis=0)) > 100
