"""The pictures behind the numbers of a leaderboard: the original of a data set, and the results that were kept.

A result lies in the folder of a run that was made with `--keep-images`, or in a comparison of the app where the same upscaler has the
same fingerprint: everything that decides its pixels is then the same. A path is never made of what a visitor asks for: he names a row
of the store and the file name that belongs to it, and gets the file only where the two agree.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from benchmark import jobs
from benchmark.degradation import crop_to_multiple
from benchmark.ranking.leaderboard import Entry, Ranking
from benchmark.runs.folder import folder_of
from benchmark.schema import Row
from benchmark.storage import comparison_index
from benchmark.storage.database import reading
from benchmark.storage.store import Store
from benchmark.storage.tables import cells, comparisons, datasets, pictures, runs
from core.errors import AppError, ImageError
from core.image import ALPHA8, RGB8, decode, encode_png, read_file

KEPT_NAME = re.compile(r"[0-9a-f]{64}")
"""What a kept result is called, without its ending."""
LARGEST_ID = 2**63 - 1
"""SQLite knows no larger one."""


@dataclass(frozen=True)
class ScoredPicture:
    """A picture of a data set at one scale, as an upscaler was scored on it."""

    cell_id: int
    picture_id: int
    name: str
    scale: int
    root: Path
    """The folder of the set."""
    original: Path
    original_sha256: str
    small: Path | None
    """Its own small version, where the set has one."""
    row: Row
    """Without its scores."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the result, and of the original after its crop, in pixels."""
        return self.row.width or 1, self.row.height or 1

    @property
    def original_name(self) -> str:
        """What the original's PNG is called in addresses: it changes with the file's bytes and with the crop."""
        return _original_name(self.original_sha256, self.scale)


def worst_first(entry: Entry, baseline: Entry | None) -> list[str]:
    """The names of an entry's scored pictures, those first on which it falls back the furthest behind the baseline.

    Where there is no baseline, or the entry is it, those with the lowest PSNR come first. Pictures that the baseline lacks come last.
    """
    if baseline is None or baseline is entry:
        return sorted(entry.psnr_of, key=lambda name: (entry.psnr_of[name], name))
    of_both = sorted((value - baseline.psnr_of[name], name) for name, value in entry.psnr_of.items() if name in baseline.psnr_of)
    return [name for _, name in of_both] + sorted(entry.psnr_of.keys() - baseline.psnr_of.keys())


def scored(store: Store, ranking: Ranking, entry: Entry, picture: str) -> ScoredPicture | None:
    """What an entry of a ranking did with a picture; None where the store has no result of it (any more)."""
    found = (
        select(
            cells.c.id.label("cell_id"),
            cells.c.picture_id,
            pictures.c.name,
            pictures.c.scale,
            pictures.c.original_path,
            pictures.c.original_sha256,
            pictures.c.small_path,
            datasets.c.root,
            cells.c.row,
        )
        .join(pictures, cells.c.picture_id == pictures.c.id)
        .join(datasets, pictures.c.dataset_id == datasets.c.id)
        .join(runs, cells.c.run_id == runs.c.id)
        .where(
            cells.c.status == "ok",
            runs.c.name == entry.run,
            datasets.c.name == ranking.dataset,
            pictures.c.scale == ranking.scale,
            pictures.c.name == picture,
            cells.c.upscaler == entry.upscaler,
            cells.c.runtime == entry.runtime,
            cells.c.precision == entry.precision,
        )
    )
    with reading(store.engine) as connection:
        cell = connection.execute(found).first()
    if cell is None:
        return None
    return ScoredPicture(
        cell_id=cell.cell_id,
        picture_id=cell.picture_id,
        name=cell.name,
        scale=cell.scale,
        root=Path(cell.root),
        original=Path(cell.original_path),
        original_sha256=cell.original_sha256,
        small=Path(cell.small_path) if cell.small_path else None,
        row=Row.model_validate(cell.row),
    )


