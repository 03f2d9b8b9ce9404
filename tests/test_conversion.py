"""Converted networks give the pixels of the originals, are stored whole or not at all, and nobody waits for them."""

import dataclasses
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

import upscalers
from benchmark.plan import Plan
from benchmark.storage.store import Store
from benchmark.timing import machine_lock
from benchmark.workers.local_engine import Converting, LocalEngine
from core.errors import UnavailableError
from runtimes import converted
from runtimes.base import NetworkSource, Placement, Precision
from runtimes.conversion import convert
from runtimes.openvino_runtime import OpenVINORuntime, OpenVINOSession, SizedSession, compile_network
from tests import networks
from tests.engine_helpers import run, wait_until
from tests.pictures import noise, png, scene
from tests.run_helpers import compute, make_set, plan_of
from tests.test_openvino_runtime import has_bf16
from upscalers.preparing import PreparationCancelledError, distance_from_f32, is_to_be_prepared, prepare

ROOT = Path(__file__).resolve().parent.parent
PLACE = Placement(device="cpu", threads=1)


@dataclasses.dataclass(frozen=True)
class Case:
    upscaler: str
    scale: int
    files: dict[str, Callable[[Path], object]]
    options: dict[str, object] = dataclasses.field(default_factory=dict)


def compact(seed: int) -> Callable[[Path], object]:
    return lambda path: networks.write_compact(path, scale=4, convolutions=2, features=8, seed=seed)


CASES = [
    Case("realesr-animevideov3", 4, {"realesr-animevideov3.pth": compact(0)}),
    Case(
        "realesr-general-x4v3",
        4,
        {"realesr-general-x4v3.pth": compact(0), "realesr-general-wdn-x4v3.pth": compact(1)},
        {"denoise": 0.3},
    ),
    Case("esrgan", 4, {"ESRGAN.pth": lambda path: networks.write_rrdbnet(path, scale=4)}),
    Case("realesrgan-x2plus", 2, {"RealESRGAN_x2plus.pth": lambda path: networks.write_rrdbnet(path, scale=2, unshuffle=True)}),
    Case("dat-light", 2, {"DAT_light_x2.pth": lambda path: networks.write_dat(path, scale=2)}),
    *(
        Case(name, 3, {f"{name}/pytorch_model_3x.pt": lambda path, name=name: networks.write_residual(path, upscaler_id=name, scale=3)})
        for name in ("rcan-bam", "drln-bam")
    ),
]
COMPACT = CASES[0]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Case], upscalers.Upscaler]:
    """Writes the weights of a case, and gives its upscaler."""
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))

    def write(case: Case) -> upscalers.Upscaler:
        for name, make in case.files.items():
            make(tmp_path / name)
        return upscalers.create(case.upscaler, case.scale, case.options)

    return write


def source_of(upscaler: upscalers.Upscaler) -> NetworkSource:
    source = upscaler.needs_conversion("openvino")
    assert source is not None
    return source


def runtime_of(case: Case) -> str:
    row = Plan(scale=case.scale, upscaler_ids=[case.upscaler], options={case.upscaler: case.options}).rows()[0]
    assert row.status is None
    return row.runtime


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.upscaler)
def test_the_pixels_are_those_of_pytorch_and_auto_takes_it_once_it_is_there(case: Case, written) -> None:
    upscaler = written(case)
    assert runtime_of(case) == "torch"
    entry = convert(source_of(upscaler), upscaler.small_sizes())
    assert entry.refused is None
    assert entry.largest_difference < 1e-4
    assert runtime_of(case) == "openvino"
    spec = upscaler.spec.with_tile(case.scale, 256)
    with (
        spec.build(spec, case.scale, spec.options(case.options)).load("openvino", PLACE) as fast,
        upscaler.load("torch", PLACE) as original,
    ):
        for width, height in ((37, 52), (64, 31), (3, 1)):
            picture = noise(width, height)
            difference = np.abs(fast(picture).astype(int) - original(picture))
            assert difference.max() <= 1
            assert (difference > 0).mean() < 1e-3


def largest_difference(upscaler_id: str, width: int, height: int) -> int:
    """Between the converted network and PyTorch's, in levels of 255, with published weights at x4."""
    upscaler, picture = upscalers.create(upscaler_id, 4), noise(width, height)
    assert convert(source_of(upscaler), upscaler.small_sizes()).refused is None
    with upscaler.load("torch", PLACE):
        expected = upscaler(picture).astype(int)
    with upscaler.load("openvino", PLACE):
        return int(np.abs(upscaler(picture) - expected).max())


