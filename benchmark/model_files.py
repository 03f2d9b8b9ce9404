"""The files of a model on this machine: which there are to fetch, and what can be deleted."""

from benchmark import estimates, previews
from core import weights
from core.weights import WeightFile
from upscalers import custom
from upscalers.spec import UpscalerSpec


def all_files(spec: UpscalerSpec) -> list[WeightFile]:
    """Its weight files at all scales, each once."""
    return list(dict.fromkeys(file for files in spec.weights.values() for file in files))


def missing_files(spec: UpscalerSpec) -> list[WeightFile]:
    """Those without which it can't run at one of its scales, and that are not here. Raises `core.errors.WeightsError`."""
    return [file for file in all_files(spec) if not file.optional and weights.status(file).located is None]


def size_bytes(spec: UpscalerSpec) -> int | None:
    """Bytes of all its weight files; None while one is neither published nor here."""
    sizes = [file.size_bytes or _located_bytes(file) for file in all_files(spec)]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _located_bytes(file: WeightFile) -> int | None:
    located = weights.status(file).located
    try:
        return located.path.stat().st_size if located else None
    except OSError:  # it was taken away a moment ago
        return None


def removable(spec: UpscalerSpec) -> bool:
    """Whether it was added, or some of its files downloaded, by this program; what lies in a person's own directories is not touched."""
    return custom.is_added(spec.id) or any(weights.cached_bytes(file) > 0 for file in all_files(spec))


def remove(spec: UpscalerSpec) -> None:
    """Delete what was downloaded for it, or the model itself if it was added.

    Raises
    ------
    core.errors.AppError
        A file can't be deleted.
    """
    if custom.is_added(spec.id):
        custom.remove(spec.id)
        estimates.forget(spec.id)
    for file in all_files(spec):
        weights.remove(file)
    previews.forget(spec.id)
