"""The registry of upscalers, and their use in one line:

    from upscalers import upscale
    upscale(picture, "bicubic", scale=2)

A family is a module with a tuple `SPECS`; a new family is one file and one name in `FAMILIES`. Modules named in
`UPSCALE_BENCH_PLUGINS` are families that live outside this repository. A person's own model files (`upscalers.custom`) come last.
"""

import functools
import importlib
import logging
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from core.errors import UsageError
from core.registry import Registry
from core.settings import settings
from runtimes.base import Placement
from upscalers import custom, dat, diffusion, esrgan, interpolation, opencv_dnn, residual
from upscalers.base import Upscaler
from upscalers.spec import SCORED_SCALES, Status, UpscalerSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

FAMILIES = (interpolation, opencv_dnn, esrgan, dat, residual, diffusion)

__all__ = ["SCORED_SCALES", "Status", "Upscaler", "UpscalerSpec", "create", "find", "get", "registry", "upscale"]


@functools.lru_cache(maxsize=2)
def _registry(plugins: str, _added: custom.Fingerprint) -> Registry[UpscalerSpec]:
    entries: Registry[UpscalerSpec] = Registry("upscaler", key=lambda spec: spec.id)
    for family in FAMILIES:
        entries.add(*family.SPECS)
    for name in filter(None, (part.strip() for part in plugins.split(","))):
        try:
            specs = importlib.import_module(name).SPECS
        except (ImportError, AttributeError) as error:
            raise UsageError(f"UPSCALE_BENCH_PLUGINS names {name!r}, which can't be imported or has no SPECS: {error}.") from error
        entries.add(*specs)
    for spec in custom.specs():
        if spec.id in entries:
            log.warning("%s is left out: UPSCALE_BENCH_PLUGINS has an upscaler of that id.", spec.id)
        else:
            entries.add(spec)
    return entries


def registry() -> Registry[UpscalerSpec]:
    """All upscalers, in the order in which they are listed. What any process adds or removes shows at the next call."""
    return _registry(settings().plugins, custom.fingerprint())


def get(upscaler_id: str) -> UpscalerSpec:
    """The facts about one upscaler. Raises `core.errors.UnknownIdError`, which suggests the nearest id."""
    return registry().get(upscaler_id)


def find(upscaler_id: str) -> UpscalerSpec | None:
    """The facts about one upscaler; None when there is none of this id, or no longer."""
    entries = registry()
    return entries.get(upscaler_id) if upscaler_id in entries else None


def create(upscaler_id: str, scale: float, options: "Mapping[str, object] | None" = None, *, tile_px: int | None = None) -> Upscaler:
    """An upscaler that is not loaded yet; `tile_px` as in `UpscalerSpec.with_tile`.

    Raises `core.errors.UsageError` for a scale, an option or a side of tiles that it has not.
    """
    spec = get(upscaler_id).with_tile(scale, tile_px)
    return spec.build(spec, scale, spec.options(options or {}))


def upscale(
    picture: Image.Image,
    upscaler_id: str,
    scale: float,
    *,
    runtime: str = "auto",
    seed: int | None = None,
    tile_px: int | None = None,
    **options: object,
) -> Image.Image:
    """Enlarge a Pillow picture in this process.

    Parameters
    ----------
    picture:
        Any Pillow picture; it is converted to RGB as it is (open files through `core.image.decode_file` to have profiles,
        orientation and transparency respected).
    upscaler_id:
        Such as `dat-light`; `upscale-bench upscalers` lists all.
    scale:
        Enlargement factor, one that the upscaler offers.
    tile_px:
        Side of the tiles in which a large picture is cut, in its pixels; by default the upscaler's own. Smaller ones need less memory.
    options:
        Parameters of the upscaler, such as `denoise=0.5`.

    Returns
    -------
    An RGB picture of `round(scale · size)`.

    Raises
    ------
    core.errors.AppError
        The upscaler is unknown, can't run here, or lacks its weights.

    Examples
    --------
    >>> from PIL import Image
    >>> upscale(Image.new("RGB", (20, 10)), "bicubic", scale=2).size
    (40, 20)
    """
    upscaler = create(upscaler_id, scale, options, tile_px=tile_px)
    image = np.ascontiguousarray(np.asarray(picture.convert("RGB")))
    with upscaler.load(upscaler.spec.runtime(runtime, scale, upscaler.options), Placement()):
        return Image.fromarray(upscaler(image, seed=seed))
