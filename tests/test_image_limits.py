"""Limits of pixels, sides, bytes, time and memory."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import ImageError
from core.image import decode, decode_file
from tests import awkward_images as make
from tests.test_bad_images import DAMAGED, MADE, png, refusal


@pytest.mark.parametrize("container", ["PNG", "JPEG", "WebP", "TIFF", "BMP"])
def test_the_limit_of_pixels_is_exact(container: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_MAX_INPUT_MP", "0.006")
    assert decode(make.saved(make.photo(60, 100), container)).width == 100
    message = refusal(make.saved(make.photo(61, 100), container))
    assert re.fullmatch(r"100.61 is 0\.1 MP; limit is 0\.006 MP\. Shrink or crop the picture\.", message)


def test_the_default_limit_never_reads_as_equal_to_what_it_refuses() -> None:
    assert re.fullmatch(r"5001.5000 is 25\.1 MP; limit is 25 MP\. .*", refusal(make.png_header(5001, 5000) + make.chunk(b"IDAT", b"")))
    assert re.fullmatch(DAMAGED, refusal(make.png_header(5000, 5000) + make.chunk(b"IDAT", b"")))


@pytest.mark.parametrize("turned", [False, True])
def test_the_limit_of_sides_is_exact(turned: bool) -> None:
    def line(length: int) -> bytes:
        return make.saved(np.zeros((length, 1) if turned else (1, length), np.uint8), "PNG")

    picture = decode(line(16_384))
    assert max(picture.width, picture.height) == 16_384
    assert re.fullmatch(r"\d+.\d+ is too long; limit is 16384 pixels a side\. Shrink or crop the picture\.", refusal(line(16_385)))


def test_the_limit_of_bytes_is_exact(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = png()
    path = tmp_path / "a.png"
    path.write_bytes(data)
    monkeypatch.setenv("UPSCALE_BENCH_MAX_INPUT_BYTES", str(len(data)))
    assert decode_file(path).width == decode(data).width == 96
    monkeypatch.setenv("UPSCALE_BENCH_MAX_INPUT_BYTES", str(len(data) - 1))
    with pytest.raises(ImageError, match=r"^File is [\d.]+ MiB; limit is "):
        decode(data)
    with pytest.raises(ImageError, match=r"^File is [\d.]+ MiB; limit is "):
        decode_file(path)


def test_a_file_of_terabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.png"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ImageError, match=r"^File is 1048576 MiB; limit is 50 MiB\. Shrink or crop the picture\.$"):
        decode_file(path)


def test_paths_that_are_no_files_are_refused_without_their_directories(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path / "missing.png", "There is no file 'missing.png'. Check the path."),
        (tmp_path, f"{tmp_path.name!r} is not a file. Name a picture."),
        (tmp_path / "pipe", "'pipe' is not a file. Name a picture."),
        (tmp_path / "nul\0.png", "'nul\\x00.png' can't be read: not a valid path."),
        (tmp_path / ("x" * 300), f"'{'x' * 300}' can't be read: File name too long."),
    ):
        with pytest.raises(ImageError) as caught:
            decode_file(path)
        assert str(caught.value) == message


MEASURE = """
import json, resource, sys, time
from pathlib import Path
from core.errors import ImageError
from core.image import decode_file
decode_file(Path(sys.argv[1]))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
for name in sys.argv[2:]:
    before, start = peak(), time.perf_counter()
    try:
        outcome = str(decode_file(Path(name)).rgb.shape)
    except ImageError as error:
        outcome = str(error)
    print(json.dumps([Path(name).name, outcome, time.perf_counter() - start, peak() - before]))
"""


def test_bombs_cost_little_time_and_memory(tmp_path: Path, bad_inputs: Path) -> None:
    bombs = {row.replace(" ", "_"): MADE[row][0]() for row in MADE if re.match(r"1[2-4] |2[1-4] ", row)}
    bombs["25"] = make.png_header(8, 8) + make.chunk(b"IDAT", make.deflated_zeros(2 * make.GIB)) + make.chunk(b"IEND", b"")
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "11").symlink_to(bad_inputs / "images" / "bomb_30000_1bit.png")
    paths = [str(tmp_path / name) for name in [*bombs, "11"]]
    warm_up = str(bad_inputs / "images" / "icc_adobe.png")

    output = subprocess.run(
        [sys.executable, "-c", MEASURE, warm_up, *paths], capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent
    )

    assert output.stderr == ""
    results = [json.loads(line) for line in output.stdout.splitlines()]
    assert [name for name, *_ in results] == [*bombs, "11"]
    assert {name: seconds for name, _, seconds, _ in results if seconds >= 1} == {}
    assert sum(growth_mib for *_, growth_mib in results) < 300
