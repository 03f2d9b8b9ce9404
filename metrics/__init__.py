"""Metrics and the protocols under which they are computed.

`score(image, reference, scale=4, stored_channels=3)` gives every metric that needs an original, under every protocol;
`score_against_small(shrunk, small)` those that need none.
"""

import math
from typing import TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from core.errors import ImageError
from core.registry import Registry
from metrics.base import MetricSpec, Pixels, check_pair, describe_shape
from metrics.colour import colour_shift
from metrics.consistency import ConsistencyScores, lr_consistency, score_against_small
from metrics.fidelity import mse, psnr_db, psnr_db_of_mse
from metrics.protocol import PROTOCOLS, Fingerprint, Protocol, prepare
from metrics.structural import WINDOW, ssim

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "ConsistencyScores",
    "Fingerprint",
    "MetricSpec",
    "ProtocolScores",
    "colour_shift",
    "lr_consistency",
    "mse",
    "psnr_db",
    "score",
    "score_against_small",
    "score_all",
    "ssim",
]

METRICS: Registry[MetricSpec] = Registry("metric", lambda metric: metric.id)
METRICS.add(
    MetricSpec(
        id="mse",
        name="MSE",
        unit="levels²",
        higher_is_better=False,
        needs_reference=True,
        reference="https://en.wikipedia.org/wiki/Mean_squared_error",
        identical=0.0,
        min_side=1,
        fn=mse,
    ),
    MetricSpec(
        id="psnr_db",
        name="PSNR",
        unit="dB",
        higher_is_better=True,
        needs_reference=True,
        reference="https://en.wikipedia.org/wiki/Peak_signal-to-noise_ratio",
        identical=math.inf,
        min_side=1,
        fn=psnr_db,
    ),
    MetricSpec(
        id="ssim",
        name="SSIM",
        unit="",
        higher_is_better=True,
        needs_reference=True,
        reference="https://doi.org/10.1109/TIP.2003.819861",
        identical=1.0,
        min_side=WINDOW,
        fn=ssim,
    ),
    MetricSpec(
        id="lr_consistency",
        name="Agrees with your picture",
        unit="dB",
        higher_is_better=True,
        needs_reference=False,
        reference="https://github.com/andreas128/NTIRE21_Learning_SR_Space",
        identical=math.inf,
        min_side=1,
        fn=lr_consistency,
    ),
    MetricSpec(
        id="colour_shift",
        name="Colour shift",
        unit="ΔE00",
        higher_is_better=False,
        needs_reference=False,
        reference="https://doi.org/10.1002/col.20070",
        identical=0.0,
        min_side=1,
        fn=colour_shift,
    ),
)


class ProtocolScores(TypedDict):
    """The scores of one pair of pictures under one protocol, ready for JSON.

    Any further metric of the registry appears under its id.
    """

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


def score_all(image: Pixels, reference: Pixels) -> dict[str, float | None]:
    """Every metric that needs an original, for pixels that a protocol has prepared; infinite PSNR stays `inf`.

    Parameters
    ----------
    image, reference:
        `(H, W)` or `(H, W, C)`, 0 to 255, `uint8` or `float64`.

    Raises
    ------
    ImageError
        The shapes differ.
    """
    error = mse(image, reference)
    # Luma is computed while it is read: no second time for what the error gives.
    return {"mse": error, "psnr_db": None if error is None else psnr_db_of_mse(error), "ssim": ssim(image, reference)}


def score(image: NDArray[np.uint8], reference: NDArray[np.uint8], *, scale: int, stored_channels: int) -> dict[str, ProtocolScores]:
    """Every metric that needs an original, under every protocol.

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
    for picture in (image, reference):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ImageError(
                f"Scores need 8-bit RGB pictures; one is {describe_shape(picture)} of type {picture.dtype}. Convert it to 8-bit RGB."
            )
    check_pair(image, reference)
    return {protocol.id: _score(image, reference, protocol, scale, stored_channels) for protocol in PROTOCOLS}


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
    missing = [f"{metric.name} needs {metric.min_side}" for metric in METRICS if metric.needs_reference and side < metric.min_side]
    return f"Too small{after}: {', '.join(missing)}." if missing else None
