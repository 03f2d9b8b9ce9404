"""Latent diffusion: Stable Diffusion x4, which redraws a picture from noise, guided by the small picture and a text.

Source: Rombach et al., https://arxiv.org/abs/2112.10752. For a picture of one tile it gives the pixels of diffusers'
`StableDiffusionUpscalePipeline` with the same seed. Larger pictures are denoised as one: in each step the predictions of overlapping
tiles are faded into each other (Jiménez, https://arxiv.org/abs/2302.02412), so that neighbours draw the same thing.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.image import RGB8
from core.weights import HuggingFaceSource, WeightFile
from runtimes.base import Placement
from runtimes.tiling import Tile, Tiling, plan_tiles
from runtimes.torch_runtime import TorchDevice
from upscalers import diffusion_parts
from upscalers.base import Progress, Upscaler
from upscalers.diffusion_sampling import SCALE, Request, Sampler
from upscalers.parameters import OptionValue, Parameter
from upscalers.spec import UpscalerSpec
from upscalers.weight_folder import combined_sha256, common_folder

if TYPE_CHECKING:
    from upscalers.diffusion_parts import Parts

STEPS = 75
"""The default of diffusers' pipeline for this model."""
DECODING_PASSES = 2.7
"""What decoding costs in passes of the UNet: 3.09 and 1.13 TFLOP for a tile of 128x128 pixels, counted by PyTorch."""


class DiffusionUpscaler(Upscaler):
    """Stable Diffusion x4."""

    _place: TorchDevice | None = None
    _parts: "Parts | None" = None
    _sha256: str | None = None

    @property
    def device_name(self) -> str:
        """The device that computes, as people call it."""
        return self._ready()[0].name

    @property
    def weights_sha256(self) -> str | None:
        """One hash over all files, see `upscalers.weight_folder.combined_sha256`."""
        return self._sha256

    def peak_vram_mib(self) -> float | None:
        """Largest device memory since the last call of this method, in MiB; None without separate device memory."""
        return self._ready()[0].peak_vram_mib()

    def _load(self, runtime: str, placement: Placement) -> None:
        place = TorchDevice(placement)
        found = self._locate(self.spec.required_weights(self.scale))
        self._parts = diffusion_parts.read(common_folder(found), place)
        self._place, self._sha256 = place, combined_sha256(found)

    def _unload(self) -> None:
        place, _ = self._ready()
        self._parts = self._place = None
        place.release()

    def _ready(self) -> "tuple[TorchDevice, Parts]":
        if self._place is None or self._parts is None:
            raise RuntimeError(f"{self.spec.id} is not loaded.")
        return self._place, self._parts

    def tiles(self, height: int, width: int) -> list[Tile]:
        """Those of the padded picture."""
        return plan_tiles(self._side(height), self._side(width), self.tiling(), self.spec.side_multiple_px(self.scale))

    def _run(self, image: RGB8, seed: int | None, progress: Progress | None) -> RGB8:
        assert seed is not None
        place, parts = self._ready()
        height, width = image.shape[:2]
        request, tiles = _request(self.options), self.tiles(height, width)
        done, total = 0, request.steps * len(tiles)

        def pass_done() -> None:
            # Decoding follows the last step: each of its tiles says only that the work goes on.
            nonlocal done
            done = min(done + 1, total)
            if progress:
                progress(done, total)

        sampler = Sampler(parts, place, request, tiles, pass_done)
        with place.computing():
            picture = sampler.decoded(sampler.denoised(self._padded(image), seed))
        return picture[: SCALE * height, : SCALE * width]


def _request(options: Mapping[str, OptionValue]) -> Request:
    return Request(
        prompt=str(options["prompt"]),
        negative_prompt=str(options["negative_prompt"]),
        steps=int(options["steps"]),
        guidance=float(options["guidance"]),
        noise_level=int(options["noise_level"]),
    )


