"""A bad model file is refused in one line, runs no code, and leaves the program that asked alive."""

import dataclasses
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import psutil
import pytest

from core.errors import CheckCancelledError, ModelFileError, UsageError
from tests import awkward_models, networks
from tests.awkward_models import CODE, DAMAGED, LIMITS, BadFile, marker_of
from upscalers.model_check import check_model_file
from upscalers.model_probe import examine
from upscalers.pickle_scan import scan_pytorch
from upscalers.spandrel_files import read_tensors

ROOT = Path(__file__).resolve().parent.parent


def checking_programs() -> list[psutil.Process]:
    """The children that check model files; other tests of this process have children, too."""
    living = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in living if "upscalers.model_check" in child.cmdline()]


def by_name(cases: list[BadFile]):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def assert_refused(case: BadFile, refusal: pytest.ExceptionInfo[ModelFileError], path: Path) -> None:
    text = str(refusal.value)
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    assert len(text) <= 300
    assert str(path.parent) not in text
    assert not marker_of(path).exists()


@by_name([*awkward_models.PYTORCH, *awkward_models.SAFETENSORS, *awkward_models.ONNX])
def test_a_bad_file_is_refused_in_one_line_and_no_code_is_run(case: BadFile, tmp_path: Path) -> None:
    path = tmp_path / case.name
    case.write(path)
    with pytest.raises(ModelFileError, match=case.words) as refusal:
        examine(path)
    assert_refused(case, refusal, path)


@by_name(awkward_models.GREEDY)
def test_a_greedy_file_is_refused_before_anything_is_built_from_it(case: BadFile, tmp_path: Path) -> None:
    path = tmp_path / case.name
    case.write(path)
    before = psutil.Process().memory_info().rss
    with pytest.raises(ModelFileError, match=case.words) as refusal:
        scan_pytorch(path)
    assert_refused(case, refusal, path)
    assert psutil.Process().memory_info().rss - before < 200e6


@by_name(awkward_models.DEEP)
def test_a_file_with_endless_layers_is_refused_before_a_network_is_built(case: BadFile, tmp_path: Path) -> None:
    path = tmp_path / case.name
    case.write(path)
    with pytest.raises(ModelFileError, match=case.words) as refusal:
        read_tensors(path)
    assert_refused(case, refusal, path)


def test_a_file_of_more_than_the_limit_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    with path.open("wb") as stream:
        stream.truncate(2 * 1024**3 + 1)
    started = time.monotonic()
    with pytest.raises(ModelFileError, match=r"the file has 2\.1 GB"):
        examine(path)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("name", ["bit.safetensors", "bit.onnx"])
