"""Models that are a folder of files: `WeightFile` names such as `sd-x4-upscaler/unet/config.json`."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from core.errors import WeightsError
from core.settings import settings
from core.weights import LocatedWeights, WeightFile


def common_folder(found: Mapping[WeightFile, LocatedWeights]) -> Path:
    """The folder in which all files of a model lie, such as `.../sd-x4-upscaler`.

    Raises
    ------
    core.errors.WeightsError
        They lie in more than one: libraries that load such a model take one folder.
    """
    folders = sorted({place.path.parents[len(_inner(file).parts) - 1] for file, place in found.items()})
    if len(folders) > 1:
        places = " and ".join(str(folder) for folder in folders)
        raise WeightsError(f"The files of {folders[0].name} must lie in one folder; they were found in {places}: put them all into one.")
    return folders[0]


def combined_sha256(found: Mapping[WeightFile, LocatedWeights]) -> str:
    """One hash for all files of a model: the sha256 of the lines `{name} {sha256}`, each ended by a line feed, sorted."""
    lines = sorted(f"{file.name} {place.sha256}\n" for file, place in found.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def misnamed_folder(missing: Sequence[WeightFile]) -> Path | None:
    """A folder in the user's directories that holds all these files of a model, but under another name than the model's."""
    inner = [_inner(file) for file in missing]
    if not inner or any(str(path) == "." for path in inner):
        return None
    for candidate in _candidates():
        try:
            if all((candidate / path).is_file() for path in inner):
                return candidate
        except OSError:  # a folder that can't be read is none that can be used
            continue
    return None


def _candidates() -> Iterator[Path]:
    """The directories named by the user, what lies in them, and what lies in them as the Hugging Face hub's own cache arranges it."""
    for directory in settings().weight_directories:
        yield directory
        for pattern in ("*", "models--*/snapshots/*"):
            yield from sorted(directory.glob(pattern))


def _inner(file: WeightFile) -> PurePosixPath:
    """Where the file lies in its model's folder; `.` for a file that lies in none."""
    return PurePosixPath(*PurePosixPath(file.name).parts[1:])
