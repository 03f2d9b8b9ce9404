"""What the store knows that published claims can be held against."""

import functools
from collections.abc import Iterable

import upscalers
from benchmark.given_small import LR_SOURCE
from benchmark.ranking.claims import Measured
from benchmark.ranking.leaderboard import Entry, Ranking
from benchmark.ranking.statistics import Mean
from benchmark.runs.plan import GIVEN
from upscalers.spec import UpscalerSpec


def evidence(rankings: Iterable[Ranking]) -> list[Measured]:
    """The means that stand in rankings."""
    # Each question to the registry looks at the folders of added models.
    find = functools.cache(upscalers.find)
    return [
        _measured(ranking, entry, metric, mean, find(entry.upscaler))
        for ranking in rankings
        for entry in ranking.entries
        for metric, mean in (("psnr_db", entry.psnr_db), ("ssim", entry.ssim))
    ]


def _measured(ranking: Ranking, entry: Entry, metric: str, mean: Mean | None, spec: UpscalerSpec | None) -> Measured:
    # The PSNR of identical pictures is infinite and left out of the mean, which then is not the one that papers give.
    partial = metric == "psnr_db" and entry.identical > 0
    return Measured(
        upscaler=entry.upscaler,
        metric=metric,
        dataset=ranking.dataset,
        scale=ranking.scale,
        protocol=ranking.protocol,
        lr=GIVEN if ranking.lr_source == LR_SOURCE else ranking.lr_source,
        value=None if mean is None or partial else mean.value,
        pictures=entry.pictures,
        verified_weights=entry.verified_weights is not False,
        run=entry.run,
        in_tiles=bool(entry.tiles) and spec is not None and spec.whole_picture,
    )
