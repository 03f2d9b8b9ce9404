"""The ESRGAN family: deep networks of dense residual blocks, and the compact ones that Real-ESRGAN added.

Sources: https://arxiv.org/abs/1809.00219, https://arxiv.org/abs/2107.10833. A further member is one more row in `SPECS`.
"""

from core.weights import HttpSource, HuggingFaceSource, Source, WeightFile
from runtimes.tiling import Tiling
from upscalers.parameters import Parameter
from upscalers.spandrel_models import DenoisingUpscaler, SpandrelUpscaler
from upscalers.spec import Build, UpscalerSpec

REAL_ESRGAN_PAPER = "https://arxiv.org/abs/2107.10833"
RRDBNET_MIB_PER_MP = {2: 3_280.0, 4: 13_080.0, 8: 41_610.0}
COMPACT_MIB_PER_MP = {4: 1_590.0}
"""See `UpscalerSpec.tile_mib_per_mp`; of an RRDBNet its depth does not matter."""


class RrdbUpscaler(SpandrelUpscaler):
    """A network of residual-in-residual dense blocks; old and new names of its tensors are read."""

    architecture = "ESRGAN"


class CompactUpscaler(SpandrelUpscaler):
    """A plain stack of convolutions at the small size."""

    architecture = "RealESRGAN Compact"


class DenoisingCompactUpscaler(DenoisingUpscaler):
    """A compact network with a denoise strength."""

    architecture = "RealESRGAN Compact"


def _release(
    version: str, name: str, sha256: str | None, size_bytes: int | None = None, *, role: str = "weights", optional: bool = False
) -> WeightFile:
    url = f"https://github.com/xinntao/Real-ESRGAN/releases/download/{version}/{name}"
    return WeightFile(name=name, source=HttpSource(url), sha256=sha256, size_bytes=size_bytes, role=role, optional=optional)


def _published(name: str, source: Source, sha256: str | None = None) -> WeightFile:
    return WeightFile(name=name, source=source, sha256=sha256, size_bytes=None)


def _forever(name: str) -> WeightFile:
    return _published(name, HuggingFaceSource("ai-forever/Real-ESRGAN", "a86fc6182b4650b4459cb1ddcb0a0d1ec86bf3b0", name))


def _row(
    spec_id: str,
    name: str,
    summary: str,
    weights: dict[int, tuple[WeightFile, ...]],
    *,
    tiling: dict[int, Tiling],
    seconds_per_mp: dict[int, float],
    parameter_count: dict[int, int],
    build: Build = RrdbUpscaler,
    parameters: tuple[Parameter, ...] = (),
    multiple_of_px: dict[int, int] | None = None,
    license_id: str = "BSD-3-Clause",
    tile_mib_per_mp: dict[int, float] = RRDBNET_MIB_PER_MP,
    reference: str = REAL_ESRGAN_PAPER,
    trained_for: str | None = None,
) -> UpscalerSpec:
    return UpscalerSpec(
        id=spec_id,
        name=name,
        group="GAN",
        summary=summary,
        aim="vivid",
        scales=tuple(weights),
        runtimes=("openvino", "torch"),
        license=license_id,
        reference=reference,
        weights=weights,
        tiling=tiling,
        multiple_of_px=multiple_of_px or {},
        parameters=parameters,
        parameter_count=parameter_count,
        trained_for=trained_for,
        tile_mib_per_mp={scale: tile_mib_per_mp[scale] for scale in tiling},
        seconds_per_mp=seconds_per_mp,
        speedup={"openvino": 1.15},
        build=build,
    )


DENOISE = Parameter(
    name="denoise",
    label="Denoise strength",
    default=1.0,
    minimum=0.0,
    maximum=1.0,
    help="1 removes noise, 0 keeps it; below 1 a second weight file (5 MB) is mixed in.",
)

SPECS = (
    _row(
        "realesr-general-x4v3",
        "Real-ESRGAN general",
        "A compact network for photos of any kind: lively detail at a moderate price.",
        {
            4: (
                _release(
                    "v0.2.5.0", "realesr-general-x4v3.pth", "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292", 4885111
                ),
                _release("v0.2.5.0", "realesr-general-wdn-x4v3.pth", None, role="keeps noise", optional=True),
            )
        },
        tiling={4: Tiling(1024, 40)},
        tile_mib_per_mp=COMPACT_MIB_PER_MP,
        seconds_per_mp={4: 18.0},
        parameter_count={4: 1_213_296},
        build=DenoisingCompactUpscaler,
        parameters=(DENOISE,),
    ),
    _row(
        "realesr-animevideov3",
        "Real-ESRGAN anime video",
        "A compact network for drawn pictures and animation.",
        {4: (_release("v0.2.5.0", "realesr-animevideov3.pth", None),)},
        tiling={4: Tiling(1024, 24)},
        tile_mib_per_mp=COMPACT_MIB_PER_MP,
        seconds_per_mp={4: 12.5},
        parameter_count={4: 621_424},
        build=CompactUpscaler,
    ),
    _row(
        "realesrgan-x4plus",
        "Real-ESRGAN x4plus",
        "The large network for degraded photos: invents convincing texture, slowly.",
        {4: (_release("v0.1.0", "RealESRGAN_x4plus.pth", "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1", 67040989),)},
        tiling={4: Tiling(384, 32)},
        seconds_per_mp={4: 265.0},
        parameter_count={4: 16_697_987},
    ),
    _row(
        "realesrgan-x2plus",
        "Real-ESRGAN x2plus",
        "The large network for x2: sharpens degraded photos.",
        {2: (_release("v0.2.1", "RealESRGAN_x2plus.pth", "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb"),)},
        tiling={2: Tiling(768, 64)},
        seconds_per_mp={2: 87.0},
        parameter_count={2: 16_703_171},
        multiple_of_px={2: 4},
    ),
    _row(
        "realesrgan-x4plus-anime-6b",
        "Real-ESRGAN anime 6B",
        "A quarter of x4plus, for drawings: crisp lines and flat colour.",
        {4: (_release("v0.2.2.4", "RealESRGAN_x4plus_anime_6B.pth", "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da"),)},
        tiling={4: Tiling(384, 32)},
        seconds_per_mp={4: 125.0},
        parameter_count={4: 4_467_779},
    ),
    _row(
        "realesrgan",
        "Real-ESRGAN (ai-forever)",
        "The large network, trained anew for x2, x4 and x8: lively detail on photos, up to eightfold.",
        {scale: (_forever(f"RealESRGAN_x{scale}.pth"),) for scale in (2, 4, 8)},
        tiling={2: Tiling(768, 64), 4: Tiling(384, 32), 8: Tiling(192, 32)},
        seconds_per_mp={2: 87.0, 4: 265.0, 8: 345.0},
        parameter_count={2: 16_703_171, 4: 16_697_987, 8: 16_734_915},
        multiple_of_px={2: 4},
    ),
    _row(
        "esrgan",
        "ESRGAN",
        "The original of 2018, for clean pictures: rich texture, and artefacts where it guesses wrong.",
        {
            4: (
                _published(
                    "ESRGAN.pth",
                    HttpSource("https://github.com/cszn/KAIR/releases/download/v1.0/ESRGAN.pth"),
                    "65fece06e1ccb48853242aa972bdf00ad07a7dd8938d2dcbdf4221b59f6372ce",
                ),
            )
        },
        tiling={4: Tiling(384, 32)},
        seconds_per_mp={4: 265.0},
        parameter_count={4: 16_697_987},
        license_id="Apache-2.0",
        reference="https://arxiv.org/abs/1809.00219",
        trained_for="bicubic",
    ),
)
