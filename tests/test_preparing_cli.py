"""`upscale-bench prepare`: exit codes, one line for each network, and nothing done twice."""

from pathlib import Path

import pytest

from tests import networks
from tests.test_cli import run


def test_what_needs_no_conversion_is_ready_and_what_lacks_weights_says_what_to_do() -> None:
    done = run("prepare", "bicubic", "lanczos")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Nothing to prepare" in done.stderr
    done = run("prepare", "dat-s", "--scale", "2")
    assert done.returncode == 1
    assert "upscale-bench weights fetch dat-s" in done.stderr


def test_wrong_use_ends_with_2_and_one_line() -> None:
    wrong = ((("dat-lite",), "dat-light"), (("dat-light", "--scale", "7"), "x7"), (("dat-light", "--precision", "f16"), "f16"))
    for arguments, part in wrong:
        done = run("prepare", *arguments)
        assert done.returncode == 2
        assert part in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.long
def test_a_network_is_converted_once_and_the_command_line_offers_it(tmp_path: Path) -> None:
    from PIL import Image

    networks.write_compact(tmp_path / "realesr-animevideov3.pth", scale=4, convolutions=2, features=8)
    Image.new("RGB", (80, 80), "teal").save(tmp_path / "a.png")
    here = {"UPSCALE_BENCH_WEIGHTS": str(tmp_path)}
    compare = ("compare", tmp_path / "a.png", "--upscalers", "realesr-animevideov3", "--repeats", "0", "--json")
    before = run(*compare, **here)
    assert '"runtime": "torch"' in before.stdout
    assert "Faster next time: `upscale-bench prepare realesr-animevideov3 --scale 4`." in before.stderr
    for expected in ("converted", "ready already"):
        done = run("prepare", "realesr-animevideov3", **here)
        assert done.returncode == 0
        assert f"realesr-animevideov3 x4: {expected}" in done.stderr
    after = run(*compare, **here)
    assert '"runtime": "openvino"' in after.stdout
    assert "Faster" not in after.stderr