def find_kept(store: Store, cell_id: int, *, look: bool = False) -> Path | None:
    """The file of a result, of whichever run or comparison kept the same; None where none did, or the file is gone.

    Parameters
    ----------
    cell_id:
        Of a finished cell.
    look:
        Whether the store's index of comparisons is brought up to date where it does not help as it is.
    """
    own = select(
        cells.c.upscaler, cells.c.output_sha256, cells.c.pixels_sha256, cells.c.fingerprint, runs.c.name, pictures.c.original_sha256
    )
    own = own.join(runs, cells.c.run_id == runs.c.id).join(pictures).where(cells.c.id == cell_id, cells.c.status == "ok")
    with reading(store.engine) as connection:
        cell = connection.execute(own).first() if 0 < cell_id <= LARGEST_ID else None
        if cell is None:
            return None
        kept = [(cell.name, cell.output_sha256)]
        if not cell.output_sha256:
            same = select(runs.c.name, cells.c.output_sha256).join(runs, cells.c.run_id == runs.c.id)
            same = same.where(cells.c.pixels_sha256 == cell.pixels_sha256, cells.c.output_sha256.is_not(None))
            kept = [(run, output) for run, output in connection.execute(same)]
    for run, output_sha256 in kept:
        if output_sha256 and KEPT_NAME.fullmatch(output_sha256):
            path = folder_of(run) / f"{output_sha256}.png"
            if path.is_file():
                return path
    path = _in_comparisons(store, cell.original_sha256, cell.upscaler, cell.fingerprint)
    if path is None and look:
        comparison_index.refresh(store)
        path = _in_comparisons(store, cell.original_sha256, cell.upscaler, cell.fingerprint)
    return path


def _in_comparisons(store: Store, original_sha256: str, upscaler: str, fingerprint: str | None) -> Path | None:
    with reading(store.engine) as connection:
        job_ids = list(connection.execute(select(comparisons.c.id).where(comparisons.c.image_sha256 == original_sha256)).scalars())
    for job_id in job_ids:
        directory = jobs.directory_of(job_id)
        try:
            job = jobs.load(directory) if directory else None
        except AppError:
            # Deleted since it was indexed, or of another version: it holds nothing for us.
            continue
        for row in job.rows if job else []:
            path = jobs.picture_path(job_id, row.output_path) if row.output_path and row.given is None else None
            if path is not None and fingerprint and (row.upscaler, row.fingerprint) == (upscaler, fingerprint):
                return path
    return None


def original_problem(picture: ScoredPicture) -> str | None:
    """Why the original of a data set can't be shown, in one sentence; None where it can."""
    try:
        _unchanged(picture.original, picture.original_sha256)
    except AppError as error:
        return str(error)
    return None


def original_bytes(picture: ScoredPicture) -> bytes:
    """The original's file. Raises `core.errors.AppError` when it is gone or has changed."""
    return _unchanged(picture.original, picture.original_sha256)


def original_png(store: Store, picture_id: int, name: str) -> bytes | None:
    """The original of a stored picture, cropped to a multiple of its scale as it was for the scores, as a PNG.

    Parameters
    ----------
    name:
        As `ScoredPicture.original_name` has it; another one gives None, as does a picture that is not in the store.

    Raises
    ------
    core.errors.AppError
        The file is gone, has changed, or can't be decoded.
    """
    wanted = select(pictures.c.original_path, pictures.c.original_sha256, pictures.c.scale).where(pictures.c.id == picture_id)
    with reading(store.engine) as connection:
        found = connection.execute(wanted).first() if 0 < picture_id <= LARGEST_ID else None
    if found is None or name != _original_name(found.original_sha256, found.scale):
        return None
    picture = decode(_unchanged(Path(found.original_path), found.original_sha256), name=Path(found.original_path).name)
    rgb: RGB8 = crop_to_multiple(picture.rgb, found.scale)
    alpha: ALPHA8 | None = None if picture.alpha is None else crop_to_multiple(picture.alpha, found.scale)
    return encode_png(rgb, alpha)


def _original_name(sha256: str, scale: int) -> str:
    return f"{sha256}-x{scale}.png"


def _unchanged(path: Path, sha256: str) -> bytes:
    try:
        source = read_file(path)
    except AppError as error:
        raise ImageError(f"The original {path.name} is no longer in its folder: put the data set back to see it.") from error
    if hashlib.sha256(source).hexdigest() != sha256:
        raise ImageError(f"The original {path.name} has changed since it was scored: put the data set back as it was to see it.")
    return source
