"""Data sets of the Hugging Face hub, fetched once and kept as a folder of pictures in a layout of `benchmark.datasets.dataset`.

A repository either holds archives of pictures (`data/Set5_HR.tar.gz`, `data/Set5_LR_x2.tar.gz`: the usual benchmarks, whose loading
scripts no current version of `datasets` runs), or tables with columns of pictures, which `datasets` reads.
"""

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from benchmark.datasets.dataset import SUFFIXES
from core.errors import AppError, UsageError
from core.files import sync_folder
from core.settings import settings

DATASET_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
SHORT_NAMES = {name.lower(): f"eugenesiow/{name}" for name in ("Set5", "Set14", "BSD100", "Urban100")}
"""The benchmarks of the field by their own names."""
SPLITS = ("test", "validation", "val", "train")
"""Which part of a set is taken, the first that it has."""

_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_ROLE = re.compile(r"(?:^|[_\-./])(?:HR|GT|LR)(?=$|[_\-.x/])", re.IGNORECASE)
_HR_COLUMNS = ("hr", "gt", "image", "img", "original", "high_res", "target")
_LR_COLUMN = re.compile(r"(?:lr|low_res|input)(?:_?(?:bicubic_?)?x?(\d))?")
_NAME_COLUMNS = ("file_name", "filename", "name", "id")


def dataset_id(named: str) -> str | None:
    """The id of a set at the hub that a person means, such as `eugenesiow/Set5` or `Set5`; None for what can be none."""
    return SHORT_NAMES.get(named.lower()) or (named if DATASET_ID.fullmatch(named) else None)


def folder_of(hub_id: str) -> Path:
    """Where the pictures of a set are kept, whether or not it was fetched."""
    return settings().home / "datasets" / hub_id.replace("/", "--")


def fetch(hub_id: str) -> Path:
    """The folder with the pictures of a set; it is fetched unless it was before, and whole or not there.

    Raises
    ------
    core.errors.AppError
        It can't be had: no network, no such set, or no pictures in it.
    """
    folder = folder_of(hub_id)
    if folder.is_dir():
        return folder
    if settings().offline:
        raise UsageError(f"The data set {hub_id} is not on this machine, and UPSCALE_BENCH_OFFLINE is set: unset it, or name a folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
                found = Path(scratch) / "pictures"
                found.mkdir()
                _fetch_into(hub_id, found, Path(scratch) / "cache")
                if not any(path.suffix.lower() in SUFFIXES for path in found.rglob("*")):
                    raise AppError(f"The data set {hub_id} holds no pictures that can be read here. Name another, or a folder.")
                found.rename(folder)
                sync_folder(folder.parent)
    return folder


def _fetch_into(hub_id: str, folder: Path, cache: Path) -> None:
    import httpx2
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        info = HfApi().dataset_info(hub_id)
        names = [sibling.rfilename for sibling in info.siblings or []]
        archives = [name for name in names if name.endswith(_ARCHIVES) and _ROLE.search(name)]
        if archives:
            for name in archives:
                extract(Path(hf_hub_download(hub_id, name, repo_type="dataset", revision=info.sha, cache_dir=cache)), folder, cache)
        else:
            import datasets as hf_datasets

            write_rows(hf_datasets.load_dataset(hub_id, revision=info.sha, cache_dir=str(cache)), folder)
    except (OSError, ValueError, RuntimeError, httpx2.HTTPError, HfHubHTTPError) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise AppError(
            f"The data set {hub_id} can't be fetched: {first_line[:200]}. Check name and connection, or name a folder."
        ) from error


def extract(archive: Path, folder: Path, cache: Path) -> None:
    """Put the pictures of an archive into a folder of its name below `folder`.

    Parameters
    ----------
    cache:
        Where `datasets` may unpack it.
    """
    import datasets as hf_datasets

    manager = hf_datasets.DownloadManager(download_config=hf_datasets.DownloadConfig(cache_dir=str(cache)))
    unpacked = Path(str(manager.extract(str(archive))))
    stem = archive.name[: -len(next(ending for ending in _ARCHIVES if archive.name.endswith(ending)))]
    for path in sorted(unpacked.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.suffix.lower() in SUFFIXES:
            inside = path.relative_to(unpacked)
            # Most archives hold one folder of their own name.
            place = folder / stem / Path(*(inside.parts[1:] if inside.parts[0] == stem else inside.parts))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def write_rows(loaded: Any, folder: Path) -> None:  # noqa: ANN401 - `datasets` leaves open what it loads
    """Write the pictures of a loaded set as files: the bytes that it holds, nothing is decoded.

    Columns `hr`, `gt` or `image` are originals; `lr`, `lr_x4` and the like small versions.

    Raises
    ------
    ValueError
        It has no column of originals.
    """
    import datasets as hf_datasets

    if isinstance(loaded, Mapping):
        split = next((name for name in SPLITS if name in loaded), next(iter(loaded)))
        loaded = loaded[split]
    columns = [name for name, feature in loaded.features.items() if isinstance(feature, hf_datasets.Image)]
    original = next((name for wanted in _HR_COLUMNS for name in columns if name.lower() == wanted), None)
    if original is None:
        raise ValueError(f"it has no column of pictures called {', '.join(_HR_COLUMNS)}, but {', '.join(loaded.features)}")
    folders = {original: "HR"}
    for name in columns:
        small = _LR_COLUMN.fullmatch(name.lower())
        if small and name != original:
            folders[name] = f"LR_x{small[1]}" if small[1] else "LR"
    for name in folders:
        loaded = loaded.cast_column(name, hf_datasets.Image(decode=False))
    named = next((name for name in _NAME_COLUMNS if name in loaded.features), None)
    digits = len(str(len(loaded)))
    for index, row in enumerate(loaded):
        stem = Path(str(row[named])).stem if named else f"{index + 1:0{digits}}"
        for name, place in folders.items():
            if row[name] is not None:
                _write(row[name], folder / place, stem)


def _write(picture: Mapping[str, Any], folder: Path, stem: str) -> None:
    folder.mkdir(exist_ok=True)
    data = picture["bytes"] if picture["bytes"] is not None else Path(picture["path"]).read_bytes()
    suffix = Path(picture["path"] or "").suffix.lower()
    (folder / f"{stem}{suffix if suffix in SUFFIXES else '.png'}").write_bytes(data)