def test_a_flipped_bit_that_a_format_can_not_notice_shows_in_the_hash(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if path.suffix == ".onnx":
        networks.write_onnx(path, scale=2)
    else:
        awkward_models.write_compact_safetensors(path)
    before = examine(path)
    data = path.read_bytes()
    path.write_bytes(awkward_models.flipped(data))
    assert examine(path).sha256 != before.sha256


def test_facts_are_those_with_which_the_network_was_made(tmp_path: Path) -> None:
    networks.write_rrdbnet(tmp_path / "esrgan.pth", scale=4)
    networks.write_onnx(tmp_path / "free.onnx", scale=3, half=True)
    networks.write_onnx(tmp_path / "fixed.onnx", scale=2, channels=1, side=48)
    esrgan, free, fixed = (examine(tmp_path / name) for name in ("esrgan.pth", "free.onnx", "fixed.onnx"))
    assert (esrgan.architecture, esrgan.scale, esrgan.channels, esrgan.format) == ("ESRGAN", 4, 3, "pytorch")
    assert (free.architecture, free.scale, free.channels, free.fixed_side_px) == ("ONNX", 3, 3, None)
    assert (fixed.scale, fixed.channels, fixed.fixed_side_px, fixed.min_side_px, fixed.tile_px) == (2, 1, 48, 48, 48)
    assert free.parameters == 3 * 3**2 * 3 * 3 * 3
    assert fixed.parameters == 2**2 * 3 * 3
    assert 0 < esrgan.sample_s < 60
    assert esrgan.sample_px >= 48 * 48


def test_a_good_file_comes_back_from_the_checking_program_with_its_facts(tmp_path: Path) -> None:
    path = tmp_path / "good.safetensors"
    awkward_models.write_compact_safetensors(path)
    found, known = check_model_file(path), examine(path)
    measured = {"sample_s": 0.0, "sample_gflops": 1.0, "tile_px": 0, "overlap_px": 0}
    assert dataclasses.replace(found, **measured) == dataclasses.replace(known, **measured)


@pytest.mark.parametrize("case", [awkward_models.PYTORCH[0], awkward_models.ONNX[0]], ids=lambda case: case.name)
def test_the_checking_program_hands_a_refusal_on(case: BadFile, tmp_path: Path) -> None:
    path = tmp_path / case.name
    case.write(path)
    with pytest.raises(ModelFileError, match=case.words) as refusal:
        check_model_file(path)
    assert_refused(case, refusal, path)


def test_a_network_without_end_is_ended_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_CHECK_TIMEOUT_S", "4")
    path = tmp_path / "endless.onnx"
    awkward_models.write_endless_loop(path)
    started = time.monotonic()
    with pytest.raises(ModelFileError, match=f"{LIMITS}.*took longer than 4 s"):
        check_model_file(path)
    assert 4 <= time.monotonic() - started < 8
    assert checking_programs() == []


def test_a_network_that_swells_is_ended_at_the_limit_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_CHECK_MEMORY_MIB", "1024")
    path = tmp_path / "swelling.onnx"
    awkward_models.write_swelling(path)
    with pytest.raises(ModelFileError, match=LIMITS):
        check_model_file(path)
    assert checking_programs() == []


def test_a_check_is_cancelled_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "endless.onnx"
    awkward_models.write_endless_loop(path)
    asked: list[float] = []

    def cancelled() -> bool:
        asked.append(time.monotonic())
        return len(asked) > 10

    with pytest.raises(CheckCancelledError):
        check_model_file(path, cancelled=cancelled)
    assert time.monotonic() - asked[-1] < 1
    assert checking_programs() == []


def test_a_file_that_kills_the_checking_program_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "endless.onnx"
    awkward_models.write_endless_loop(path)

    def kill() -> bool:
        for child in checking_programs():
            child.kill()
        return False

    with pytest.raises(ModelFileError, match=f"{DAMAGED}it ended the program that checked it: signal 9"):
        check_model_file(path, cancelled=kill)


@pytest.mark.parametrize(
    "attempt",
    [
        "open(marker, 'w')",
        "__import__('os').open(marker, __import__('os').O_WRONLY | __import__('os').O_CREAT)",
        "__import__('os').system('touch ' + marker)",
        "__import__('subprocess').run(['touch', marker])",
        "__import__('os').fork()",
        "__import__('socket').create_connection(('127.0.0.1', 9))",
    ],
    ids=["open", "os.open", "os.system", "subprocess", "fork", "socket"],
)
def test_whatever_got_past_the_scan_could_neither_write_nor_start_nor_connect(attempt: str, tmp_path: Path) -> None:
    code = (
        "import os, socket, subprocess, sys\n"
        "from upscalers.model_check import forbid_effects\n"
        f"forbid_effects()\nmarker = {str(tmp_path / 'marker')!r}\n"
        f"try:\n    {attempt}\nexcept PermissionError as error:\n    print('refused:', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=os.environ, check=False)
    assert "refused: A model file may not do this" in done.stdout, done.stderr
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", ["model.zip", "model", "model.pth.exe", "model.pkl"])
def test_other_endings_are_a_mistake_of_the_user(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError, match=r"ends in \.pth"):
        check_model_file(tmp_path / name)


def test_a_name_can_not_carry_code_into_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "names.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"cevil\nmodule\x1b[31m\n(tR.")
    with pytest.raises(ModelFileError, match=CODE) as refusal:
        examine(path)
    assert str(refusal.value).isprintable()
