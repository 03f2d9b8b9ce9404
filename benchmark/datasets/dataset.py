"""Sets of pictures: a folder, or originals beside their small versions, in the layouts in which such sets are handed around.

A set is found, counted and hashed here; nothing is decoded. What is wrong with a picture is found when its turn comes.

Layouts, with names in any case:

    any/folders/bird.png                            every picture is an original
    x2/HR/001.png, x2/LR/001.png                    a folder per scale
    DIV2K_HR/0801.png, DIV2K_LR_bicubic/X2/0801x2.png, Set5_LR_x4/baby.png
    GTmod12/baby.png, LRbicx4/baby.png
    img_001_SRF_2_HR.png, img_001_SRF_2_LR.png      both in one folder
"""

import hashlib
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from PIL import Image

from core.errors import UsageError
from upscalers.spec import SCORED_SCALES

SUFFIXES = frozenset((".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".dib"))
"""Files with another ending are left out."""
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
"""What their headers are read as, in Pillow's words."""
UNREADABLE = "unreadable"
"""Stands for the hash of a file that can't be read."""
Role = Literal["HR", "LR"]

_BETWEEN = r"[_\-. ]"
_FOLDER_ROLE = re.compile(rf"(?:^|{_BETWEEN})(?:(?P<hr>HR|GT|GTmod\d+)|(?P<lr>LR))(?=$|{_BETWEEN}|bic|x\d)", re.IGNORECASE)
_FOLDER_SCALE = re.compile(rf"(?:^|{_BETWEEN}|LR|bic)(?:x|SRF_?)(\d+)$", re.IGNORECASE)
_FILE_ROLE = re.compile(rf"{_BETWEEN}(?:(?P<hr>HR|GT)|(?P<lr>LR))(?={_BETWEEN}?x\d+$|$)", re.IGNORECASE)
_FILE_SCALE = re.compile(rf"{_BETWEEN}?(?:x|SRF_?)(\d+)$", re.IGNORECASE)


@dataclass(frozen=True)
class SourceFile:
    """A picture file as it was when the set was read."""

    path: Path
    sha256: str
    """Of its bytes, in hexadecimal; `UNREADABLE` where they can't be read."""
    size: tuple[int, int] | None
    """Width and height in pixels as its header says; None where that can't be read."""


@dataclass(frozen=True)
class DatasetPicture:
    """One picture of a set at one scale."""

    name: str
    """Unique in the set: its path below the set's folder, without what says HR, LR or a scale, with `/` between folders."""
    original: SourceFile
    small: SourceFile | None
    """Its small version, where the set has one for this scale."""


@dataclass(frozen=True)
class Dataset:
    """A set of pictures."""

    name: str
    root: Path
    sha256: str
    """Of what it holds: names, roles, scales and the bytes of all its pictures. Another picture, or a changed one, gives another."""
    left_out: int
    """Files of the folder that are no pictures, or neither original nor small version where others are."""
    _originals: dict[tuple[str, int | None], SourceFile] = field(repr=False)
    _smalls: dict[tuple[str, int | None], SourceFile] = field(repr=False)

    @property
    def names(self) -> list[str]:
        """The names of its pictures, sorted."""
        return sorted({name for name, _ in self._originals})

    def __len__(self) -> int:
        return len(self.names)

    def has_small(self, scale: int) -> bool:
        """Whether any of its pictures has a small version for this scale."""
        return any(each in (scale, None) for _, each in self._smalls)

    def pictures(self, scale: int) -> list[DatasetPicture]:
        """Its pictures as they are compared at this scale, sorted by name.

        Where originals come per scale and none for this one, the largest of them is taken: they differ by what the crop to a
        multiple of the scale cuts off.
        """
        return [DatasetPicture(name, self._original(name, scale), self._small(name, scale)) for name in self.names]

    def _original(self, name: str, scale: int) -> SourceFile:
        for wanted in (scale, None):
            if (name, wanted) in self._originals:
                return self._originals[name, wanted]
        of_other_scales = [self._originals[name, each] for each in SCORED_SCALES if (name, each) in self._originals]
        return max(of_other_scales, key=lambda file: file.size or (0, 0))

    def _small(self, name: str, scale: int) -> SourceFile | None:
        return self._smalls.get((name, scale)) or self._smalls.get((name, None))


def open_folder(root: Path, *, name: str | None = None) -> Dataset:
    """Read what a folder holds, its subfolders included. Hidden files and folders are left out.

    Parameters
    ----------
    root:
        A folder in one of this module's layouts.
    name:
        What the set is called; by default as the folder is.

    Raises
    ------
    core.errors.UsageError
        There is no such folder, no picture in it, or two originals of one name.
    """
    if not root.is_dir():
        raise UsageError(f"There is no folder {str(root)!r}. Name a folder of pictures, or a data set as owner/name.")
    pictures, left_out = [], 0
    for path in _files(root):
        if path.suffix.lower() in SUFFIXES:
            pictures.append(_parse(path, path.relative_to(root)))
        else:
            left_out += 1
    originals: dict[tuple[str, int | None], Path] = {}
    smalls: dict[tuple[str, int | None], Path] = {}
    if not any(picture.role == "HR" for picture in pictures):
        # Nothing is said to be an original: then every picture is one, and keeps its ending, as two may differ in nothing else.
        originals = {(picture.relative.as_posix(), None): picture.path for picture in pictures}
    else:
        for picture in pictures:
            if picture.role == "HR":
                _add(originals, picture.stem, picture)
        names = {name for name, _ in originals}
        for picture in pictures:
            if picture.role == "LR":
                # `0801x2` is the small version of `0801`, unless there is an original that is called `0801x2` itself.
                _add(smalls, picture.unscaled if picture.stem not in names else picture.stem, picture)
            elif picture.role is None:
                left_out += 1
        left_out += sum(key[0] not in names for key in smalls)
        smalls = {key: path for key, path in smalls.items() if key[0] in names}
    if not originals:
        endings = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        raise UsageError(f"No picture lies in {str(root)!r}. Expected files that end in {endings}.")
    read = {path: _read(path) for path in (*originals.values(), *smalls.values())}
    return _dataset(
        name or root.resolve().name,
        root,
        left_out,
        {key: read[path] for key, path in originals.items()},
        _with_scales({key: read[path] for key, path in originals.items()}, {key: read[path] for key, path in smalls.items()}),
    )


def _dataset(name: str, root: Path, left_out: int, originals: dict, smalls: dict) -> Dataset:
    lines = [
        f"{role}\0{scale or ''}\0{picture}\0{file.sha256}\n"
        for role, files in (("HR", originals), ("LR", smalls))
        for (picture, scale), file in files.items()
    ]
    return Dataset(name, root, hashlib.sha256("".join(sorted(lines)).encode()).hexdigest(), left_out, originals, smalls)


def _with_scales(
    originals: dict[tuple[str, int | None], SourceFile], smalls: dict[tuple[str, int | None], SourceFile]
) -> dict[tuple[str, int | None], SourceFile]:
    """Small pictures whose names tell no scale get that of the ratio of the sizes; None where the headers don't tell it either."""
    return {(name, scale or _ratio(originals.get((name, None)), small)): small for (name, scale), small in smalls.items()}


def _ratio(original: SourceFile | None, small: SourceFile) -> int | None:
    if original is None or original.size is None or small.size is None:
        return None
    width, height = original.size
    return next((each for each in SCORED_SCALES if small.size == (width // each, height // each)), None)


@dataclass(frozen=True)
class _Named:
    """A picture file and what its name tells."""

    path: Path
    relative: PurePosixPath
    role: Role | None
    scale: int | None
    stem: str
    """Its name in the set, should it be an original."""
    unscaled: str
    """Likewise without a scale at its end."""


def _parse(path: Path, relative: Path) -> _Named:
    role: Role | None = None
    scale: int | None = None
    kept = []
    for folder in relative.parts[:-1]:
        folder_role, folder_scale = _FOLDER_ROLE.search(folder), _FOLDER_SCALE.search(folder)
        if folder_role:
            role = "HR" if folder_role["hr"] else "LR"
        if folder_scale:
            scale = int(folder_scale[1])
        if not (folder_role or folder_scale):
            kept.append(folder)
    stem = relative.stem
    file_role = _FILE_ROLE.search(stem)
    if file_role:
        role = "HR" if file_role["hr"] else "LR"
        stem = stem[: file_role.start()] + stem[file_role.end() :]
    unscaled, file_scale = stem, _FILE_SCALE.search(stem)
    if file_scale and file_scale.start():
        unscaled = stem[: file_scale.start()]
        if file_role or role == "LR":
            scale = scale or int(file_scale[1])
        if file_role:
            stem = unscaled
    return _Named(path, PurePosixPath(relative.as_posix()), role, scale, "/".join([*kept, stem]), "/".join([*kept, unscaled]))


def _add(files: dict[tuple[str, int | None], Path], name: str, picture: _Named) -> None:
    key = (name, picture.scale)
    if key in files:
        raise UsageError(f"{files[key].name!r} and {picture.path.name!r} are both {picture.role} of {name!r}: keep one of them.")
    files[key] = picture.path


def _files(root: Path) -> Iterator[Path]:
    """All files below a folder, sorted, without hidden ones. Links are followed, and no folder is entered twice."""
    entered: set[str] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            subfolders.clear()
            continue
        entered.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        for name in sorted(names):
            path = Path(folder, name)
            # A pipe would never end.
            if not name.startswith(".") and path.is_file():
                yield path


def _read(path: Path) -> SourceFile:
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return SourceFile(path, UNREADABLE, None)
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:
            return SourceFile(path, sha256, image.size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        # Only the estimate of the time needs the size; the decoder will say what is wrong.
        return SourceFile(path, sha256, None)
