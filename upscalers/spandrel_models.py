"""The adapter of all networks that spandrel knows (https://github.com/chaiNNer-org/spandrel). They take and give RGB in [0, 1].

The families are tables of their own: `esrgan.py`, `dat.py`.
"""

import warnings
from typing import TYPE_CHECKING

from core.errors import WeightsError
from core.image import RGB8
from core.weights import WeightFile
from runtimes.base import NetworkSource
from upscalers.base import NetworkUpscaler, enlarge_rgb
from upscalers.network_code import code_version
from upscalers.state_dicts import read_state_dict

if TYPE_CHECKING:
    import torch
    from spandrel import ImageModelDescriptor


class SpandrelUpscaler(NetworkUpscaler):
    """Any RGB super-resolution network that spandrel recognises from its state dict."""

    architecture: str | None = None
    """spandrel's name of the only kind of network that is accepted; None accepts all."""
    compile_per_size = False
    """See `runtimes.base.NetworkSource.compile_per_size`."""

    def _source(self) -> NetworkSource:
        return NetworkSource(
            key=f"{self.weights_sha256}{self._blend()}", module=self._module, code=code_version(), compile_per_size=self.compile_per_size
        )

    def _blend(self) -> str:
        """What the options change in the weights."""
        return ""

    def _module(self) -> "torch.nn.Module":
        return for_inference(self._checked(read_state_dict(self.weights[0].path)))

    def _checked(self, state_dict: "dict[str, torch.Tensor]") -> "ImageModelDescriptor":
        """The network of a state dict. Raises `WeightsError` when it is no upscaler of this scale."""
        from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

        # DAT calls it in the way that PyTorch announces to change; nothing that a person could act on.
        warnings.filterwarnings("ignore", message="torch.meshgrid", category=UserWarning)
        name = self.weights[0].path.name
        needed = f"{self.spec.name} needs {self.architecture or 'image'} x{self.scale:g} weights: put the published file there"
        try:
            model = ModelLoader(device="cpu").load_from_state_dict(state_dict)
        except (UnsupportedModelError, RuntimeError, KeyError, AttributeError) as error:
            raise WeightsError(f"{name} holds no network that is known; {needed}.") from error
        if not isinstance(model, ImageModelDescriptor):
            raise WeightsError(f"{name} holds {model.architecture.name} weights, which enlarge no picture; {needed}.")
        if (model.input_channels, model.output_channels) != (3, 3):
            raise WeightsError(f"{name} maps {model.input_channels} to {model.output_channels} channels, not RGB to RGB; {needed}.")
        if model.scale != self.scale or self.architecture not in {None, model.architecture.name}:
            raise WeightsError(f"{name} holds {model.architecture.name} x{model.scale} weights; {needed}.")
        return model

    def _forward(self, tile: RGB8, seed: int | None) -> RGB8:
        return enlarge_rgb(tile, self.session.run)


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

    def _blend(self) -> str:
        return f":denoise={self._strength:g}"

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
        return for_inference(denoising)


def for_inference(network: "ImageModelDescriptor") -> "torch.nn.Module":
    """The module of a network, in f32 and eval mode, arranged for speed where this project knows how. Takes the network over."""
    module = network.model.float().eval()
    if network.architecture.id == "DAT":
        from upscalers.architectures.dat_inference import DATInference

        return DATInference(module).eval()
    return module
