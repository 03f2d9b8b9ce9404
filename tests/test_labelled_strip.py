"""The labelled strip that leaves the program: each name stands over its own tile."""

from pathlib import Path

import numpy as np
import pytest

from benchmark import export, jobs
from tests.comparisons import row_of, scores_of, store
from tests.pictures import scene

LONG = "The result of a tool whose author gave it sixty letters, 2026"
ONE_WORD = "w" * 60
GAP = 8
NARROWEST = 96


@pytest.mark.parametrize("size", [(64, 48), (400, 300)])
@pytest.mark.parametrize("name", [LONG, ONE_WORD, "名前" * 30])
def test_a_long_name_stays_over_its_own_tile(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    names = [name, "Short", name]
    rows = {f"given-{index}": row_of(f"given-{index}", name=each, scores=scores_of(30.0)) for index, each in enumerate(names)}
    picture = scene(*size)
    directory = store(tmp_path, picture, picture[::4, ::4], dict.fromkeys(rows, picture), rows)
    sheet = np.asarray(export.strip(directory, jobs.load(directory)).convert("L"))
    tile = max(NARROWEST, min(384, size[0]))
    assert sheet.shape[1] == 5 * (tile + GAP) + GAP
    label_rows = sheet.shape[0] - min(384, size[1]) - GAP
    for index in range(6):
        left = index * (tile + GAP)
        assert (sheet[:label_rows, left : left + GAP] == 255).all(), f"something is written before tile {index}"
    for index in range(5):
        left = GAP + index * (tile + GAP)
        assert (sheet[:label_rows, left : left + tile] < 128).any(), f"tile {index} has no label"
    # Nothing of a label reaches into the pictures: a line above them is free.
    assert (sheet[label_rows - 4 : label_rows] == 255).all()