def test_published_weights_give_the_pixels_of_pytorch(weights_at_hand: list[Path]) -> None:
    assert largest_difference("realesr-general-x4v3", 60, 45) <= 1


@pytest.mark.long
def test_published_weights_of_dat_light_give_the_pixels_of_pytorch(dat_light: Path) -> None:
    assert largest_difference("dat-light", 70, 66) <= 1


@pytest.mark.parametrize("precision", ["f32", "bf16"])
@pytest.mark.parametrize("case", [COMPACT, CASES[4]], ids=["any size", "per size"])
def test_the_compiled_network_computes_in_the_precision_of_the_row(case: Case, precision: Precision, written) -> None:
    upscaler = written(case)
    source = source_of(upscaler)
    convert(source, upscaler.small_sizes())
    placement = dataclasses.replace(PLACE, precision=precision)
    if precision == "bf16" and not has_bf16():
        with pytest.raises(UnavailableError, match="can't compute in bf16"):
            OpenVINORuntime().open(source, placement).run(np.zeros((1, 3, 16, 16), np.float32))
        return
    session = OpenVINORuntime().open(source, placement)
    session.run(np.zeros((1, 3, 16, 16), np.float32))
    inner = next(iter(session._sessions.values())) if isinstance(session, SizedSession) else session
    assert isinstance(inner, OpenVINOSession)
    assert inner._compiled is not None
    assert inner._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == precision


def test_a_network_compiled_per_size_is_compiled_ahead_of_the_call_and_once_for_all_tiles(written, monkeypatch: pytest.MonkeyPatch) -> None:
    upscaler = written(CASES[4])
    convert(source_of(upscaler), upscaler.small_sizes())
    compiled: list[list[int]] = []

    def counting(model, *arguments):
        compiled.append(list(model.input(0).shape))
        return compile_network(model, *arguments)

    monkeypatch.setattr("runtimes.openvino_runtime.compile_network", counting)
    spec = upscaler.spec.with_tile(2, 64)
    with spec.build(spec, 2, {}).load("openvino", PLACE) as tiled:
        tiled.expect(70, 100)
        assert compiled == [[1, 3, 64, 64]]
        assert tiled.tile_px(70, 100) == 64
        assert tiled(noise(100, 70)).shape == (140, 200, 3)
        assert compiled == [[1, 3, 64, 64]]
        # A picture that is run whole, shorter than the network takes.
        tiled.expect(9, 40)
        tiled(noise(40, 9))
        assert compiled[1:] == [[1, 3, 16, 40]]


@pytest.mark.skipif(not has_bf16(), reason="This CPU can't compute in bf16.")
def test_what_bf16_costs_is_measured_against_f32(written) -> None:
    upscaler = written(CASES[2])
    convert(source_of(upscaler), upscaler.small_sizes())
    largest, psnr_db = distance_from_f32(upscaler.spec, 4, "bf16")
    assert 1 <= largest <= 8
    assert 40 < psnr_db < 80
    assert distance_from_f32(upscaler.spec, 4, "f32") == (0, float("inf"))


