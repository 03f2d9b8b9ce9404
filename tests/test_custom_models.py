"""Model files of a person's own: added, run, compared and removed like any upscaler, by several processes at once."""

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import upscalers
from benchmark import estimates, export, jobs, model_files
from benchmark.plan import Plan
from benchmark.presentation import results
from benchmark.presentation.table import table
from benchmark.runner import ComparisonRun
from benchmark.workers.local_engine import LocalEngine
from benchmark.workers.pool import WorkerPool
from core.errors import CheckCancelledError, ModelFileError, UsageError, WeightsError
from core.image import RGB8
from core.settings import settings
from core.weight_hashes import sha256_of
from runtimes.base import Placement
from runtimes.conversion import convert
from tests import awkward_models, networks
from tests.engine_helpers import directory, run
from tests.pictures import noise, png, scene
from upscalers import custom, model_check
from upscalers.model_facts import FORMATS, ModelFacts

SIZES = [(1, 1), (3, 5), (1, 500), (65, 127)]
"""Height and width."""
FIXED_PX = 32
IDS = ["custom-esrgan", "custom-compact", "custom-free", "custom-fixed", "custom-luma"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good file of each kind, all of which enlarge by 2."""
    folder = tmp_path_factory.mktemp("files")
    networks.write_rrdbnet(folder / "esrgan.pth", scale=2)
    awkward_models.write_compact_safetensors(folder / "compact.safetensors")
    networks.write_onnx(folder / "free.onnx", scale=2)
    networks.write_onnx(folder / "fixed.onnx", scale=2, side=FIXED_PX)
    awkward_models.write_repeating_onnx(folder / "luma.onnx", shape=(1, 1, "height", "width"))
    return folder


@pytest.fixture(scope="module")
def checked_home(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home to which all of them were added, through the checking program."""
    home = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UPSCALE_BENCH_HOME", str(home))
        for path in sorted(files.iterdir()):
            custom.add(path, aim="vivid")
    return home


@pytest.fixture
def added(checked_home: Path, own_home: Path) -> Path:
    """The test's own copy of that home."""
    shutil.copytree(checked_home / "models", own_home / "models")
    return own_home


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what surrounds the check: every file is one that enlarges by 2."""
    monkeypatch.setattr(model_check, "check_model_file", facts_for)


def facts_for(path: Path, *, cancelled: object = None) -> ModelFacts:
    return ModelFacts(
        format=FORMATS[path.suffix],
        architecture="ESRGAN",
        scale=2,
        channels=3,
        parameters=10,
        size_bytes=path.stat().st_size,
        sha256=sha256_of(path),
        min_side_px=1,
        multiple_of_px=1,
        fixed_side_px=None,
        tile_px=128,
        overlap_px=16,
        sample_px=10_000,
        sample_s=0.1,
        sample_gflops=50.0,
    )


def write(path: Path, content: bytes = b"weights") -> Path:
    path.write_bytes(content)
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "cli", "models", *map(str, arguments)]


def cli(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, env=os.environ, timeout=120, check=False)


def enlarged(upscaler_id: str, picture: RGB8) -> RGB8:
    spec = upscalers.get(upscaler_id)
    with upscalers.create(upscaler_id, 2).load(spec.runtime(), Placement(device="cpu")) as upscaler:
        return upscaler(picture)


def planes_of(picture: RGB8) -> np.ndarray:
    return picture.transpose(2, 0, 1).astype(float) / 255


def levels(planes: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(planes * 255), 0, 255).transpose(1, 2, 0)


def test_added_files_are_upscalers_with_the_facts_of_their_files(added: Path, files: Path) -> None:
    assert sorted(spec.id for spec in custom.specs()) == sorted(IDS)
    assert sorted(upscalers.registry().ids()[-5:]) == sorted(IDS)
    for upscaler_id in IDS:
        spec = upscalers.get(upscaler_id)
        source = next(files.glob(f"{spec.name}.*"))
        assert (spec.group, spec.aim, spec.scales) == ("Custom", "vivid", (2,))
        assert spec.status(2).kind == "ready"
        assert spec.weights[2][0].sha256 == sha256_of(source)
        assert source.name in spec.summary
        assert 0 < spec.seconds_per_mp[2] < 1000
        assert model_files.removable(spec)
        assert model_files.missing_files(spec) == []
    assert upscalers.get("custom-esrgan").runtimes == ("openvino", "torch")
    assert upscalers.get("custom-free").runtimes == ("openvino",)
    assert upscalers.get("custom-free").parameter_count == {2: 12 * 3 * 3 * 3}
    assert "32×32" in upscalers.get("custom-fixed").summary
    assert "luma only" in upscalers.get("custom-luma").summary


def test_an_added_network_gives_the_same_pixels_converted(added: Path) -> None:
    upscaler, picture = upscalers.create("custom-esrgan", 2), noise(31, 22)
    assert upscaler.spec.runtime("auto", 2) == "torch"
    source = upscaler.needs_conversion("openvino")
    assert source is not None
    assert convert(source, upscaler.small_sizes()).refused is None
    assert upscaler.spec.runtime("auto", 2) == "openvino"
    with upscaler.load("openvino", Placement(device="cpu")):
        assert np.abs(upscaler(picture).astype(int) - enlarged("custom-esrgan", picture)).max() <= 1


@pytest.mark.parametrize("upscaler_id", IDS)
def test_added_models_keep_the_contract_of_all_upscalers(upscaler_id: str, added: Path) -> None:
    spec = upscalers.get(upscaler_id)
    with upscalers.create(upscaler_id, 2).load(spec.runtime(), Placement(device="cpu")) as upscaler:
        for height, width in SIZES:
            picture = noise(width, height)
            picture.setflags(write=False)
            before = picture.copy()
            result = upscaler(picture)
            assert result.shape == (height * 2, width * 2, 3)
            assert result.dtype == np.uint8
            assert result.flags.c_contiguous
            assert np.array_equal(picture, before)
            assert np.array_equal(result, upscaler(picture))
        assert upscaler.verified_weights is True


def test_a_pytorch_model_gives_what_spandrel_gives(added: Path, files: Path) -> None:
    import torch
    from spandrel import ModelLoader

    picture = scene(40, 30)
    for upscaler_id, name in (("custom-esrgan", "esrgan.pth"), ("custom-compact", "compact.safetensors")):
        network = ModelLoader(device="cpu").load_from_file(files / name)
        with torch.inference_mode():
            batch = torch.from_numpy(planes_of(picture).astype(np.float32))[None]
            expected = network.model(batch).clamp(0, 1)[0].double().numpy()
        assert np.abs(enlarged(upscaler_id, picture) - levels(expected)).max() <= 1


def test_an_onnx_model_gives_what_its_kernel_says(added: Path, files: Path, tmp_path: Path) -> None:
    kernel = networks.write_onnx(tmp_path / "same.onnx", scale=2)
    picture = scene(50, 37)
    expected = levels(networks.enlarged_by(kernel, planes_of(picture), 2))
    assert np.abs(enlarged("custom-free", picture) - expected).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(20, 27), (32, 32), (33, 31), (75, 100), (5, 200)])
def test_a_model_of_one_size_gives_the_same_in_tiles_of_that_size(height: int, width: int, added: Path, tmp_path: Path) -> None:
    kernel = networks.write_onnx(tmp_path / "same.onnx", scale=2)
    picture = scene(width, height)
    # Outwards it sees the picture mirrored: a frame of one pixel around it says so to the oracle, which sees zeros there.
    framed = np.pad(picture, ((0, 1), (0, 1), (0, 0)), mode="symmetric")
    expected = levels(networks.enlarged_by(kernel, planes_of(framed), 2))[: 2 * height, : 2 * width]
    result = enlarged("custom-fixed", picture)
    if height % FIXED_PX == 0 and width % FIXED_PX == 0:
        expected = levels(networks.enlarged_by(kernel, planes_of(picture), 2))
    assert np.abs(result - expected).max() <= 1


def test_a_luma_model_enlarges_luma_and_leaves_the_colours_to_bicubic(added: Path) -> None:
    grey = np.repeat(noise(30, 20)[..., :1], 3, axis=2)
    assert np.array_equal(enlarged("custom-luma", grey), grey.repeat(2, axis=0).repeat(2, axis=1))
    # JFIF 1.02, page 3: luma and the two colour differences, in double precision.
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]])
    picture = scene(48, 33)
    luma, blue, red = np.tensordot(matrix, planes_of(picture), 1)
    colours = [np.asarray(Image.fromarray(plane.astype(np.float32)).resize((96, 66), Image.Resampling.BICUBIC)) for plane in (blue, red)]
    expected = np.tensordot(np.linalg.inv(matrix), np.stack([luma.repeat(2, axis=0).repeat(2, axis=1), *colours]), 1)
    assert np.abs(enlarged("custom-luma", picture) - levels(expected)).max() <= 1


def test_a_comparison_runs_them_and_can_be_looked_at_after_they_are_gone(added: Path) -> None:
    engine = LocalEngine()
    try:
        ids = ["bicubic", "custom-compact", "custom-fixed", "custom-luma"]
        job = run(engine, Plan(scale=2, upscaler_ids=ids, repeats=1), png(scene(80, 60)))
        assert {row.upscaler: (row.status, row.reason) for row in job.rows} == dict.fromkeys(ids, ("ok", None))
        folder = directory(engine, job)
        stored = next(row.output_path for row in job.rows if row.upscaler == "custom-fixed")
        small = np.asarray(Image.open(folder / str(job.downscaled_path)).convert("RGB"))
        assert np.array_equal(np.asarray(Image.open(folder / str(stored)).convert("RGB")), enlarged("custom-fixed", small))
        for upscaler_id in ids[1:]:
            model_files.remove(upscalers.get(upscaler_id))
            assert upscalers.find(upscaler_id) is None
        gone = jobs.load(folder)
        shown = {picture.id: picture for picture in results.shown_pictures(gone, str)}
        assert shown["custom-fixed"].label == "fixed"
        assert "vivid" in shown["custom-fixed"].caption
        assert ">compact" in table(gone, "rgb")
        with zipfile.ZipFile(io.BytesIO(export.archive(folder, gone))) as archive:
            assert "custom-luma_x2_picture.png" in archive.namelist()
    finally:
        engine.close()


def test_a_model_that_took_the_name_of_another_is_not_mistaken_for_it(files: Path, tmp_path: Path) -> None:
    picture = scene(40, 30)
    engine = LocalEngine()
    try:
        outputs = []
        for seed in (0, 1):
            networks.write_onnx(tmp_path / "same.onnx", scale=2, seed=seed)
            custom.add(tmp_path / "same.onnx")
            job = run(engine, Plan(scale=2, upscaler_ids=["custom-same"], mode="as-is", repeats=0), png(picture))
            outputs.append(np.asarray(Image.open(directory(engine, job) / str(job.rows[0].output_path))))
            assert np.array_equal(outputs[-1], enlarged("custom-same", picture))
            custom.remove("custom-same")
        assert not np.array_equal(*outputs)
    finally:
        engine.close()


def test_a_model_removed_while_it_waits_is_an_unavailable_row(unchecked: None, tmp_path: Path) -> None:
    custom.add(write(tmp_path / "a.pth"))
    folder = jobs.create(Plan(scale=2, upscaler_ids=["bicubic", "custom-a"], repeats=0), png(noise(20, 20)), name="a.png", user="a")
    custom.remove("custom-a")
    pool = WorkerPool()
    try:
        for _ in ComparisonRun(folder, pool).steps():
            pass
    finally:
        pool.close()
    job = jobs.load(folder)
    assert job.state == "done"
    assert [row.status for row in job.rows] == ["ok", "unavailable"]
    assert "removed" in str(job.rows[1].reason)


def test_the_command_line_adds_shows_and_removes(files: Path) -> None:
    done = cli("add", files / "free.onnx", "--name", "My Größe 2", "--aim", "vivid", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    assert document["id"] == "custom-my-groe-2"
    assert (document["facts"]["architecture"], document["scales"], document["aim"]) == ("ONNX", [2], "vivid")
    assert document["next"] == "upscale-bench compare IMAGE --scale 2 --upscalers bicubic,custom-my-groe-2"
    # What another process added is here at once.
    assert upscalers.get("custom-my-groe-2").name == "My Größe 2"
    shown = cli("show", "custom-my-groe-2", "--json")
    assert json.loads(shown.stdout)["weights"][0]["status"] == "verified"
    again = cli("add", files / "free.onnx", "--name", "other")
    assert (again.returncode, again.stdout) == (2, "")
    assert "custom-my-groe-2" in again.stderr
    assert len(again.stderr.splitlines()) == 1
    removed = cli("remove", "custom-my-groe-2")
    assert removed.returncode == 0
    assert "custom-my-groe-2" not in upscalers.registry()
    assert cli("remove", "custom-my-groe-2").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.pth"], "There is no file 'missing.pth'"),
        (["."], "ends in .pth"),
        (["FILE.zip"], "ends in .pth"),
        (["FILE.pth", "--aim", "pretty"], "faithful or vivid"),
        (["FILE.pth", "--name", " "], "A name has 1 to 60 letters, digits, spaces"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    for suffix in ("zip", "pth"):
        write(tmp_path / f"FILE.{suffix}")
    done = subprocess.run(command("add", *arguments), capture_output=True, text=True, env=environment(), cwd=tmp_path, check=False)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}


def test_two_processes_that_add_the_same_file_at_once_add_it_once(files: Path) -> None:
    assert "custom-free" not in upscalers.registry()
    both = [
        subprocess.Popen(command("add", files / "free.onnx"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in both]
    assert sorted(process.returncode for process in both) == [0, 2]
    assert ["here already" in errors for _, errors in sorted(outputs, key=lambda output: output[1])] == [False, True]
    assert [spec.id for spec in custom.specs()] == ["custom-free"]
    assert {path.name for path in settings().models.iterdir()} == {"custom-free", ".lock"}


def test_an_added_file_that_changes_is_not_used_any_more(added: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = upscalers.get("custom-free")
    stored = settings().models / "custom-free" / "model.onnx"
    stored.write_bytes(awkward_models.flipped(stored.read_bytes()))
    status = spec.status(2)
    assert status.kind == "unavailable"
    assert "remove custom-free and add the file again" in str(status.reason)
    with pytest.raises(WeightsError, match="changed or lost"):
        upscalers.create("custom-free", 2).load("openvino", Placement())
    # Weights of one's own replace published ones, but not a file that was checked.
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path))
    (tmp_path / "custom-free").mkdir()
    stored.rename(tmp_path / "custom-free" / "model.onnx")
    assert upscalers.get("custom-free").status(2).kind == "unavailable"
    custom.remove("custom-free")
    assert "custom-free" not in upscalers.registry()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:100],
        lambda text: "[]",
        lambda text: text.replace('"schema": 1', '"schema": 2').replace('"schema":1', '"schema":2'),
        lambda text: text.replace('"scale": 2', '"scale": 0'),
        lambda text: text.replace('"overlap_px": 16', '"overlap_px": 100'),
        lambda text: text.replace('"stored_name": "model.pth"', '"stored_name": "../../secret"'),
        lambda text: text.replace('"aim": "faithful"', '"aim": "both"'),
    ],
    ids=["empty", "cut", "list", "newer", "no scale", "no core", "another place", "no aim"],
)
def test_a_damaged_or_newer_record_is_left_out_with_a_line_in_the_log(damage, unchecked: None, tmp_path: Path, caplog) -> None:
    custom.add(write(tmp_path / "good.pth"))
    custom.add(write(tmp_path / "bad.pth", b"other"))
    record = settings().models / "custom-bad" / "model.json"
    before = record.read_text()
    assert "custom-bad" in upscalers.registry()
    record.write_text(damage(before))
    assert record.read_text() != before
    ids = upscalers.registry().ids()
    assert "custom-good" in ids
    assert "custom-bad" not in ids
    assert "custom-bad is left out" in caplog.text
    with pytest.raises(UsageError, match="taken by custom-bad"):
        custom.add(write(tmp_path / "third.pth", b"third"), name="bad")
    custom.remove("custom-bad")
    assert not (settings().models / "custom-bad").exists()


def test_the_registry_reads_the_records_only_when_one_has_changed(unchecked: None, tmp_path: Path) -> None:
    custom.add(write(tmp_path / "a.pth"))
    first = upscalers.registry()
    assert upscalers.registry() is first
    custom.add(write(tmp_path / "b.pth", b"other"))
    assert upscalers.registry().ids()[-2:] == ["custom-a", "custom-b"]
    custom.remove("custom-a")
    assert upscalers.registry().ids()[-1] == "custom-b"
    assert "custom-a" not in upscalers.registry()


def test_a_name_that_is_taken_is_refused_and_says_what_to_do(unchecked: None, tmp_path: Path) -> None:
    assert custom.add(write(tmp_path / "4x_My.Model-v2.pth")).id == "custom-4x-my-model-v2"
    with pytest.raises(UsageError, match=r"taken by custom-4x-my-model-v2\. Choose another name"):
        custom.add(write(tmp_path / "other.pth", b"other"), name="4X my model V2")
    with pytest.raises(UsageError, match=r"here already: custom-4x-my-model-v2 \(4x_My.Model-v2\)"):
        custom.add(tmp_path / "4x_My.Model-v2.pth", name="something else")


def test_a_name_without_latin_letters_gets_an_id_from_the_hash(unchecked: None, tmp_path: Path) -> None:
    path = write(tmp_path / "model.pth")
    spec = custom.add(path, name="超解像")
    assert (spec.name, spec.id) == ("超解像", f"custom-{sha256_of(path)[:8]}")


@pytest.mark.parametrize("name", ["![](https://example.org/a.png)", "<b>", ":red[x]", "a\x1b[31m", "*", "", "a" * 61])
def test_a_name_that_a_page_could_take_for_more_than_a_name_is_refused(name: str, unchecked: None, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="A name has 1 to 60") as refusal:
        custom.add(write(tmp_path / "a.pth"), name=name)
    assert str(refusal.value).isprintable()
    spec = custom.add(tmp_path / "a.pth", file_name=f"a{name}.pth")
    assert not set(spec.name + spec.summary) & set("![]<>:*\x1b")
    assert len(spec.name) <= 60


def test_an_upload_under_a_random_name_keeps_the_name_of_the_persons_file(unchecked: None, tmp_path: Path) -> None:
    spec = custom.add(write(tmp_path / "8f3a"), file_name="../Sharp.PTH")
    assert (spec.name, spec.id) == ("Sharp", "custom-sharp")
    assert (settings().models / spec.id / "model.pth").is_file()
    with pytest.raises(UsageError, match="ends in"):
        custom.add(tmp_path / "8f3a")


def test_a_refused_or_cancelled_file_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="damaged"):
        custom.add(write(tmp_path / "page.onnx", awkward_models.PAGE))
    with pytest.raises(CheckCancelledError):
        custom.add(write(tmp_path / "page.pth"), cancelled=lambda: True)
    assert list(settings().models.iterdir()) == []


def test_a_thread_of_the_server_may_add_and_be_cancelled(tmp_path: Path) -> None:
    awkward_models.write_endless_loop(tmp_path / "endless.onnx")
    stop, outcome = threading.Event(), []

    def work() -> None:
        try:
            custom.add(tmp_path / "endless.onnx", cancelled=stop.is_set)
        except CheckCancelledError as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    stop.set()
    thread.join(2)
    assert not thread.is_alive()
    assert len(outcome) == 1


def test_a_home_that_can_not_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_HOME", "/proc/nowhere")
    with pytest.raises(UsageError, match="can't be stored in /proc/nowhere"):
        custom.add(write(tmp_path / "a.pth"))


@pytest.mark.parametrize("model_id", ["bicubic", "custom-", "custom-../../x", "../custom-a", "custom-unknown", ""])
def test_only_added_models_can_be_removed(model_id: str, unchecked: None, tmp_path: Path) -> None:
    custom.add(write(tmp_path / "a.pth"))
    with pytest.raises(UsageError, match="no model that was added"):
        custom.remove(model_id)
    assert custom.is_added("custom-a")


def test_the_expected_time_is_that_of_the_sample_on_the_machine_where_it_was_taken(
    unchecked: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = custom.add(write(tmp_path / "a.pth"))
    for gflops, seconds in ((50.0, 10.0), (100.0, 5.0)):
        monkeypatch.setattr(estimates, "matrix_gflops", lambda rate=gflops: rate)
        estimates.probe_machine()
        expected = estimates.estimate(spec, 2, "torch", "f32", 1_000_000)
        assert expected is not None
        assert expected.seconds == pytest.approx(seconds)


def test_speeds_measured_of_a_removed_model_are_not_those_of_its_successor(unchecked: None, tmp_path: Path) -> None:
    spec = custom.add(write(tmp_path / "a.pth"))
    estimates.record(spec, 2, "torch", "f32", 1_000_000, 3.0)
    assert estimates.measured_s_per_mp(spec) == {(2, "torch"): 3.0}
    model_files.remove(spec)
    assert estimates.measured_s_per_mp(custom.add(tmp_path / "a.pth")) == {}


def test_a_model_of_one_size_costs_its_tiles_not_its_cores(unchecked: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = {"fixed_side_px": 100, "tile_px": 100, "overlap_px": 25, "min_side_px": 100, "multiple_of_px": 100}
    monkeypatch.setattr(model_check, "check_model_file", lambda path, *, cancelled=None: dataclasses.replace(facts_for(path), **fixed))
    spec = custom.add(write(tmp_path / "a.pth"))
    # 0.1 s for each 50x50 pixels of the picture, on a machine half as fast as the reference.
    assert spec.seconds_per_mp[2] == pytest.approx(0.1 / 2500 * 1e6 / 2)
