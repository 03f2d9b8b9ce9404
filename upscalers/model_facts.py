"""What is known of a model file that a person adds."""

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

ModelFormat = Literal["pytorch", "safetensors", "onnx"]
FORMATS: dict[str, ModelFormat] = {".pth": "pytorch", ".pt": "pytorch", ".ckpt": "pytorch", ".safetensors": "safetensors", ".onnx": "onnx"}
"""The endings of file names that can be added."""
Pixels = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What the check of a model file found, by reading it and by running it on small pictures."""

    format: ModelFormat
    architecture: str
    """spandrel's name of the architecture, such as `ESRGAN`; `ONNX` for any graph."""
    scale: Annotated[int, Field(ge=2, le=16)]
    channels: Annotated[int, Field(ge=1, le=3)]
    """3: RGB in and out. 1: luma in and out; the colours are enlarged by bicubic."""
    parameters: int
    """Numbers in its weights."""
    size_bytes: int
    sha256: str
    min_side_px: Pixels
    """Shortest side that it takes."""
    multiple_of_px: Pixels
    """What the sides must be a multiple of."""
    fixed_side_px: Pixels | None
    """The only height and width that it takes; None where any will do."""
    tile_px: Pixels
    """Side of the tiles in which large pictures are run, such that one needs no more than half of the memory allowed."""
    overlap_px: int
    sample_px: Pixels
    """Pixels of the picture on which `sample_s` was measured."""
    sample_s: Annotated[float, Field(ge=0)]
    """Seconds of one call on this machine, on the CPU in f32."""
    sample_gflops: Annotated[float, Field(gt=0)]
    """The machine's matrix rate (`runtimes.speed`), measured beside it."""

    def notes(self) -> list[str]:
        """What a person should know before using it, one sentence each."""
        notes = []
        if self.format == "onnx":
            notes.append("The file does not say what its numbers mean: RGB in 0..1 is assumed, and a small picture came out plausible.")
        if self.channels == 1:
            notes.append("It enlarges luma only; the colours are enlarged by bicubic.")
        if self.fixed_side_px is not None:
            notes.append(f"It takes only {self.fixed_side_px}×{self.fixed_side_px} px: every picture is run in tiles of that size.")
        return notes


@functools.cache
def _adapter() -> TypeAdapter[ModelFacts]:
    return TypeAdapter(ModelFacts)


def facts_from(document: dict[str, Any]) -> ModelFacts:
    """The facts in a JSON object. Raises `ValueError` when they are incomplete or of other types."""
    return _adapter().validate_python(document)
