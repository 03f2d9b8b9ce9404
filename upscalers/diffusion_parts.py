"""The networks and schedules of a latent diffusion upscaler, read from a folder as diffusers writes it.

Each part is read by its own class instead of by what the folder's `model_index.json` names, so a folder can't choose which code is
run, and a part that is incomplete is an error: the libraries fill what is missing with random numbers.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import WeightsError
from runtimes.torch_runtime import TorchDevice

if TYPE_CHECKING:
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
    from transformers.models.clip.modeling_clip import CLIPTextModel
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

IMPORTS = (
    "diffusers.models.autoencoders.autoencoder_kl",
    "diffusers.models.unets.unet_2d_condition",
    "diffusers.schedulers.scheduling_ddim",
    "diffusers.schedulers.scheduling_ddpm",
    "transformers.models.clip.modeling_clip",
    "transformers.models.clip.tokenization_clip",
)
"""What `read` imports: together about five seconds."""
PIPELINE = "StableDiffusionUpscalePipeline"


@dataclass(frozen=True, eq=False)
class Parts:
    """A latent diffusion upscaler."""

    tokenizer: "CLIPTokenizer"
    text_encoder: "CLIPTextModel"
    unet: "UNet2DConditionModel"
    vae: "AutoencoderKL"
    """In f32 whatever the device computes in: it overflows in f16."""
    scheduler: "DDIMScheduler"
    """The schedule along which noise is taken away."""
    low_res_scheduler: "DDPMScheduler"
    """The schedule by which noise is added to the small picture."""


def read(folder: Path, place: TorchDevice) -> Parts:
    """Read a folder, without a connection and without running code from it.

    Raises
    ------
    core.errors.WeightsError
        A file is damaged, or the folder holds another kind of model.
    core.errors.OutOfMemoryError
        It does not fit into memory.
    """
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
    from transformers.models.clip.modeling_clip import CLIPTextModel
    from transformers.models.clip.tokenization_clip import CLIPTokenizer

    _check_kind(folder)
    with place.computing(), _quietly():
        parts = Parts(
            tokenizer=_part(CLIPTokenizer, folder / "tokenizer"),
            text_encoder=_network(CLIPTextModel, folder / "text_encoder", place.device, place.dtype),
            unet=_network(UNet2DConditionModel, folder / "unet", place.device, place.dtype),
            vae=_network(AutoencoderKL, folder / "vae", place.device, torch.float32),
            scheduler=_part(DDIMScheduler, folder / "scheduler"),
            low_res_scheduler=_part(DDPMScheduler, folder / "low_res_scheduler"),
        )
    wanted, given = parts.unet.config["in_channels"], parts.vae.config["latent_channels"] + 3
    if wanted != given or len(parts.vae.config["block_out_channels"]) != 3:
        raise WeightsError(
            f"{folder / 'unet'} and vae do not belong together or not to a x4 upscaler: put the published files in their place."
        )
    return parts


def _check_kind(folder: Path) -> None:
    path = folder / "model_index.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged: put the published file in its place.") from error
    kind = index.get("_class_name") if isinstance(index, dict) else None
    if kind != PIPELINE:
        raise WeightsError(
            f"{folder} holds a {kind or 'model of an unknown kind'}, not a {PIPELINE}: put the published files in its place."
        )


def _part(kind: Any, folder: Path, **options: Any) -> Any:  # noqa: ANN401 - it gives what `kind` makes
    """Let a class of diffusers or transformers read its folder."""
    try:
        return kind.from_pretrained(folder, local_files_only=True, **options)
    except MemoryError:
        raise
    # Whatever a damaged file meets first: the libraries do not agree on one kind of error, and tokenizers raise a bare Exception.
    except Exception as error:
        raise WeightsError(f"{folder} is damaged or of another kind of model: put the published files in its place.") from error


def _network(kind: Any, folder: Path, device: "torch.device", dtype: "torch.dtype") -> Any:  # noqa: ANN401 - it gives what `kind` makes
    import torch

    network, found = _part(kind, folder, use_safetensors=True, output_loading_info=True, dtype=torch.float32)
    absent = [*found["missing_keys"], *found["mismatched_keys"]]
    if absent:
        raise WeightsError(f"{folder} lacks {len(absent)} of the network's tensors: put the published files in its place.")
    network = network.to(device=device, dtype=dtype).eval()
    for parameter in network.parameters():
        if device.type == "cpu" and dtype == torch.float32:
            # Until here it lies in the file, which is read when it is first used: that belongs to loading, not to the first call.
            parameter.data = parameter.data.clone()
    return network


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep both libraries' progress bars and advice from the terminal, and leave their settings as they were."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    before = [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]
    try:
        for library in libraries:
            library.set_verbosity_error()
            library.disable_progress_bar()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for library, (verbosity, bars) in zip(libraries, before, strict=True):
            library.set_verbosity(verbosity)
            if bars:
                library.enable_progress_bar()