def test_what_is_ready_answers_without_pytorch(written) -> None:
    upscaler = written(COMPACT)
    convert(source_of(upscaler), upscaler.small_sizes())
    code = f"""
import sys
import numpy as np
from benchmark.plan import Plan
from benchmark.runner import model_key
from benchmark.workers.worker import ModelBench
import upscalers
row = Plan(scale=4, upscaler_ids=[{COMPACT.upscaler!r}]).rows()[0]
bench, key = ModelBench(), model_key(row, upscalers.get(row.upscaler))
quiet = lambda done, total: None
loaded = bench.load(key, progress=quiet)
called = bench.call(key, "token", np.zeros((20, 30, 3), np.uint8), None, progress=quiet)
print(row.runtime, loaded.runtime_version.split()[0], called.picture.shape, sorted({{"torch", "spandrel"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "openvino OpenVINO (80, 120, 3) []"


def test_asked_for_before_it_is_ready_it_says_what_to_do(written) -> None:
    upscaler = written(COMPACT)
    row = Plan(scale=4, upscaler_ids=[COMPACT.upscaler], runtime="openvino").rows()[0]
    assert row.status == "unavailable"
    assert row.reason is not None
    assert f"upscale-bench prepare {COMPACT.upscaler} --scale 4" in row.reason
    with pytest.raises(UnavailableError, match="not converted"):
        upscaler.load("openvino", PLACE)


def test_a_network_that_decides_by_the_size_of_its_input_is_refused_once_and_stays_on_pytorch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written
) -> None:
    import torch

    class Decides(torch.nn.Module):
        def forward(self, picture: "torch.Tensor") -> "torch.Tensor":
            brighter = 0.1 if picture.shape[-1] > 50 else 0.0
            return picture.repeat_interleave(4, 2).repeat_interleave(4, 3) + brighter

    upscaler = written(COMPACT)
    source = dataclasses.replace(source_of(upscaler), module=lambda: Decides().eval())
    entry = convert(source, upscaler.small_sizes())
    assert entry.refused is not None
    assert "25.5 of 255 levels" in entry.refused
    assert runtime_of(COMPACT) == "torch"
    assert not is_to_be_prepared(upscaler.spec, 4)
    row = Plan(scale=4, upscaler_ids=[COMPACT.upscaler], runtime="openvino").rows()[0]
    assert row.reason is not None
    assert "the runtime torch" in row.reason


@pytest.mark.parametrize("damage", ["cut", "flipped", "lost", "record"])
def test_a_damaged_entry_counts_as_none_and_is_made_again(damage: str, written) -> None:
    upscaler = written(COMPACT)
    source = source_of(upscaler)
    convert(source, upscaler.small_sizes())
    network = converted.network_path(source)
    numbers = network.with_suffix(".bin")
    match damage:
        case "cut":
            numbers.write_bytes(numbers.read_bytes()[:-100])
        case "flipped":
            # As many bytes as before, one of them another.
            body = bytearray(numbers.read_bytes())
            body[len(body) // 2] ^= 0x40
            numbers.write_bytes(body)
        case "lost":
            network.unlink()
        case "record":
            (network.parent / "entry.json").write_text('{"schema": 1, "sou')
    assert runtime_of(COMPACT) == "torch"
    assert not network.parent.exists()
    convert(source, upscaler.small_sizes())
    assert runtime_of(COMPACT) == "openvino"


def test_other_weights_another_library_or_other_code_have_entries_of_their_own(written, monkeypatch: pytest.MonkeyPatch) -> None:
    upscaler = written(COMPACT)
    source = source_of(upscaler)
    convert(source, upscaler.small_sizes())
    assert converted.find(dataclasses.replace(source, key="other")) is None
    assert converted.find(dataclasses.replace(source, code="other")) is None
    with monkeypatch.context() as patch:
        patch.setattr("runtimes.converted.library_version", lambda name: "0.0" if name == "openvino" else "1")
        assert converted.find(source) is None
    assert converted.find(source) is not None


MAKE = """
import os, sys, time
from runtimes import converted
from runtimes.base import NetworkSource
source = NetworkSource(key="net", module=lambda: None)
def write(folder):
    (folder / converted.NETWORK).write_text("half")
    if sys.argv[1] == "while writing":
        os.kill(os.getpid(), 9)
    time.sleep(0.3)
    (folder / converted.NETWORK).write_text("whole")
    return converted.Entry(source="net")
if sys.argv[1] == "before the name":
    converted.write_atomically = lambda *_: os.kill(os.getpid(), 9)
if sys.argv[1] == "after the name":
    converted.sync_folder = lambda *_: os.kill(os.getpid(), 9)
with converted.converting(source):
    if converted.find(source):
        print("found")
    else:
        converted.publish(source, write)
        print("made")
