"""What a model file holds, found out by reading it and by running it on small pictures.

For the process of the check (`upscalers.model_check`), which has limits: a file may make whoever opens it hang or run out of memory.
"""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil

from core.errors import ModelFileError, OutOfMemoryError, WeightsError
from core.memory import clear_peak_memory, peak_memory_mib
from core.settings import MIB, settings
from core.weight_hashes import sha256_of
from runtimes import RUNTIMES
from runtimes.base import F32, NetworkSource, Placement
from runtimes.speed import matrix_gflops
from upscalers.model_facts import FORMATS, ModelFacts
from upscalers.model_rules import MAX_BYTES, MAX_SCALE, exceeds_limits, is_damaged, is_no_upscaler, is_unknown
from upscalers.onnx_files import read_onnx
from upscalers.pickle_scan import scan_pytorch
from upscalers.spandrel_files import as_module, open_network

SAMPLE_SIDE_PX = 48
"""Of the picture on which time and memory are measured."""
REPEAT_FOR_S, MAX_CALLS = 0.5, 10
"""It is run again until it took so long together, or so many times."""
SIDES_PX = (1, 2, 4, 8, 16, 32, 64, 128)
"""Sides that are tried to find the shortest one."""
MULTIPLES_PX = (1, 2, 4, 8, 16, 32, 64)
"""What sides may have to be a multiple of."""
TILES_PX = (512, 384, 256, 192, 128, 96, 64)
UNMEASURED_TILE_PX = 128
"""Where the system does not tell how much memory was used."""
ATTENTION = {"ATD", "CRAFT", "DAT", "DRCT", "GRL", "HAT", "IPT", "OmniSR", "RGT", "Swin2SR", "SwinIR"}
"""Architectures that look at windows: their tiles overlap by 16 px, which hides the edges; those of others by 32."""
MIN_FIXED_SIDE_PX = 16
IMPLAUSIBLE = 0.25
"""Mean distance in 0..1 between a picture and its result shrunk back, above which the result is no picture of it."""
DOUBTFUL = 0.05
"""Above this distance the same picture in 0..255 is tried: if that comes out much better, it is the range that the network takes."""


def examine(path: Path) -> ModelFacts:
    """Check a model file in this process.

    Raises
    ------
    core.errors.ModelFileError
        It is no image upscaler that can be used here, or may do harm.
    """
    size_bytes = path.stat().st_size
    if not size_bytes:
        raise is_damaged("the file is empty")
    if size_bytes > MAX_BYTES:
        raise exceeds_limits(f"the file has {size_bytes / 1e9:.1f} GB; {MAX_BYTES / 1e9:.1f} GB are allowed")
    try:
        return _examine_onnx(path) if FORMATS[path.suffix.lower()] == "onnx" else _examine_spandrel(path)
    except (OutOfMemoryError, MemoryError) as error:
        raise exceeds_limits("loading and running it needs more memory than there is") from error


def _examine_spandrel(path: Path) -> ModelFacts:
    if FORMATS[path.suffix.lower()] == "pytorch":
        scan_pytorch(path)
    network = open_network(path)
    needs = network.size_requirements
    source = NetworkSource(key="", module=lambda: as_module(network))
    with closing(RUNTIMES.get("torch").open(source, Placement(device="cpu"))) as session:
        probe = _Probe(session.run, network.input_channels, network.scale)
        min_side_px = probe.shortest_side(_sides(max(1, needs.minimum), needs.multiple_of))
        return probe.facts(
            path,
            network.architecture.name,
            parameters=sum(parameter.numel() for parameter in network.model.parameters()),
            min_side_px=min_side_px,
            multiple_of_px=needs.multiple_of,
            overlap_px=16 if network.architecture.id in ATTENTION else 32,
        )


def _examine_onnx(path: Path) -> ModelFacts:
    stated = read_onnx(path)
    if stated.side_px is not None and stated.side_px < MIN_FIXED_SIDE_PX:
        raise is_no_upscaler(f"it takes only pictures of {stated.side_px} px a side; at least {MIN_FIXED_SIDE_PX} are needed for tiles")
    try:
        session = RUNTIMES.get("openvino").open(NetworkSource(key="", onnx=path), Placement(device="cpu"))
    except WeightsError as error:
        raise is_unknown(str(error).removeprefix(f"{path.name} ")) from error
    with closing(session):
        probe = _Probe(session.run, stated.channels, None)
        multiple_px = stated.side_px or probe.multiple()
        min_side_px = probe.shortest_side([stated.side_px] if stated.side_px else _sides(1, multiple_px))
        probe.check_range(*_sample_size(min_side_px, multiple_px, stated.side_px))
        return probe.facts(
            path,
            "ONNX",
            parameters=stated.parameters,
            min_side_px=min_side_px,
            multiple_of_px=multiple_px,
            fixed_side_px=stated.side_px,
            overlap_px=32,
        )


