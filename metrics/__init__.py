"""Metrics and the protocols under which they are computed.

`score(image, reference, scale=4, stored_channels=3)` gives MSE, PSNR and SSIM under every protocol, `score_more(["vif"], ...)` the
metrics that are computed only when somebody asks; `score_against_small(shrunk, small)` gives those that need no original.
"""

import logging
import math
from collections.abc import Iterable
from typing import TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from core.errors import AppError, ImageError
from metrics.base import MetricSpec, Pixels, check_pair, describe_shape, over_strips
from metrics.colour import colour_shift
from metrics.consistency import ConsistencyScores, lr_consistency, score_against_small
from metrics.fidelity import mse, psnr_db, psnr_db_of_mse, squared_error
from metrics.protocol import PROTOCOLS, Fingerprint, Protocol, prepare
from metrics.registry import METRICS, MORE
from metrics.structural import WINDOW, ssim, ssim_sum

__all__ = [
    "METRICS",
    "MORE",
    "PROTOCOLS",
    "ConsistencyScores",
    "Fingerprint",
    "MetricSpec",
    "MoreScores",
    "ProtocolScores",
    "colour_shift",
    "lr_consistency",
    "mse",
    "psnr_db",
    "score",
    "score_against_small",
    "score_all",
    "score_more",
    "ssim",
]

log = logging.getLogger(__name__)


class ProtocolScores(TypedDict):
    """The scores of one pair of pictures under one protocol, ready for JSON."""

    mse: float | None
    """Levels squared."""
    psnr_db: float | None
    """Decibels; None for identical pictures, as JSON has no infinity."""
    ssim: float | None
    """1 for identical pictures."""
    identical: bool
    """Whether all compared pixels are equal: then the PSNR is infinite."""
    reason: str | None
    """Why a score is None, unless the pictures are identical."""


class MoreScores(TypedDict):
    """Scores that somebody asked for, of one pair of pictures under one protocol, ready for JSON."""

    values: dict[str, float | None]
    """By the id of the metric; None where it is undefined or can't be computed."""
    reasons: dict[str, str]
    """Why a value is None, by the id of the metric."""


def score_all(image: Pixels, reference: Pixels) -> dict[str, float | None]:
    """MSE, PSNR and SSIM of pixels that a protocol has prepared; infinite PSNR stays `inf`.

    Parameters
    ----------
    image, reference:
        `(H, W)` or `(H, W, C)`, 0 to 255, `uint8` or `float64`.

    Raises
    ------
    ImageError
        The shapes differ.
    """
    check_pair(image, reference)
    height, width, *channels = image.shape
    map_height, map_width = height - WINDOW + 1, width - WINDOW + 1
    if map_height < 1 or map_width < 1:
        error = mse(image, reference)
        return {"mse": error, "psnr_db": None if error is None else psnr_db_of_mse(error), "ssim": None}

    def sums(rows: slice) -> tuple[float, float]:
        # Luma is computed while it is read: each strip is read once for both.
        strip = slice(rows.start, rows.stop + WINDOW - 1)
        pixels = image[strip], reference[strip]
        # The rows below a strip are the next one's; those below the last one have no other.
        own = None if rows.stop == map_height else rows.stop - rows.start
        return squared_error(pixels[0][:own], pixels[1][:own]), ssim_sum(*pixels)

    parts = over_strips(sums, map_height, map_width)
    errors, similarities = (math.fsum(part[index] for part in parts) for index in (0, 1))
    error = errors / (height * width * math.prod(channels))
    similarity = similarities / (map_height * map_width * math.prod(channels))
    return {"mse": error, "psnr_db": psnr_db_of_mse(error), "ssim": similarity}