"""


def start(argument: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", MAKE, argument], stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.parametrize("moment", ["while writing", "before the name", "after the name"])
def test_a_conversion_killed_at_any_moment_leaves_nothing_or_a_whole_entry(moment: str) -> None:
    source = NetworkSource(key="net")
    with start(moment) as killed:
        killed.wait(30)
    assert killed.returncode == -9
    entry = converted.find(source)
    assert (entry is not None) == (moment == "after the name")
    with start("whole") as again:
        assert again.communicate(timeout=30)[0].strip() == ("found" if entry else "made")
    assert converted.find(source) is not None
    assert converted.network_path(source).read_text() == "whole"


def test_of_two_that_convert_the_same_one_works_and_both_have_it() -> None:
    with start("whole") as first, start("whole") as second:
        said = sorted(each.communicate(timeout=30)[0].strip() for each in (first, second))
    assert said == ["found", "made"]
    records = list(converted.settings().converted.glob("*/entry.json"))
    assert len(records) == 1
    assert set(json.loads(records[0].read_text())["files"]) == {"network.xml"}


def test_the_engine_uses_what_is_ready_and_computes_tiny_pictures_in_f32(written, tmp_path: Path) -> None:
    upscaler = written(COMPACT)
    convert(source_of(upscaler), upscaler.small_sizes())
    best: Precision = "bf16" if has_bf16() else "f32"
    sizes: list[tuple[int, Precision]] = [(60, "bf16"), (80, best)]
    engine = LocalEngine(tmp_path / "store")
    try:
        small, large = (
            run(engine, Plan(scale=4, upscaler_ids=[COMPACT.upscaler], precision=precision, repeats=0), png(scene(side, 80))).rows[0]
            for side, precision in sizes
        )
    finally:
        engine.close()
    assert (small.status, small.runtime, small.precision) == ("ok", "openvino", "f32")
    assert (large.status, large.runtime, large.precision) == ("ok", "openvino", best)
    assert large.runtime_version is not None
    assert large.runtime_version.startswith("OpenVINO")


@pytest.mark.skipif(not has_bf16(), reason="This CPU can't compute in bf16.")
def test_a_dataset_run_in_bf16_has_no_numbers_for_tiny_pictures(written, tmp_path: Path) -> None:
    upscaler = written(COMPACT)
    convert(source_of(upscaler), upscaler.small_sizes())
    folder = make_set(tmp_path / "tiny", count=1, width=80, height=60)
    with Store.open() as store:
        compute(store, plan_of(folder, scales=(4,), upscaler_ids=(COMPACT.upscaler,), precision="bf16"))
        (cell,) = store.finished(store.run("test"))
    assert (cell.row.runtime, cell.row.status) == ("openvino", "unavailable")
    assert cell.row.reason is not None
    assert "under 16 px" in cell.row.reason


@pytest.mark.long
def test_the_first_result_is_pytorchs_and_the_conversion_follows_when_nobody_times(written, tmp_path: Path) -> None:
    upscaler = written(COMPACT)
    plan = Plan(scale=4, upscaler_ids=[COMPACT.upscaler], repeats=0)
    engine = LocalEngine(tmp_path / "store")
    try:
        first = run(engine, plan, png(scene(80, 80))).rows[0]
        assert (first.status, first.runtime) == ("ok", "torch")
        with machine_lock():
            time.sleep(10)
            assert upscaler.spec.conversion(4) is None
            assert engine.conversions == Converting(None, (COMPACT.upscaler,))
        wait_until(lambda: engine.conversions == Converting(COMPACT.upscaler), 30)
        wait_until(lambda: upscaler.spec.conversion(4), 120)
        wait_until(lambda: engine.conversions == Converting(), 30)
        second = run(engine, plan, png(scene(80, 80))).rows[0]
        assert (second.status, second.runtime) == ("ok", "openvino")
    finally:
        engine.close()


@pytest.mark.long
def test_a_conversion_rests_while_something_is_timed_and_can_be_stopped_then(written) -> None:
    upscaler = written(COMPACT)
    stages: list[str] = []
    resting = threading.Event()
    children: list[psutil.Process] = []

    def must_rest() -> bool:
        children[:] = psutil.Process().children()
        return bool(children) and children[0].cpu_times().user > 0.3

    def report(stage: str) -> None:
        stages.append(stage)
        if stage == "waiting":
            resting.set()

    stop = threading.Event()

    def work() -> None:
        with pytest.raises(PreparationCancelledError):
            prepare(upscaler.spec, 4, report=report, must_rest=must_rest, cancelled=stop.is_set)
        stages.append("cancelled")

    thread = threading.Thread(target=work)
    thread.start()
    assert resting.wait(60)
    time.sleep(0.2)
    before_s = children[0].cpu_times().user
    time.sleep(1)
    assert children[0].cpu_times().user - before_s < 0.05
    stop.set()
    thread.join(10)
    assert stages[-2:] == ["waiting", "cancelled"]
    assert upscaler.spec.conversion(4) is None
    assert prepare(upscaler.spec, 4)
    assert not prepare(upscaler.spec, 4)
