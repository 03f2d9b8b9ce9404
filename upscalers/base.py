"""What all upscalers share: checking, padding, tiling and cropping."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError, UsageError, WeightsError
from core.image import RGB8
from core.weights import LocatedWeights, WeightFile, locate, status
from runtimes import RUNTIMES
from runtimes.base import F32, NetworkSource, Placement, Session
from runtimes.tiling import Tile, Tiling, plan_tiles, run_tiled
from upscalers.parameters import OptionValue
from upscalers.spec import UpscalerSpec, listed

Progress = Callable[[int, int], None]


class Upscaler(ABC):
    """One upscaler at one scale with its options. Construction is free; `load` does the work.

    A family writes `_load`, `_unload`, and `_forward` for one tile, or `_run` where tiles depend on each other.
    """

    def __init__(self, spec: UpscalerSpec, scale: float, options: Mapping[str, OptionValue]) -> None:
        if not spec.supports(scale):
            raise UsageError(f"{spec.id} does {', '.join(f'x{each}' for each in spec.scales)}; asked for x{scale:g}.")
        self.spec = spec
        self.scale = scale
        self.options = dict(options)
        self.weights: tuple[LocatedWeights, ...] = ()
        self._loaded = False

    @property
    def device_name(self) -> str:
        """The device that computes, as people call it."""
        return "CPU"

    @property
    def weights_sha256(self) -> str | None:
        """Hash of the weights in use; several files are joined by `+`. None for methods without weights."""
        return "+".join(file.sha256 for file in self.weights) or None

    @property
    def verified_weights(self) -> bool | None:
        """Whether every weight file is the published one; None for methods without weights."""
        return all(file.verified for file in self.weights) if self.weights else None

    @final
    def load(self, runtime: str, placement: Placement) -> Self:
        """Get ready to be called. Idempotent.

        Raises
        ------
        core.errors.WeightsError
            A weight file is missing or damaged.
        core.errors.UnavailableError
            The runtime can't do what is asked.
        """
        if not self._loaded:
            self._load(runtime, placement)
            self._loaded = True
        return self

    @final
    def unload(self) -> None:
        """Release what `load` took. Idempotent."""
        if self._loaded:
            self._unload()
            self._loaded = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unload()

    def tiling(self) -> Tiling | None:
        """How this upscaler cuts large pictures; None when it never does."""
        return self.spec.cut(self.scale)

    def tile_px(self, height: int, width: int) -> int | None:
        """The tile's side for a picture of this size, None when it is run whole."""
        tiling = self.tiling()
        return tiling.tile_px if tiling and len(self.tiles(height, width)) > 1 else None

    def tiles(self, height: int, width: int) -> list[Tile]:
        """The tiles in which a picture of this size is run."""
        return plan_tiles(height, width, self.tiling())

    @final
    def __call__(self, image: RGB8, *, seed: int | None = None, progress: Progress | None = None) -> RGB8:
        """Enlarge a picture.

        Parameters
        ----------
        image:
            `(H, W, 3)` uint8 sRGB, C-contiguous; never written to.
        seed:
            For stochastic upscalers: the same seed gives the same pixels; None stands for `upscalers.parameters.DEFAULT_SEED`.
        progress:
            Called with (done, in all), counted in the spec's `progress_unit`. What it raises ends the call and reaches the caller:
            so a call is stopped in this process.

        Returns
        -------
        `(round(H·scale), round(W·scale), 3)` uint8 sRGB.

        Raises
        ------
        core.errors.UsageError
            The seed is out of range.
        core.errors.ModelError
            The model produced NaN or a picture of another size.
        core.errors.OutOfMemoryError
            It needed more memory than there is.
        """
        if not self._loaded:
            raise RuntimeError(f"{self.spec.id} is called before load().")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"Expected uint8 (H, W, 3); got {image.dtype} {image.shape}.")
        return np.ascontiguousarray(self._run(image, self.spec.seed_for(seed), progress))

    def needs_conversion(self, runtime: str, *, reads_weights: bool = True) -> NetworkSource | None:
        """The network that must be converted before it can run on `runtime`; None where nothing must.

        Parameters
        ----------
        runtime:
            Id of the runtime.
        reads_weights:
            Whether weight files are read to tell their hashes. To show a state, those remembered of unchanged files will do.

        Raises
        ------
        core.errors.WeightsError
            A weight file is missing or damaged.
        """
        return None

    def expect(self, height: int, width: int) -> None:  # noqa: B027 - most have nothing to do
        """Do ahead what only the first picture of this size needs; part of loading, not of a call. Raises what `load` raises."""

    def small_sizes(self) -> list[tuple[int, int]]:
        """Height and width of small pictures on which a converted network is compared with the original; the first is no square."""
        return [(self._side(short), self._side(long)) for short, long in ((24, 56), (40, 33), (17, 17))]

    def _run(self, image: RGB8, seed: int | None, progress: Progress | None) -> RGB8:
        """Enlarge a picture; its pixels have been checked. `seed` is a number where the spec is stochastic."""
        tiles = self.tiles(*image.shape[:2])
        return run_tiled(image, self.scale, tiles, lambda tile: self._enlarge(tile, seed), progress)

    def _enlarge(self, tile: RGB8, seed: int | None) -> RGB8:
        """Run the model on one tile, mirrored outwards to a size that the model can take."""
        height, width = tile.shape[:2]
        tile = self._padded(tile)
        result = self._forward(tile, seed)
        expected = (round(tile.shape[0] * self.scale), round(tile.shape[1] * self.scale), 3)
        if result.shape != expected:
            raise ModelError(f"{self.spec.name} gave {result.shape[1]}x{result.shape[0]} pixels instead of {expected[1]}x{expected[0]}.")
        return result[: round(height * self.scale), : round(width * self.scale)]

    def _padded(self, picture: RGB8) -> RGB8:
        """The picture mirrored outwards, below and at the right, to a size that the model can take."""
        height, width = picture.shape[:2]
        below, right = self._side(height) - height, self._side(width) - width
        if not below and not right:
            return picture
        return np.ascontiguousarray(np.pad(picture, ((0, below), (0, right), (0, 0)), mode="symmetric"))

    def _side(self, side_px: int) -> int:
        """The next side that the model can take."""
        multiple = self.spec.side_multiple_px(self.scale)
        return -(-max(side_px, self.spec.min_side_px) // multiple) * multiple

    @abstractmethod
    def _load(self, runtime: str, placement: Placement) -> None:
        """Read the weights and open the network."""

    def _forward(self, tile: RGB8, seed: int | None) -> RGB8:
        """Enlarge one tile: `(h, w, 3)` uint8 to `(round(h·scale), round(w·scale), 3)` uint8. Must not write to `tile`."""
        raise NotImplementedError

    @abstractmethod
    def _unload(self) -> None:
        """Release the network."""

    def _locate(
        self, files: Sequence[WeightFile], find: Callable[[WeightFile], LocatedWeights | None] = locate
    ) -> dict[WeightFile, LocatedWeights]:
        """Find weight files and remember them. Raises `core.errors.WeightsError` when one is missing or can't be read."""
        found = [(file, find(file)) for file in files]
        missing = [file for file, place in found if place is None]
        if missing:
            raise WeightsError(f"{self.spec.name} needs {listed(missing)}: {self.spec.remedy(missing)}")
        located = {file: place for file, place in found if place is not None}
        self.weights = tuple(located.values())
        return located

    def peak_vram_mib(self) -> float | None:
        """Largest device memory since the last call of this method, in MiB; None without separate device memory."""
        return None


class NetworkUpscaler(Upscaler):
    """An upscaler whose work is one network: a family writes `_source` and `_forward`, and calls `self.session.run`."""

    _session: Session | None = None

    @property
    def session(self) -> Session:
        """The opened network."""
        if self._session is None:
            raise RuntimeError(f"{self.spec.id} is not loaded.")
        return self._session

    @property
    def device_name(self) -> str:
        """The device that computes, as people call it."""
        return self.session.device_name

    @abstractmethod
    def _source(self) -> NetworkSource:
        """Describe the network; `self.weights` is set."""

    def _files(self) -> tuple[WeightFile, ...]:
        """The weight files that the options ask for."""
        return self.spec.required_weights(self.scale)

    def needs_conversion(self, runtime: str, *, reads_weights: bool = True) -> NetworkSource | None:
        """See `Upscaler.needs_conversion`."""
        if runtime != "openvino" or "torch" not in self.spec.runtimes:
            return None
        self._locate(self._files(), locate if reads_weights else lambda file: status(file).located)
        source = self._source()
        return source if source.module is not None else None

    def _load(self, runtime: str, placement: Placement) -> None:
        self._locate(self._files())
        self._session = RUNTIMES.get(runtime).open(self._source(), placement)

    def expect(self, height: int, width: int) -> None:
        """See `Upscaler.expect`."""
        # Where it matters all tiles have one size.
        tile = self.tiles(height, width)[0]
        self.session.expect(self._side(tile.y1 - tile.y0), self._side(tile.x1 - tile.x0))

    def _unload(self) -> None:
        self.session.close()
        self._session = None

    def peak_vram_mib(self) -> float | None:
        """Largest device memory since the last call of this method, in MiB; None without separate device memory."""
        return self.session.peak_vram_mib()


def enlarge_rgb(tile: RGB8, network: Callable[[F32], F32]) -> RGB8:
    """Enlarge a picture by a network for RGB.

    Parameters
    ----------
    tile:
        `(H, W, 3)` uint8 sRGB; not written to.
    network:
        Maps RGB in 0..1, float32 `(1, 3, H, W)`, to `(1, 3, scale·H, scale·W)`.

    Returns
    -------
    `(scale·H, scale·W, 3)` uint8 sRGB, C-contiguous.

    Raises
    ------
    core.errors.ModelError
        The network gave NaN or an infinite value.
    """
    batch = np.ascontiguousarray(tile.transpose(2, 0, 1)[np.newaxis], np.float32) / np.float32(255)
    return np.ascontiguousarray(to_levels(network(batch)[0].transpose(1, 2, 0)))


def to_levels(samples: F32, full_scale: float = 255.0) -> NDArray[np.uint8]:
    """Round float samples to whole levels, clipped to 0..255.

    Parameters
    ----------
    samples:
        Any shape, float32; `1.0` stands for level 255 with the default `full_scale`.

    Raises
    ------
    core.errors.ModelError
        A sample is NaN or infinite: a score of such a picture would mean nothing.
    """
    if not np.isfinite(samples).all():
        raise ModelError("Model produced NaN or infinite values; there is no picture to score.")
    return np.clip(np.rint(samples * np.float32(full_scale)), 0, 255).astype(np.uint8)
