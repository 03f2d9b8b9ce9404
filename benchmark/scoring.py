"""From a result to the scores in its row, whoever made it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import metrics
import upscalers
from benchmark.degradation import CROP_RULE, DEFAULT_DOWNSCALE, DOWNSCALERS, Pixels8
from benchmark.schema import Comparison, ImageFacts, Mode, ProtocolScores, Region, Row
from benchmark.scoring_process import Request, ScoringProcess
from core.image import ALPHA8, RGB8, on_white
from metrics.protocol import Fingerprint

LR_PROTOCOL = "lr"
"""In fingerprints: all channels of every pixel of the small picture."""


class Conditions(Protocol):
    """What scores depend on beside the row: a `benchmark.schema.Comparison`, or the picture of a dataset run."""

    @property
    def mode(self) -> Mode:
        """Whether there is an original."""
        ...

    @property
    def scale(self) -> float:
        """Factor between the small and the large picture."""
        ...

    @property
    def downscale(self) -> str:
        """The method that made the small picture, where it was made here."""
        ...

    @property
    def lr_sha256(self) -> str | None:
        """Of the file of the small picture, where it was given."""
        ...

    @property
    def region(self) -> Region | None:
        """The part that is compared; None for the whole picture."""
        ...

    @property
    def image(self) -> ImageFacts | None:
        """The picture."""
        ...


class Layers(NamedTuple):
    """A picture and its transparency."""

    rgb: RGB8
    alpha: ALPHA8 | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]

    def on_white(self) -> RGB8:
        """What is scored where something is transparent."""
        return on_white(self.rgb, self.alpha)


def score_row(job: Conditions, row: Row, result: Layers, *, small: Layers, original: Layers | None) -> None:
    """Put all scores of a result into its row.

    Parameters
    ----------
    job:
        The comparison, with the facts about its picture.
    row:
        With everything that decides the pixels: it is part of the fingerprints.
    result:
        `(H, W)` as the original.
    small:
        What was enlarged.
    original:
        None where there is none: then only the two scores that need none are computed.

    Raises
    ------
    core.errors.ImageError
        Result and original differ in size.
    """
    spec = upscalers.find(row.upscaler)
    row.tile_dependent = row.tile is not None and spec is not None and spec.whole_picture
    if original is not None:
        scale, channels = int(job.scale), job.image.stored_channels if job.image else 3
        scores = metrics.score(result.on_white(), original.on_white(), scale=scale, stored_channels=channels)
        downscale = None if job.lr_sha256 else job.downscale
        row.scores = {
            protocol: ProtocolScores(**values, fingerprint=fingerprint(job, row, protocol, downscale))
            for protocol, values in scores.items()
        }
        row.fingerprint = row.scores["rgb"].fingerprint
    row.lr_downscale = consistency_method(job)
    against_small = metrics.score_against_small(shrink(result, small.size, row.lr_downscale).on_white(), small.on_white())
    row.lr_consistency, row.colour_shift = against_small["lr_consistency"], against_small["colour_shift"]
    row.lr_identical = against_small["lr_identical"]
    row.lr_fingerprint = fingerprint(job, row, LR_PROTOCOL, row.lr_downscale)


def score_more(directory: Path, job: Comparison, row: Row, process: ScoringProcess, cancelled: Callable[[], bool] = lambda: False) -> None:
    """Add the metrics that were asked for to the scores of a row whose picture is stored.

    Parameters
    ----------
    directory:
        That of the comparison.
    process:
        Where they are computed.
    cancelled:
        Asked meanwhile.

    Raises
    ------
    CancelledError
        `cancelled` said True; the row is as it was.
    """
    if not (job.metrics and row.scores and row.output_path and job.original_path):
        return
    request = Request(
        names=job.metrics,
        result=str(directory / row.output_path),
        original=str(directory / job.original_path),
        width=row.width or 0,
        height=row.height or 0,
        scale=int(job.scale),
        stored_channels=job.image.stored_channels if job.image else 3,
    )
    ask_for_more(row, request, process, cancelled)


def ask_for_more(row: Row, request: Request, process: ScoringProcess, cancelled: Callable[[], bool] = lambda: False) -> None:
    """Have metrics computed, and put what comes beside the scores of a row. Raises `CancelledError` as `score_more` does."""
    assert row.scores is not None
    for protocol, scores in process.ask(request, cancelled).items():
        row.scores[protocol].more.update(scores["values"])
        row.scores[protocol].reasons.update(scores["reasons"])


def consistency_method(job: Conditions) -> str:
    """How results are shrunk to be compared with the small picture: as that was made; by bicubic where that is not known."""
    made_here = job.mode == "restore" and job.lr_sha256 is None
    return job.downscale if made_here else DEFAULT_DOWNSCALE


def shrink(result: Layers, size: tuple[int, int], method: str) -> Layers:
    """A result at the size of the small picture, colours and transparency apart, as the small picture was made.

    After a fractional scale the sizes are not in one ratio: 61x43 times 1.7 is 104x73, and either side is then shrunk by its
    own ratio. The antialiasing of the methods that have one covers the width of a small pixel, whatever the ratio.

    Parameters
    ----------
    size:
        Width and height in pixels.
    method:
        Id of a method in `DOWNSCALERS`.
    """
    resize = DOWNSCALERS.get(method).resize

    def shrunk(pixels: Pixels8) -> Pixels8:
        return pixels if size == result.size else resize(pixels, size)

    return Layers(shrunk(result.rgb), None if result.alpha is None else shrunk(result.alpha))


def fingerprint(job: Conditions, row: Row, protocol: str, downscale: str | None) -> str:
    """Id of everything that a score of this row depends on; `downscale` is None where nobody knows how the small picture was made."""
    region = job.region
    return Fingerprint(
        protocol=protocol,
        downscale=downscale or "unknown",
        downscale_library=DOWNSCALERS.get(downscale).library_version() if downscale else None,
        scale=int(row.scale) if row.scale == int(row.scale) else row.scale,
        crop=CROP_RULE if job.mode == "restore" else "none",
        tile=row.tile,
        weights_sha256=row.weights_sha256,
        # An added result has no weights and no options; its own file is all that decides its pixels.
        options=tuple(sorted(row.options.items())) if row.given is None else (("file_sha256", row.given.sha256),),
        seed=row.seed,
        runtime=row.runtime,
        runtime_version=row.runtime_version,
        precision=row.precision,
        stored_channels=job.image.stored_channels if job.image else 3,
        lr_source=f"{row.lr_source}:{job.lr_sha256}" if job.lr_sha256 else row.lr_source,
        region=(region.x, region.y, region.width, region.height) if region else None,
    ).id
