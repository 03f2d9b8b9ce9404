"""Stable Diffusion x4, on a small model of random weights. The oracle is diffusers' own pipeline."""

import dataclasses
import hashlib
import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import upscalers
from benchmark import estimates
from benchmark.plan import Plan
from benchmark.workers.local_engine import LocalEngine
from core.errors import UnavailableError, UsageError, WeightsError
from core.image import RGB8
from runtimes.base import Placement
from tests import diffusion_models
from tests.engine_helpers import directory, run
from tests.pictures import noise, png, scene
from upscalers.diffusion import DiffusionUpscaler

SD = "sd-x4-upscaler"
CPU = Placement(device="cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model, which no test may change."""
    return diffusion_models.write(tmp_path_factory.mktemp("models"))


@pytest.fixture
def weights(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(model.parent))


@pytest.fixture
def own_copy(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a model that the test may change."""
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(tmp_path / "mine"))
    return Path(shutil.copytree(model, tmp_path / "mine" / model.name))


def loaded(**options: object) -> DiffusionUpscaler:
    upscaler = upscalers.create(SD, 4, {"steps": 2} | options).load("torch", CPU)
    assert isinstance(upscaler, DiffusionUpscaler)
    return upscaler


def difference(left: RGB8, right: RGB8) -> float:
    return float(np.abs(left.astype(int) - right).mean())


def refusal(call: Callable[[], object]) -> str:
    """The one line with which something is refused for its weights."""
    with pytest.raises(WeightsError) as refused:
        call()
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 4},
        {"steps": 4, "prompt": "a cat", "negative_prompt": "dog"},
        {"steps": 3, "prompt": "cat", "guidance": 2.5, "noise_level": 150},
        {"steps": 3, "prompt": "cat", "guidance": 1.0},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_one_tile_is_what_diffusers_own_pipeline_gives(options: dict[str, Any], weights: None, model: Path) -> None:
    import torch
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_upscale import StableDiffusionUpscalePipeline

    pipeline = StableDiffusionUpscalePipeline.from_pretrained(model, local_files_only=True, use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)
    picture = scene(72, 64)
    answer = pipeline(
        prompt=options.get("prompt", ""),
        negative_prompt=options.get("negative_prompt", ""),
        image=Image.fromarray(picture),
        num_inference_steps=options["steps"],
        guidance_scale=options.get("guidance", 9.0),
        noise_level=options.get("noise_level", 20),
        generator=torch.Generator().manual_seed(7),
        output_type="np",
    )
    images = np.asarray(answer.images)  # pyright: ignore[reportAttributeAccessIssue]: a tuple only where that is asked
    expected = np.rint(images[0] * 255).astype(int)
    result = loaded(**options)(picture, seed=7)
    assert np.abs(result - expected).max() <= 1
    assert (result != expected).mean() < 0.01


def test_any_size_is_enlarged_exactly_and_repeatably(weights: None) -> None:
    upscaler = loaded(steps=1)
    for width, height in [(1, 1), (5, 3), (1, 200), (127, 65)]:
        picture = noise(width, height)
        picture.setflags(write=False)
        before = picture.copy()
        result = upscaler(picture, seed=3)
        assert result.shape == (4 * height, 4 * width, 3)
        assert np.array_equal(picture, before)
        assert np.array_equal(result, upscaler(picture, seed=3))
        assert difference(result, upscaler(picture, seed=4)) > 1


def test_without_a_seed_it_is_zero(weights: None) -> None:
    upscaler = loaded()
    assert np.array_equal(upscaler(scene(20, 20)), upscaler(scene(20, 20), seed=0))
    for seed in (-1, 2**32):
        with pytest.raises(UsageError, match="from 0 to 4294967295"):
            upscaler(scene(20, 20), seed=seed)


@pytest.mark.parametrize(
    "options",
    [{"prompt": "cat"}, {"negative_prompt": "dog"}, {"noise_level": 200}, {"steps": 5}],
    ids=lambda options: next(iter(options)),
)
def test_every_option_changes_the_picture(options: dict[str, object], weights: None) -> None:
    picture = scene(40, 30)
    assert difference(loaded()(picture), loaded(**options)(picture)) > 0.5


def test_guidance_matters_between_different_prompts_only(weights: None) -> None:
    picture = scene(40, 30)

    def enlarged(prompt: str, negative_prompt: str, guidance: float) -> RGB8:
        return loaded(prompt=prompt, negative_prompt=negative_prompt, guidance=guidance)(picture)

    assert difference(enlarged("cat", "", 2.0), enlarged("cat", "", 9.0)) > 0.5
    assert np.array_equal(enlarged("cat", "dog", 1.0), enlarged("cat", "", 0.0))
    assert np.array_equal(enlarged("cat", "cat", 9.0), enlarged("cat", "", 0.0))


def _use_networks_that_see_single_pixels(upscaler: DiffusionUpscaler) -> None:
    """Replace UNet and decoder by formulas, so that the pixels of a picture depend on no others."""
    import torch

    def unet(batch: torch.Tensor, time: int, **_: object) -> tuple[torch.Tensor]:
        return (0.7 * batch[:, :4] - 0.3 * batch[:, [4, 5, 6, 4]] + time / 5000,)

    def decode(latents: torch.Tensor, return_dict: bool) -> tuple[torch.Tensor]:
        return (torch.tanh(latents[:, :3] / 20).repeat_interleave(4, 2).repeat_interleave(4, 3),)

    assert upscaler._parts is not None
    upscaler._parts = dataclasses.replace(upscaler._parts, unet=unet, vae=SimpleNamespace(decode=decode))  # pyright: ignore[reportArgumentType]


def test_tiles_share_one_noise_and_change_nothing_where_networks_see_single_pixels(weights: None) -> None:
    picture = scene(203, 181)
    tiled, whole = (
        dataclasses.replace(spec, tiling=tiling)
        for spec, tiling in ((upscalers.get(SD), upscalers.get(SD).tiling), (upscalers.get(SD), {}))
    )
    results = []
    for spec in (tiled, whole):
        upscaler = spec.build(spec, 4, spec.options({"steps": 3, "prompt": "cat"})).load("torch", CPU)
        assert isinstance(upscaler, DiffusionUpscaler)
        _use_networks_that_see_single_pixels(upscaler)
        assert (upscaler.tile_px(181, 203) is None) == (spec is whole)
        results.append(upscaler(picture, seed=5).astype(int))
    assert results[0].std() > 10
    assert np.abs(results[0] - results[1]).max() <= 1
    assert (results[0] != results[1]).mean() < 1e-3


def test_the_borders_of_tiles_are_not_seen(weights: None) -> None:
    upscaler = loaded(steps=3)
    picture = np.full((64, 300, 3), 128, np.uint8)
    result = upscaler(picture).astype(int)
    steps = np.abs(np.diff(result, axis=1)).mean(axis=(0, 2))
    cores = [4 * tile.core_x1 for tile in upscaler.tiles(64, 300)][:-1]
    assert len(cores) == 3
    for edge in cores:
        assert steps[edge - 64 : edge + 64].max() <= np.delete(steps, range(edge - 64, edge + 64)).max() * 1.2


def test_progress_counts_the_steps_of_all_tiles(weights: None) -> None:
    heard: list[tuple[int, int]] = []
    loaded(steps=2)(noise(260, 70), progress=lambda done, total: heard.append((done, total)))
    # Three tiles: six steps, and the last message once more for each tile that is decoded.
    assert heard == [(1, 6), (2, 6), (3, 6), (4, 6), (5, 6), (6, 6), (6, 6), (6, 6), (6, 6)]


def test_a_callback_that_raises_stops_between_steps(weights: None) -> None:
    class Stopped(Exception):  # noqa: N818
        pass

    heard = []

    def stop(done: int, total: int) -> None:
        heard.append((done, total))
        if done == 2:
            raise Stopped

    upscaler = loaded(steps=50)
    with pytest.raises(Stopped):
        upscaler(scene(20, 20), progress=stop)
    assert heard == [(1, 50), (2, 50)]
    upscaler.options["steps"] = 2
    assert np.array_equal(upscaler(scene(20, 20)), loaded()(scene(20, 20)))


def test_loading_is_silent_opens_no_connection_and_leaves_the_libraries_as_they_were(
    weights: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    before = [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with loaded(prompt="cat " * 100) as upscaler:
        upscaler(scene(8, 8))
    assert capfd.readouterr() == ("", "")
    assert [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries] == before


def test_the_weights_have_one_hash(weights: None, model: Path) -> None:
    files = sorted(path for path in model.rglob("*") if path.is_file())
    lines = [f"{SD}/{path.relative_to(model).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files]
    upscaler = loaded()
    assert upscaler.weights_sha256 == hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
    assert upscaler.verified_weights is False


def test_every_file_is_of_one_folder_and_one_revision() -> None:
    files = upscalers.get(SD).weights[4]
    assert {file.name for file in files} == {f"{SD}/{file.source.path}" for file in files}  # pyright: ignore[reportAttributeAccessIssue]
    assert len({file.source.revision for file in files}) == 1  # pyright: ignore[reportAttributeAccessIssue]
    assert sum(file.sha256 is not None for file in files) == 3
    assert all(file.sha256 for file in files if file.name.endswith(".safetensors"))


def test_missing_files_are_named(own_copy: Path) -> None:
    (own_copy / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    assert "needs sd-x4-upscaler/unet/diffusion_pytorch_model.safetensors: run `upscale-bench weights fetch" in refusal(loaded)
    status = upscalers.get(SD).status(4)
    assert (status.kind, status.text) == ("download", "Download 1.9 GB")
    shutil.rmtree(own_copy)
    assert "sd-x4-upscaler/model_index.json and 12 more" in refusal(loaded)
    assert upscalers.get(SD).status(4).text == "Download over 3.4 GB"


@pytest.mark.parametrize(
    "place",
    [
        "stable-diffusion-x4-upscaler",
        "models--stabilityai--stable-diffusion-x4-upscaler/snapshots/572c99286543a273bfd17fac263db5a77be12c4c",
    ],
)
def test_a_folder_of_another_name_is_found_and_its_name_asked_for(place: str, own_copy: Path) -> None:
    found = own_copy.parent / place
    found.parent.mkdir(parents=True, exist_ok=True)
    own_copy.rename(found)
    for line in (refusal(loaded), upscalers.get(SD).status(4).reason or ""):
        assert f"{found} holds them, but it must be called sd-x4-upscaler" in line
    (own_copy.parent / SD).symlink_to(found)
    assert loaded()


def test_naming_the_folder_itself_is_answered(own_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", str(own_copy))
    assert f"{own_copy} holds them, but it must be called sd-x4-upscaler (a link will do) and lie in a directory named" in refusal(loaded)


def test_files_in_two_places_are_refused(own_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other" / SD
    other.mkdir(parents=True)
    (own_copy / "unet").rename(other / "unet")
    monkeypatch.setenv("UPSCALE_BENCH_WEIGHTS", f"{own_copy.parent}:{other.parent}")
    line = refusal(loaded)
    assert "must lie in one folder" in line
    assert f"{own_copy} and {other}" in line


def _change(path: str, **values: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        content = json.loads((folder / path).read_text())
        (folder / path).write_text(json.dumps(content | values))

    return change


def _cut(path: str) -> Callable[[Path], object]:
    return lambda folder: (folder / path).write_bytes((folder / path).read_bytes()[:5000])


def _drop_a_tensor(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    del tensors["conv_out.weight"]
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_cut("unet/diffusion_pytorch_model.safetensors"), "unet is damaged"),
        (_cut("vae/diffusion_pytorch_model.safetensors"), "vae is damaged"),
        (_cut("text_encoder/model.safetensors"), "text_encoder is damaged"),
        (lambda folder: (folder / "vae/diffusion_pytorch_model.safetensors").write_bytes(b"<html>no</html>"), "vae is damaged"),
        (lambda folder: (folder / "unet/config.json").write_text("{"), "unet is damaged"),
        (lambda folder: (folder / "scheduler/scheduler_config.json").write_text("["), "scheduler is damaged"),
        (lambda folder: (folder / "tokenizer/vocab.json").write_text("[]"), "tokenizer is damaged"),
        (lambda folder: (folder / "model_index.json").write_text("not json"), "model_index.json is damaged"),
        (_change("model_index.json", _class_name="StableDiffusionPipeline"), "holds a StableDiffusionPipeline"),
        (_change("unet/config.json", block_out_channels=[8, 8, 8, 32]), "unet"),
        (_change("text_encoder/config.json", num_hidden_layers=2), "text_encoder"),
        (_drop_a_tensor, "lacks 1 of"),
    ],
    ids=[
        "cut unet",
        "cut vae",
        "cut text encoder",
        "web page",
        "config",
        "scheduler",
        "vocabulary",
        "index",
        "kind",
        "widths",
        "layers",
        "tensor",
    ],
)
def test_a_damaged_or_foreign_model_is_refused_in_one_line(damage: Callable[[Path], object], words: str, own_copy: Path) -> None:
    damage(own_copy)
    line = refusal(loaded)
    assert words in line
    assert "put the published file" in line


def test_half_precision_needs_a_gpu(weights: None) -> None:
    with pytest.raises(UnavailableError, match="f16 needs a GPU"):
        upscalers.create(SD, 4).load("torch", Placement(device="cpu", precision="f16"))


def test_brain_floats_give_nearly_the_same_picture(weights: None) -> None:
    picture = scene(40, 30)
    coarse = upscalers.create(SD, 4, {"steps": 2}).load("torch", Placement(device="cpu", precision="bf16"))
    assert 0 < difference(loaded()(picture), coarse(picture)) < 3


def test_the_expected_time_knows_steps_and_guidance() -> None:
    spec = upscalers.get(SD)

    def expected(**options: float | str) -> float:
        estimate = estimates.estimate(spec, 4, "torch", "f32", 128 * 128, options)
        assert estimate is not None
        return estimate.seconds

    # Decoding costs as much as 2.7 passes of the UNet.
    assert expected(steps=15) / expected() == pytest.approx(17.7 / 77.7)
    assert expected(prompt="cat") / expected() == pytest.approx(152.7 / 77.7)
    assert expected(prompt="cat", guidance=1.0) == expected(guidance=1.0) == expected()
    estimates.record(spec, 4, "torch", "f32", 128 * 128, 17.7, {"steps": 15})
    assert expected(prompt="cat") == pytest.approx(152.7)


def test_a_plan_gives_it_a_seed_and_others_none() -> None:
    def seeds(seed: int | None) -> list[int | None]:
        return [row.seed for row in Plan(scale=4, upscaler_ids=[SD, "bicubic"], seed=seed).rows()]

    assert seeds(None) == [0, None]
    assert seeds(41) == [41, None]
    with pytest.raises(UsageError, match="from 0 to 4294967295"):
        Plan(scale=4, upscaler_ids=["bicubic"], seed=-1)


def test_on_a_gpu_it_computes_in_half_precision_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def precisions(**more: Any) -> list[str]:
        return [row.precision for row in Plan(scale=4, upscaler_ids=[SD, "dat-light", "bicubic"], **more).rows()]

    assert precisions() == ["f32", "f32", "f32"]
    monkeypatch.setattr("runtimes.devices.gpu_name", lambda: "NVIDIA H200")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert precisions() == ["f16", "f32", "f32"]
    assert precisions(precision="bf16") == ["bf16", "bf16", "f32"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert precisions() == ["f32", "f32", "f32"]


@pytest.fixture
def engine(weights: None) -> Iterator[LocalEngine]:
    made = LocalEngine()
    yield made
    made.close()


def test_a_comparison_runs_it_and_stores_options_and_seed(engine: LocalEngine) -> None:
    options = {"steps": 3, "prompt": "cat"}
    job = run(engine, Plan(scale=4, upscaler_ids=[SD], options={SD: options}, repeats=0), png(scene(80, 64)))
    row = job.rows[0]
    assert (row.status, row.reason) == ("ok", None)
    assert row.seed == 0
    assert row.options == options | {"negative_prompt": "", "guidance": 9.0, "noise_level": 20}
    assert (row.progress_unit, row.tiles_done, row.tiles_total) == ("step", 3, 3)
    assert (row.precision, row.device, row.tile) == ("f32", "CPU", None)
    small = np.asarray(Image.fromarray(scene(80, 64)).resize((20, 16), Image.Resampling.BICUBIC))
    stored = np.asarray(Image.open(directory(engine, job) / str(row.output_path)))
    assert np.abs(loaded(**options)(small, seed=0).astype(int) - stored).max() <= 1
    again, other = (
        run(engine, Plan(scale=4, upscaler_ids=[SD], options={SD: options}, repeats=0, seed=seed), png(scene(80, 64))) for seed in (0, 1)
    )
    assert again.rows[0].was_warm is True
    assert again.rows[0].output_path == row.output_path
    assert again.rows[0].fingerprint == row.fingerprint
    assert other.rows[0].seed == 1
    assert other.rows[0].output_path != row.output_path
    assert other.rows[0].fingerprint != row.fingerprint
