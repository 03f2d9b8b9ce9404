"""What "Use this model" tells a person to type gives the picture that the page shows."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.plan import Plan
from benchmark.presentation.facts import is_link
from benchmark.presentation.use_model import use_of
from benchmark.schema import GivenFile
from benchmark.workers.local_engine import LocalEngine
from tests.comparisons import row_of
from tests.engine_helpers import directory, run
from tests.pictures import png, scene

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("upscaler_id", ["lanczos", "opencv-espcn", pytest.param("realesr-general-x4v3", marks=pytest.mark.long)])
def test_command_and_python_give_the_stored_result(upscaler_id: str, weights_at_hand: list[Path], tmp_path: Path) -> None:
    options = {"realesr-general-x4v3": {"realesr-general-x4v3": {"denoise": 0.5}}}.get(upscaler_id, {})
    engine = LocalEngine()
    try:
        job = run(engine, Plan(scale=4, upscaler_ids=[upscaler_id], options=options, repeats=0), png(scene(64, 48)))
    finally:
        engine.close()
    stored, row = directory(engine, job), job.rows[0]
    expected = np.asarray(Image.open(stored / str(row.output_path))).astype(int)
    (tmp_path / "photo.png").write_bytes((stored / str(job.downscaled_path)).read_bytes())
    use = use_of(row)
    assert use.command is not None
    assert use.python is not None
    assert len(use.python.splitlines()) == 3
    command = shlex.split(use.command)
    assert command[0] == "upscale-bench"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for typed in ([sys.executable, "-m", "cli", *command[1:]], [sys.executable, "-c", use.python]):
        (tmp_path / "result.png").unlink(missing_ok=True)
        done = subprocess.run(typed, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        given = np.asarray(Image.open(tmp_path / "result.png")).astype(int)
        # Networks may add up in another order in another process.
        assert np.abs(given - expected).max() <= (0 if upscaler_id == "lanczos" else 1)


def test_what_differs_from_the_defaults_is_written_out_and_quoted() -> None:
    prompt = 'it\'s a $HOME "bird"'
    options = {"prompt": prompt, "steps": 20, "guidance": 7.5}
    row = row_of("sd-x4-upscaler", runtime="torch", seed=7, options=options, tile_limit=96)
    use = use_of(row)
    assert use.command is not None
    assert use.python is not None
    words = shlex.split(use.command)
    assert f"sd-x4-upscaler.prompt={prompt}" in words
    assert words[words.index("--seed") + 1] == "7"
    called: dict[str, object] = {}
    code = (
        use.python.replace("from upscalers import upscale\n", "").replace('.save("result.png")', "").replace('Image.open("photo.png")', "0")
    )
    exec(code, {"upscale": lambda picture, name, **keywords: called.update(keywords, name=name)})  # the line is code: what it passes counts
    assert called["prompt"] == prompt
    assert called["seed"] == 7
    assert called["tile_px"] == 96
    assert words[words.index("--tile") + 1] == "96"
    assert called["name"] == "sd-x4-upscaler"
    assert "--option" not in str(use_of(row_of("bicubic")).command)


def test_an_upscaler_that_is_gone_has_facts_but_no_command() -> None:
    use = use_of(row_of("custom-lost", name="Lost", weights_sha256="cd" * 32, verified_weights=False))
    assert use.name == "Lost"
    assert use.command is None
    assert use.python is None
    assert dict(use.facts)["SHA-256 used"] == f"{'cd' * 32} (unverified: it is not the published one)"


def test_an_added_result_is_no_models_even_under_a_models_id() -> None:
    use = use_of(row_of("bicubic", name="Mine", given=GivenFile(name="mine", sha256="ef" * 32)))
    assert use.name == "Mine"
    assert use.command is None
    assert dict(use.facts)["SHA-256 of its file"] == "ef" * 32


@pytest.mark.parametrize("text", ["javascript:alert(1)", "http://example.org", "https://a b", 'https://a"onclick=', "https://a<b", ""])
def test_only_plain_https_addresses_become_links(text: str) -> None:
    assert not is_link(text)
    assert is_link("https://arxiv.org/abs/2107.10833")
