"""Options that several commands have, and what their texts mean."""

from pathlib import Path
from typing import Annotated

import typer

from core.errors import UsageError
from metrics import MORE
from runtimes.base import Precision

ImageFile = Annotated[Path, typer.Argument(help="PNG, JPEG, WebP, TIFF or BMP, up to 25 MP.", show_default=False)]
Options = Annotated[list[str] | None, typer.Option("--option", help="ID.key=value; may be given several times.")]
Runtime = Annotated[str, typer.Option(help="auto, openvino, torch or opencv.")]
Tile = Annotated[
    int | None,
    typer.Option(
        help="Tiles of large pictures have no more pixels than a square of this side; smaller ones need less memory.",
        show_default="each one's own",
    ),
]
MoreMetrics = Annotated[
    str, typer.Option("--metrics", help=f"More scores, separated by commas, or all: {', '.join(MORE.ids())}.", show_default=False)
]
PrecisionName = Annotated[str, typer.Option(help="auto, f32, bf16 or f16; auto is f32, but f16 for diffusion on a GPU.")]


def parse_options(given: list[str] | None) -> dict[str, dict[str, object]]:
    """Each `--option ID.key=value`, by upscaler. Raises `core.errors.UsageError`."""
    options: dict[str, dict[str, object]] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        upscaler_id, dot, key = name.rpartition(".")
        if not (equals and dot):
            raise UsageError(f"Expected --option ID.key=value, got {text!r}.")
        options.setdefault(upscaler_id, {})[key] = value
    return options


def parse_metrics(text: str) -> tuple[str, ...]:
    """What `--metrics` says: names from `metrics.MORE`, which whoever takes them looks up."""
    return tuple(MORE.ids()) if text == "all" else tuple(part.strip() for part in text.split(",") if part.strip())


def parse_precision(name: str) -> Precision | None:
    """What `--precision` says; None for auto. Raises `core.errors.UsageError`."""
    match name:
        case "auto":
            return None
        case "f32" | "bf16" | "f16":
            return name
        case _:
            raise UsageError(f"Precision is auto, f32, bf16 or f16; got {name!r}.")
