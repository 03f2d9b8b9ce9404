"""What the store knows that published claims can be held against."""

import upscalers
from benchmark.claims import Measured
from benchmark.given_small import LR_SOURCE
from benchmark.leaderboard import Entry, Ranking, leaderboard
from benchmark.run_plan import GIVEN
from benchmark.statistics import Mean
from benchmark.store import Store


def evidence(store: Store, run_name: str | None = None) -> list[Measured]:
    """The means of one run, or of all runs together. Raises `core.errors.UsageError` when there is no run of that name."""
    return [
        _measured(ranking, entry, metric, mean)
        for ranking in leaderboard(store, run_name)
        for entry in ranking.entries
        for metric, mean in (("psnr_db", entry.psnr_db), ("ssim", entry.ssim))
    ]


def _measured(ranking: Ranking, entry: Entry, metric: str, mean: Mean | None) -> Measured:
    spec = upscalers.find(entry.upscaler)
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
