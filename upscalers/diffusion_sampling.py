"""From noise to a picture: the sampling loop of a latent diffusion upscaler, over one tile or many."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.image import RGB8
from runtimes.base import F32
from runtimes.tiling import Tile, blended
from runtimes.torch_runtime import TorchDevice
from upscalers.base import to_levels

if TYPE_CHECKING:
    import torch

    from upscalers.diffusion_parts import Parts

SCALE = 4
"""Output pixels per latent pixel; a latent pixel lies on a pixel of the small picture."""
LATENT_CHANNELS = 4
LATENT_SCALE = 0.08333
"""What latents are multiplied by on their way from the autoencoder to the UNet. Source: the model's `vae/config.json`; diffusers allows
no other value for this kind of model."""


@dataclass(frozen=True)
class Request:
    """What a person asked for."""

    prompt: str
    negative_prompt: str
    steps: int
    guidance: float
    noise_level: int
    """How far along its schedule noise is added to the small picture."""

    @property
    def guided(self) -> bool:
        """Whether a step predicts twice, with the prompt and with the negative one, and goes beyond the difference.

        Between equal prompts there is none, and the second pass would change nothing.
        """
        return self.guidance > 1 and self.prompt != self.negative_prompt


@dataclass(frozen=True, eq=False)
class Sampler:
    """The loop for one picture. Its methods are called within `TorchDevice.computing`."""

    parts: "Parts"
    place: TorchDevice
    request: Request
    tiles: list[Tile]
    pass_done: Callable[[], None]
    """Called after each tile of each step, and after each decoded tile."""

    def denoised(self, small: RGB8, seed: int) -> "torch.Tensor":
        """Latents of the enlarged picture, `(1, 4, H, W)` f32 on the CPU.

        All noise comes from `seed` in one field over the whole picture, on the CPU, so it depends on neither tiles nor device. It is
        drawn in the order of diffusers' pipeline.
        """
        import torch

        generator = torch.Generator().manual_seed(seed)
        guide = torch.tensor(small).permute(2, 0, 1)[None] / 255 * 2 - 1
        level = torch.IntTensor([self.request.noise_level])
        guide = self.parts.low_res_scheduler.add_noise(guide, torch.randn(guide.shape, generator=generator), level)
        scheduler = self.parts.scheduler
        scheduler.set_timesteps(self.request.steps)
        shape = (1, LATENT_CHANNELS, *guide.shape[2:])
        latents = torch.randn(shape, generator=generator) * scheduler.init_noise_sigma
        texts = self._embedded()
        for time in scheduler.timesteps.tolist():
            predicted = self._predicted(torch.cat([latents, guide], dim=1), time, texts)
            latents = scheduler.step(predicted, time, latents, return_dict=False)[0]
        return latents

    def decoded(self, latents: "torch.Tensor") -> RGB8:
        """The picture of `latents`, `(4·H, 4·W, 3)`."""

        def decode(tile: Tile) -> F32:
            part = latents[:, :, tile.y0 : tile.y1, tile.x0 : tile.x1] / LATENT_SCALE
            on_device = part.to(self.place.device)
            decoded = self.parts.vae.decode(on_device, return_dict=False)[0]  # pyright: ignore[reportArgumentType]: it names a legacy type
            self.pass_done()
            return (decoded[0] / 2 + 0.5).clamp(0, 1).cpu().numpy()

        height, width = latents.shape[2:]
        picture = np.empty((SCALE * height, SCALE * width, 3), np.uint8)
        for top, band in blended(self.tiles, SCALE, decode):
            picture[top : top + band.shape[1]] = to_levels(band).transpose(1, 2, 0)
        return picture

    def _embedded(self) -> "torch.Tensor":
        """The prompts as the UNet takes them, `(passes, tokens, features)`: the negative one first, and only where it matters."""
        texts = [self.request.negative_prompt, self.request.prompt] if self.request.guided else [self.request.prompt]
        encoder = self.parts.text_encoder
        length = encoder.config.max_position_embeddings
        tokens = self.parts.tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return encoder(tokens.input_ids.to(self.place.device))[0]

    def _predicted(self, field: "torch.Tensor", time: int, texts: "torch.Tensor") -> "torch.Tensor":
        """What the UNet makes of latents and small picture `(1, 7, H, W)` at a time step: `(1, 4, H, W)` f32 on the CPU."""
        import torch

        passes = len(texts)
        levels = torch.full((passes,), self.request.noise_level, device=self.place.device)

        def predict(tile: Tile) -> F32:
            part = field[:, :, tile.y0 : tile.y1, tile.x0 : tile.x1].to(self.place.device, self.place.dtype).expand(passes, -1, -1, -1)
            answer = self.parts.unet(part, time, encoder_hidden_states=texts, class_labels=levels, return_dict=False)[0].float()
            if self.request.guided:
                without, with_prompt = answer.chunk(2)
                answer = without + self.request.guidance * (with_prompt - without)
            self.pass_done()
            return answer[0].cpu().numpy()

        whole = np.empty((LATENT_CHANNELS, *field.shape[2:]), np.float32)
        for top, band in blended(self.tiles, 1, predict):
            whole[:, top : top + band.shape[1]] = band
        return torch.from_numpy(whole)[None]