def score(image: NDArray[np.uint8], reference: NDArray[np.uint8], *, scale: int, stored_channels: int) -> dict[str, ProtocolScores]:
    """MSE, PSNR and SSIM under every protocol.

    Parameters
    ----------
    image, reference:
        The upscaled picture and the original: `(H, W, 3)`, `uint8`, sRGB, of the same size; never written to.
    scale:
        Factor of the upscaling; the luma protocols cut as many pixels from each side.
    stored_channels:
        Channels of the original's file, 1 or 3.

    Returns
    -------
    Scores by protocol id. Undefined scores are None, and `reason` says why.

    Raises
    ------
    ImageError
        The sizes differ, or a picture is not 8-bit RGB.
    """
    _check(image, reference)
    return {protocol.id: _score(image, reference, protocol, scale, stored_channels) for protocol in PROTOCOLS}


def score_more(
    names: Iterable[str], image: NDArray[np.uint8], reference: NDArray[np.uint8], *, scale: int, stored_channels: int
) -> dict[str, MoreScores]:
    """The metrics with these names, each under the protocols that it belongs to.

    Parameters
    ----------
    names:
        From `MORE`, such as `ms-ssim`.
    image, reference, scale, stored_channels:
        As for `score`.

    Returns
    -------
    Scores by protocol id, without protocols that have none. One metric that fails takes none of the others along.

    Raises
    ------
    UnknownIdError
        A name is not in `MORE`.
    ImageError
        The sizes differ, or a picture is not 8-bit RGB.
    """
    chosen = MORE.select(names)
    _check(image, reference)
    scores: dict[str, MoreScores] = {}
    for protocol in PROTOCOLS:
        planes = prepare(image, reference, protocol=protocol, scale=scale, stored_channels=stored_channels)
        for metric in chosen:
            if protocol.id not in metric.protocols:
                continue
            value, reason = _value_or_reason(metric, *planes, cut=protocol.border_cut(scale))
            under = scores.setdefault(protocol.id, MoreScores(values={}, reasons={}))
            under["values"][metric.id] = value
            if reason:
                under["reasons"][metric.id] = reason
    return scores


def _value_or_reason(metric: MetricSpec, image: Pixels, reference: Pixels, *, cut: int) -> tuple[float | None, str]:
    if min(image.shape[:2]) < metric.min_side:
        after = f" after the border cut of {cut} pixels" if cut else ""
        return None, f"{metric.name} needs {metric.min_side} pixels a side{after}; here are {image.shape[1]}x{image.shape[0]}."
    if reason := metric.unavailable_reason():
        return None, reason
    try:
        value = metric.fn(image, reference)
    except AppError as error:
        return None, str(error)
    except MemoryError:
        return None, f"{metric.name} ran out of memory: choose a smaller picture or region."
    except Exception as error:
        log.exception("%s failed", metric.name)
        return None, f"Internal error ({type(error).__name__}); the log has the details."
    return value, metric.undefined if value is None else ""


def _check(image: NDArray[np.uint8], reference: NDArray[np.uint8]) -> None:
    for picture in (image, reference):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ImageError(
                f"Scores need 8-bit RGB pictures; one is {describe_shape(picture)} of type {picture.dtype}. Convert it to 8-bit RGB."
            )
    check_pair(image, reference)


def _score(image: NDArray[np.uint8], reference: NDArray[np.uint8], protocol: Protocol, scale: int, stored_channels: int) -> ProtocolScores:
    planes = prepare(image, reference, protocol=protocol, scale=scale, stored_channels=stored_channels)
    values = score_all(*planes)
    scores: dict[str, float | bool | str | None] = {
        metric_id: None if value is None or math.isinf(value) else value for metric_id, value in values.items()
    }
    scores["identical"] = values["mse"] == 0
    scores["reason"] = _undefined_reason(planes[0].shape, protocol.border_cut(scale))
    return cast(ProtocolScores, scores)


def _undefined_reason(shape: tuple[int, ...], cut: int) -> str | None:
    """Why some metric is undefined for pixels of this shape; None if all are defined."""
    side = min(shape[:2])
    after = f" after the border cut of {cut} pixels" if cut else ""
    if side == 0:
        return f"Nothing is left{after}."
    missing = [
        f"{metric.name} needs {metric.min_side}" for metric in METRICS if metric.protocols and not metric.opt_in and side < metric.min_side
    ]
    return f"Too small{after}: {', '.join(missing)}." if missing else None