class _UnfitError(Exception):
    """The network does not take a picture of this size; the text says what happened."""


class _Probe:
    """A network that is run on small pictures."""

    def __init__(self, run: Callable[[F32], F32], channels: int, scale: int | None) -> None:
        self._run = run
        self._channels = channels
        self._scale = scale
        """None until the first picture has come out."""

    def multiple(self) -> int:
        """The smallest number of pixels of which the sides must be a multiple. Raises `core.errors.ModelFileError`."""
        reason = ""
        for multiple in MULTIPLES_PX:
            # An odd number of them, so that it is not by chance a multiple of the next.
            count = max(1, -(-32 // multiple)) | 1
            try:
                self._enlarge(_scene(self._channels, count * multiple, (count + 2) * multiple))
            except _UnfitError as error:
                reason = reason or str(error)
                continue
            return multiple
        raise is_no_upscaler(reason)

    def shortest_side(self, sides_px: list[int]) -> int:
        """The first of these sides that it takes. Raises `core.errors.ModelFileError`."""
        reason = ""
        for side_px in sides_px:
            picture = _scene(self._channels, side_px, side_px)
            try:
                result = self._enlarge(picture)
            except _UnfitError as error:
                reason = str(error)
                continue
            if not np.allclose(result, self._enlarge(picture), rtol=0, atol=0.5 / 255):
                raise is_no_upscaler("it gives other pixels at each call")
            return side_px
        raise is_no_upscaler(reason)

    def check_range(self, height: int, width: int) -> None:
        """Refuse a network whose numbers are not RGB, or luma, in 0..1. Raises `core.errors.ModelFileError`."""
        distance = self._distance(height, width, 1)
        if distance > IMPLAUSIBLE or (distance > DOUBTFUL and self._distance(height, width, 255) < distance / 2):
            raise is_no_upscaler(
                f"it expects another range than 0..1 (its result, shrunk back, is off by {distance:.2f}). Export it for RGB in 0..1"
            )

    def _distance(self, height: int, width: int, full_scale: int) -> float:
        """Mean distance between a picture in 0..`full_scale` and its result shrunk back, as a share of the scale."""
        picture = _scene(self._channels, height, width)
        result = self._enlarge(picture * np.float32(full_scale)) / full_scale
        scale = result.shape[1] // height
        shrunk = result.reshape(self._channels, height, scale, width, scale).mean((2, 4))
        return float(np.abs(shrunk - picture).mean())

    def facts(
        self,
        path: Path,
        architecture: str,
        *,
        parameters: int,
        min_side_px: int,
        multiple_of_px: int,
        overlap_px: int,
        fixed_side_px: int | None = None,
    ) -> ModelFacts:
        """Measure time and memory on a sample, and put all facts together. Raises `core.errors.ModelFileError`."""
        height, width = _sample_size(min_side_px, multiple_of_px, fixed_side_px)
        used_mib, sample_s = self._measured(_scene(self._channels, height, width))
        assert self._scale is not None
        tile_px = _tile_px(used_mib, height * width, fixed_side_px)
        return ModelFacts(
            format=FORMATS[path.suffix.lower()],
            architecture=architecture,
            scale=self._scale,
            channels=self._channels,
            parameters=parameters,
            size_bytes=path.stat().st_size,
            sha256=sha256_of(path),
            min_side_px=min_side_px,
            multiple_of_px=multiple_of_px,
            fixed_side_px=fixed_side_px,
            tile_px=tile_px,
            overlap_px=min(overlap_px, tile_px // 4) if fixed_side_px is None else min(16, tile_px // 4),
            sample_px=height * width,
            sample_s=sample_s,
            sample_gflops=matrix_gflops(),
        )

    def _measured(self, picture: F32) -> tuple[float | None, float]:
        """MiB that one call needs beside the loaded network, None where the system does not tell, and its seconds: the best of a few."""
        measurable = clear_peak_memory()
        before_mib = psutil.Process().memory_info().rss / MIB
        peak_mib: float | None = None
        calls_s: list[float] = []
        while sum(calls_s) < REPEAT_FOR_S and len(calls_s) < MAX_CALLS:
            started = time.perf_counter()
            try:
                self._enlarge(picture)
            except _UnfitError as error:
                raise is_no_upscaler(str(error)) from error
            calls_s.append(time.perf_counter() - started)
            peak_mib = peak_mib or peak_memory_mib()
        return (None if peak_mib is None or not measurable else max(0.0, peak_mib - before_mib)), min(calls_s)

    def _enlarge(self, picture: F32) -> F32:
        """The result for a picture, `(C, H, W)` each.

        Raises
        ------
        _UnfitError
            The network fails on this size, or gives no whole multiple of it.
        core.errors.ModelFileError
            It gives NaN, or does not enlarge.
        """
        _, height, width = picture.shape
        try:
            result = self._run(picture[np.newaxis])
        except OutOfMemoryError:
            raise
        except Exception as error:
            # A network may fail in any way on a size for which it was not made.
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise _UnfitError(f"it fails on {width}×{height} px: {lines[-1] if lines else type(error).__name__}") from error
        if result.ndim != 4 or result.shape[:2] != (1, self._channels):
            raise is_no_upscaler(f"for a picture of {self._channels} channels it gives numbers of shape {_shape(result)}")
        if self._scale is None:
            self._scale = _scale(result, height, width)
        if result.shape[2:] != (self._scale * height, self._scale * width):
            raise _UnfitError(f"of {width}×{height} px it makes {result.shape[3]}×{result.shape[2]}, not {self._scale} times the sides")
        if not np.isfinite(result).all():
            raise ModelFileError("Model produced NaN or infinite values: there is no picture to score. Train or export it again.")
        return result[0]


def _sides(minimum_px: int, multiple_px: int) -> list[int]:
    """Multiples from the shortest possible side up, among which the shortest that a network takes is sought."""
    return sorted({-(-max(minimum_px, side_px) // multiple_px) * multiple_px for side_px in SIDES_PX})


def _scale(result: F32, height: int, width: int) -> int:
    if result.shape[2] % height or result.shape[3] * height != result.shape[2] * width:
        raise _UnfitError(f"of {width}×{height} px it makes {result.shape[3]}×{result.shape[2]}, no whole multiple")
    scale = result.shape[2] // height
    if scale < 2:
        raise is_no_upscaler("it gives pictures of the size that it takes")
    if scale > MAX_SCALE:
        raise exceeds_limits(f"it enlarges by {scale}; {MAX_SCALE} is allowed")
    return scale


def _sample_size(min_side_px: int, multiple_px: int, fixed_side_px: int | None) -> tuple[int, int]:
    """Height and width of the picture on which time and memory are measured: no square, unless it must be one."""
    if fixed_side_px is not None:
        return fixed_side_px, fixed_side_px
    height = -(-max(SAMPLE_SIDE_PX, min_side_px) // multiple_px) * multiple_px
    return height, height + multiple_px


def _tile_px(used_mib: float | None, pixels: int, fixed_side_px: int | None) -> int:
    """The largest tile that needs no more than half of the memory that a call may use: memory grows with the pixels."""
    if fixed_side_px is None and used_mib is None:
        return UNMEASURED_TILE_PX
    budget_mib = settings().model_memory_mib / 2
    for tile_px in TILES_PX if fixed_side_px is None else (fixed_side_px,):
        if (used_mib or 0.0) / pixels * tile_px**2 <= budget_mib:
            return tile_px
    smallest = fixed_side_px or TILES_PX[-1]
    raise exceeds_limits(f"a tile of {smallest}×{smallest} px needs more than {budget_mib / 1024:g} GB of memory")


def _scene(channels: int, height: int, width: int) -> F32:
    """A smooth picture in 0..1 that differs in every corner and channel, its mean about a half."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    planes = [0.5 + 0.3 * np.sin(0.11 * (channel + 1) * columns + channel) * np.cos(0.09 * rows - channel) for channel in range(channels)]
    return np.stack(planes).astype(np.float32)


def _shape(result: F32) -> str:
    return "×".join(map(str, result.shape))
