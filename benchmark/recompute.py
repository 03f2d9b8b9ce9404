"""Computing a result again whose picture was not kept: a whole set on the command line, or one picture as an ordinary comparison."""

import json
import re
import shlex
from typing import cast

import upscalers
from benchmark import estimates
from benchmark.datasets import hub
from benchmark.degradation import DEFAULT_DOWNSCALE
from benchmark.given_small import LR_SOURCE, Upload
from benchmark.plan import Plan, default_precision
from benchmark.ranking.leaderboard import BASELINE, Entry, Ranking
from benchmark.runs.plan import GIVEN
from benchmark.storage.kept_pictures import ScoredPicture
from core.image import read_file
from runtimes import RUNTIMES
from runtimes.base import Precision

QUICK_S = 10.0
"""Results that are expected sooner are offered at the press of a button."""


def command(ranking: Ranking, entry: Entry, picture: ScoredPicture) -> str:
    """The command that runs an entry and the baseline on the whole set again, in the same way, and keeps their pictures.

    It names a run of its own: under the old name it would find everything done.
    """
    row = picture.row
    words = ["upscale-bench", "run", "--dataset", _named(ranking, picture), "--scales", str(ranking.scale)]
    words += ["--upscalers", ",".join(dict.fromkeys((entry.upscaler, BASELINE)))]
    words += ["--lr", GIVEN if ranking.lr_source == LR_SOURCE else ranking.lr_source]
    spec = upscalers.find(entry.upscaler)
    if spec is not None and len(spec.runtimes) > 1:
        words += ["--runtime", entry.runtime]
    if spec is not None and entry.precision != default_precision(spec):
        words += ["--precision", entry.precision]
    usual = spec.options({}) if spec is not None else {}
    for name, value in entry.options.items():
        if value != usual.get(name):
            words += ["--option", f"{entry.upscaler}.{name}={value if isinstance(value, str) else json.dumps(value)}"]
    if spec is not None and entry.seed != spec.seed_for(None):
        words += ["--seed", str(entry.seed)]
    if row.tile_limit:
        words += ["--tile", str(row.tile_limit)]
    if row.repeats:
        words += ["--repeats", str(row.repeats)]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{ranking.dataset[:40]}-{entry.upscaler[:40]}-x{ranking.scale}-pictures").lstrip("._-")
    return shlex.join([*words, "--keep-images", "--run", name])


def _named(ranking: Ranking, picture: ScoredPicture) -> str:
    """What `--dataset` takes to find this set under this name."""
    for hub_id in hub.SHORT_NAMES.values():
        if picture.root.name == hub_id.replace("/", "--"):
            return hub_id
    if picture.root.name != ranking.dataset and "--" in picture.root.name:
        return picture.root.name.replace("--", "/", 1)
    return str(picture.root)


def expected_s(picture: ScoredPicture) -> float | None:
    """Expected seconds of computing a result again on this machine; None where nothing is known, or its upscaler can't run here."""
    row, scale = picture.row, picture.scale
    spec = upscalers.find(row.upscaler)
    if spec is None or spec.status(scale).kind != "ready" or row.runtime not in spec.runtimes:
        return None
    if RUNTIMES.get(row.runtime).unavailable_reason() or not spec.is_ready_on(row.runtime, scale, row.options):
        return None
    spec = spec.with_tile(scale, row.tile_limit)
    width, height = picture.size
    pixels = estimates.processed_pixels(spec, scale, max(1, height // scale), max(1, width // scale))
    expected = estimates.estimate(spec, scale, row.runtime, row.precision, pixels, row.options)
    return expected.seconds if expected else None


def comparison(picture: ScoredPicture) -> tuple[Plan, Upload | None]:
    """The plan, and the small picture where the set has one, of a comparison that computes a result and the baseline's again.

    Raises
    ------
    core.errors.AppError
        The small picture can't be read.
    """
    row = picture.row
    plan = Plan(
        scale=picture.scale,
        upscaler_ids=tuple(dict.fromkeys((BASELINE, row.upscaler))),
        downscale=DEFAULT_DOWNSCALE if row.lr_source == LR_SOURCE else row.lr_source,
        runtime=row.runtime,
        precision=cast("Precision", row.precision),
        options={row.upscaler: row.options},
        seed=row.seed,
        tile_px=row.tile_limit,
        repeats=0,
    )
    return plan, None if picture.small is None else Upload(read_file(picture.small), picture.small.name)