def _work(options: Mapping[str, OptionValue]) -> float:
    """Passes of the UNet, decoding included, in units of the default's: without a prompt a step takes one."""
    request = _request(options)
    passes = request.steps * (2 if request.guided else 1)
    return (passes + DECODING_PASSES) / (STEPS + DECODING_PASSES)


REPOSITORY = "stabilityai/stable-diffusion-x4-upscaler"
REVISION = "572c99286543a273bfd17fac263db5a77be12c4c"
NETWORKS = {
    "text_encoder/model.safetensors": ("cce6febb0b6d876ee5eb24af35e27e764eb4f9b1d0b7c026c8c3333d4cfc916c", 1361597018),
    "unet/diffusion_pytorch_model.safetensors": ("b6dc05aaae1ba43c230612932492a81e431126582481fd6c7d94c6b15f9ce584", 1893675621),
    "vae/diffusion_pytorch_model.safetensors": ("33478c297ec29218100f8ee86007b3ab4c2701896d5ca5c9e3a84fc29f678183", 221326504),
}
"""Hash and size as the repository's commit a44206cef52cdd20c6a32fea6257860474f0be43, which added these files, states them."""
SETTINGS = (
    "model_index.json",
    "low_res_scheduler/scheduler_config.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "vae/config.json",
)
"""Small files whose hashes are not published."""


def _file(path: str, sha256: str | None = None, size_bytes: int | None = None) -> WeightFile:
    return WeightFile(
        name=f"sd-x4-upscaler/{path}",
        source=HuggingFaceSource(REPOSITORY, REVISION, path),
        sha256=sha256,
        size_bytes=size_bytes,
        role=path.partition("/")[0].removesuffix(".json"),
    )


SPECS = (
    UpscalerSpec(
        id="sd-x4-upscaler",
        name="Stable Diffusion x4",
        group="Diffusion",
        summary="Redraws the picture from noise, led by a text if you give one: rich detail, partly invented, very slow without a GPU.",
        aim="vivid",
        scales=(SCALE,),
        runtimes=("torch",),
        # CreativeML Open RAIL++-M, which SPDX does not list and whose plus signs a LicenseRef can't hold.
        license="LicenseRef-CreativeML-Open-RAIL-plus-plus-M",
        reference="https://arxiv.org/abs/2112.10752",
        weights={SCALE: (*(_file(path) for path in SETTINGS), *(_file(path, *facts) for path, facts in NETWORKS.items()))},
        # The size it was trained on; an eighth of it is faded on each side.
        tiling={SCALE: Tiling(128, 16, faded=True)},
        whole_picture=True,
        min_side_px=64,
        multiple_of_px=8,
        stochastic=True,
        progress_unit="step",
        imports=diffusion_parts.IMPORTS,
        gpu_precision="f16",
        parameters=(
            Parameter(
                name="prompt",
                label="Prompt",
                default="",
                maximum=500,
                help="What the picture shows, in English, about 50 words at most; with a prompt each step takes twice as long.",
            ),
            Parameter(
                name="negative_prompt",
                label="Negative prompt",
                default="",
                maximum=500,
                help="What the picture must not show; it works through guidance and doubles the time as a prompt does.",
            ),
            Parameter(
                name="steps",
                label="Steps",
                default=STEPS,
                minimum=1,
                maximum=250,
                help="Steps from noise to picture; the time grows with them.",
            ),
            Parameter(
                name="guidance",
                label="Guidance",
                default=9.0,
                minimum=0.0,
                maximum=30.0,
                help="How closely the picture follows the prompts; 1 or less leaves the negative prompt out.",
            ),
            Parameter(
                name="noise_level",
                label="Noise level",
                default=20,
                minimum=0,
                maximum=350,
                help="Noise added to the small picture first: more of it lets the model invent more.",
            ),
        ),
        # UNet, text encoder and autoencoder together.
        parameter_count={SCALE: 869_111_787},
        work=_work,
        seconds_per_mp={SCALE: 71000.0},
        build=DiffusionUpscaler,
    ),
)
