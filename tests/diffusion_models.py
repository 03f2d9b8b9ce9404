"""Small latent diffusion upscalers of random weights, in the files and with the key names of the published one."""

import json
from pathlib import Path
from typing import Any

NAME = "sd-x4-upscaler"
FEATURES = 16


def write(directory: Path, *, seed: int = 0) -> Path:
    """A model in `directory/sd-x4-upscaler`, which is returned."""
    import torch

    folder = directory / NAME
    torch.manual_seed(seed)
    _write_unet(folder / "unet")
    _write_vae(folder / "vae")
    _write_text_encoder(folder / "text_encoder")
    _write_tokenizer(folder / "tokenizer")
    schedule = {
        "_diffusers_version": "0.9.0.dev0",
        "beta_end": 0.02,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.0001,
        "num_train_timesteps": 1000,
        "trained_betas": None,
    }
    _write_json(
        folder / "scheduler" / "scheduler_config.json",
        schedule
        | {
            "_class_name": "DDIMScheduler",
            "clip_sample": False,
            "prediction_type": "v_prediction",
            "set_alpha_to_one": False,
            "skip_prk_steps": True,
            "steps_offset": 1,
        },
    )
    _write_json(
        folder / "low_res_scheduler" / "scheduler_config.json",
        schedule | {"_class_name": "DDPMScheduler", "clip_sample": True, "prediction_type": "epsilon", "variance_type": "fixed_small"},
    )
    _write_json(
        folder / "model_index.json",
        {
            "_class_name": "StableDiffusionUpscalePipeline",
            "_diffusers_version": "0.9.0.dev0",
            "low_res_scheduler": ["diffusers", "DDPMScheduler"],
            "max_noise_level": 350,
            "scheduler": ["diffusers", "DDIMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
    return folder


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def _write_tensors(path: Path, tensors: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"format": "pt"})


def _write_unet(folder: Path) -> None:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    config: dict[str, Any] = {
        "in_channels": 7,
        "out_channels": 4,
        "block_out_channels": [8, 8, 8, 16],
        "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 3],
        "up_block_types": [*["CrossAttnUpBlock2D"] * 3, "UpBlock2D"],
        "only_cross_attention": [True, True, True, False],
        "attention_head_dim": 2,
        "cross_attention_dim": FEATURES,
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "num_class_embeds": 1000,
        "use_linear_projection": True,
        "sample_size": 16,
    }
    network = UNet2DConditionModel(**config)
    _write_json(folder / "config.json", {"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.9.0.dev0"} | config)
    _write_tensors(folder / "diffusion_pytorch_model.safetensors", network.state_dict())


def _write_vae(folder: Path) -> None:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    config: dict[str, Any] = {
        "block_out_channels": [8, 8, 8],
        "down_block_types": ["DownEncoderBlock2D"] * 3,
        "up_block_types": ["UpDecoderBlock2D"] * 3,
        "latent_channels": 4,
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "sample_size": 16,
        "scaling_factor": 0.08333,
    }
    tensors = {}
    for name, tensor in AutoencoderKL(**config).state_dict().items():
        # The names of diffusers 0.9, with which the published file was written.
        for new, old in ((".to_q.", ".query."), (".to_k.", ".key."), (".to_v.", ".value."), (".to_out.0.", ".proj_attn.")):
            name = name.replace(new, old)  # noqa: PLW2901
        tensors[name] = tensor
    _write_json(folder / "config.json", {"_class_name": "AutoencoderKL", "_diffusers_version": "0.9.0.dev0"} | config)
    _write_tensors(folder / "diffusion_pytorch_model.safetensors", tensors)


def _write_text_encoder(folder: Path) -> None:
    import torch
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    config: dict[str, Any] = {
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 1,
        "hidden_act": "gelu",
        "hidden_size": FEATURES,
        "intermediate_size": 2 * FEATURES,
        "max_position_embeddings": 77,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "projection_dim": 8,
        "vocab_size": len(_vocabulary()),
    }
    network = CLIPTextModel(CLIPTextConfig(**config))
    # The names of transformers 4, with which the published file was written, and its list of positions.
    tensors = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in network.state_dict().items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    _write_json(folder / "config.json", {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model"} | config)
    _write_tensors(folder / "model.safetensors", tensors)


def _vocabulary() -> dict[str, int]:
    """Single letters, also at the end of a word, and the marks of start and end. `!`, which fills texts up, is 0 as published."""
    letters = ["!", *"abcdefghijklmnopqrstuvwxyz"]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}


def _write_tokenizer(folder: Path) -> None:
    def special(content: str) -> dict[str, Any]:
        return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}

    marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    added = {name: {"__type": "AddedToken"} | special(content) for name, content in marks.items()}
    _write_json(folder / "vocab.json", _vocabulary())
    (folder / "merges.txt").write_text("#version: 0.2\n")
    # As published, the two files differ in what fills a text up; the second one wins.
    _write_json(
        folder / "tokenizer_config.json",
        added | {"model_max_length": 77, "pad_token": "<|endoftext|>", "tokenizer_class": "CLIPTokenizer"},
    )
    _write_json(folder / "special_tokens_map.json", {name: special(content) for name, content in marks.items()} | {"pad_token": "!"})
