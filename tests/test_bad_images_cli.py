"""Awkward and damaged files: refused by the command line, or carried through the whole engine."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from benchmark.plan import Plan
from benchmark.workers.local_engine import LocalEngine
from tests.engine_helpers import run
from tests.test_bad_images import ACCEPTED, REFUSED

TOO_SMALL = {"1x1.png", "1x5000.png"}


def compare(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", "compare", str(path), "--scale", "2", "--upscalers", "bicubic", "--repeats", "0", "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", [*REFUSED, *sorted(TOO_SMALL)])
def test_a_file_that_can_not_be_compared_is_one_line_and_exit_code_2(name: str, bad_inputs: Path) -> None:
    done = compare(bad_inputs / "images" / name)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert re.search(REFUSED.get(name, "at least 2x2"), done.stderr)
    assert str(bad_inputs) not in done.stderr


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    made = LocalEngine(tmp_path_factory.mktemp("comparisons"))
    yield made
    made.close()


@pytest.mark.parametrize("name", sorted(set(ACCEPTED) - TOO_SMALL))
def test_an_awkward_file_is_compared_and_its_conversions_are_noted(name: str, bad_inputs: Path, engine: LocalEngine) -> None:
    job = run(engine, Plan(scale=2, upscaler_ids=["bicubic"], repeats=0), (bad_inputs / "images" / name).read_bytes(), name=name)
    width, height, channels, alpha, note = ACCEPTED[name]
    assert job.image is not None
    assert (job.image.width, job.image.height, job.image.stored_channels) == (width, height, channels)
    assert [row.status for row in job.rows] == ["ok"]
    if note:
        assert note in job.image.notes
    assert any("scores are taken on white" in each for each in job.image.notes) == alpha
    with Image.open(engine.root / job.id / str(job.rows[0].output_path)) as stored:
        assert stored.mode == ("RGBA" if alpha else "RGB")
        assert not stored.getexif()
        assert "icc_profile" not in stored.info
