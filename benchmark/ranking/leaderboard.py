"""Rankings of upscalers from the store: one for each data set, scale, protocol and origin of the small pictures.

Scores that were made under other conditions never share a ranking. Ranks are given within an aim only: vivid models score lower by
design. Who has no result for some picture of the set has no rank. Times rank among those of the same machine that nothing disturbed.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import upscalers
from benchmark.degradation import CROP_RULE
from benchmark.given_small import LR_SOURCE
from benchmark.ranking import statistics
from benchmark.ranking.statistics import Difference, Mean
from benchmark.runs.summary import typical_calls
from benchmark.storage.records import ScoredCell, StoredRun
from benchmark.storage.store import Store
from benchmark.timing import median, percentile
from upscalers.spec import UpscalerSpec

TIE_DB = 0.05
"""Upscalers within so much of the first of them share its rank."""
BASELINE = "bicubic"
"""What all others are compared with, where a ranking has it."""
MACHINE = ("processor", "cores", "gpu", "system")
"""Facts that must be the same where times are compared."""


@dataclass(frozen=True)
class Times:
    """Seconds per picture over a set."""

    p50_s: float
    p95_s: float
    warm: bool
    """True: of warm calls. False: of the one call that each picture had, the first of a process left out."""
    exclusive: bool
    """Whether it ran alone: one worker, and no other program that took much of the machine."""
    machine: str
    """Id of processor, cores, GPU and system: times of other machines do not compare."""
    disturbed: int
    """How many pictures are left out, because something else ran beside their calls; where they are not the fewer, none is."""


@dataclass
class Entry:
    """One upscaler, run in one way."""

    upscaler: str
    name: str
    aim: str | None
    run: str
    runtime: str
    runtime_version: str | None
    precision: str
    options: Mapping[str, Any]
    seed: int | None
    weights_sha256: str | None
    verified_weights: bool | None
    pictures: int
    """With a result."""
    failed: int
    """Pictures of the set without one."""
    psnr_db: Mean | None
    ssim: Mean | None
    mse: Mean | None
    identical: int
    """Pictures that came back without any difference; their PSNR is infinite and not part of its mean."""
    times: Times | None
    peak_rss_mib: float | None
    peak_vram_mib: float | None
    parameters: int | None
    license: str | None
    tiles: tuple[int, ...]
    """Sides of tiles in pixels, where pictures were cut."""
    tile_limit: int | None
    """The side that was asked for; None: the upscaler's own."""
    metrics: Mapping[str, Mean | None] = field(default_factory=dict)
    """Means of the metrics that were asked for, by id."""
    rank: int | None = None
    """Within its aim, by PSNR; None where pictures are missing."""
    time_rank: int | None = None
    """Among exclusive times of its machine; None for all others."""
    against_baseline: Difference | None = None
    """Of the PSNR in dB, picture by picture."""
    psnr_of: dict[str, float] = field(default_factory=dict, repr=False)
    """Per picture."""


@dataclass(frozen=True)
class Ranking:
    """Upscalers whose scores may be compared."""

    dataset: str
    dataset_sha256: str
    dataset_pictures: int
    scale: int
    protocol: str
    lr_source: str
    """`file` where the set brings its small pictures, else the method that made them."""
    downscale_library: str | None
    entries: Sequence[Entry]
    """Ranked ones first, in their order within each aim."""

    @property
    def fingerprint(self) -> str:
        """Id of all conditions that its entries share."""
        return _id_of(
            [self.dataset_sha256, self.scale, self.protocol, self.lr_source, self.downscale_library, CROP_RULE],
        )


_Key = tuple[str, str, int, int, str, str | None]
_Who = tuple[str, ...]
PLANNED = 6
"""So many of its texts are known before anything has run."""


def leaderboard(store: Store, run_name: str | None = None) -> list[Ranking]:
    """All rankings of one run, or of all runs together; of a model that was run twice in the same way the more complete, then newer run.

    Raises
    ------
    core.errors.UsageError
        There is no run of that name.
    """
    runs = [store.run(run_name)] if run_name else store.runs()
    machines: dict[str, str] = {}
    found: dict[_Key, dict[_Who, tuple[StoredRun, list[ScoredCell]]]] = {}
    for run in runs:
        for (key, who), cells in _by_entry(run, store.scored(run)).items():
            earlier = found.setdefault(key, {}).get(who)
            if earlier is None or _done(cells) >= _done(earlier[1]):
                found[key][who] = (run, cells)
            for cell in cells:
                if cell.environment_id and cell.environment_id not in machines:
                    facts = store.environment(cell.environment_id)
                    machines[cell.environment_id] = _id_of([facts.get(name) for name in MACHINE])
    # Each question to the registry looks at the folders of added models.
    find = functools.cache(upscalers.find)
    rankings = []
    for key, entries in found.items():
        dataset, sha256, pictures, scale, lr_source, library = key
        protocols = {name: None for _, cells in entries.values() for cell in cells for name in cell.scores}
        for protocol in protocols:
            made = [_entry(run, cells, protocol, machines, pictures, find) for run, cells in entries.values()]
            rankings.append(Ranking(dataset, sha256, pictures, scale, protocol, lr_source, library, _ranked(made)))
    return rankings


def _by_entry(run: StoredRun, cells: Iterable[ScoredCell]) -> dict[tuple[_Key, _Who], list[ScoredCell]]:
    """Cells by what decides their ranking, and by whose they are. What was computed by other versions or weights is another's."""
    pictures = {each["name"]: each["pictures"] for each in run.request["datasets"]}
    found: dict[tuple[_Key, _Who], list[ScoredCell]] = {}
    for cell in cells:
        library = None if cell.lr_source == LR_SOURCE else run.request["downscale_libraries"].get(cell.lr_source)
        key = (cell.dataset, cell.dataset_sha256, pictures[cell.dataset], cell.scale, cell.lr_source, library)
        model = (cell.upscaler, cell.runtime, cell.precision, _sorted(cell.options), str(cell.seed), str(cell.tile_limit))
        # A cell that failed may not have got as far as its weights: it belongs to those that have.
        exact = (str(cell.runtime_version), str(cell.weights_sha256)) if cell.status == "ok" else ()
        found.setdefault((key, (*model, *exact)), []).append(cell)
    for key, who in [each for each in found if len(each[1]) == PLANNED]:
        successful = [other for other in found if other[0] == key and len(other[1]) > PLANNED and other[1][:PLANNED] == who]
        if successful:
            found[successful[0]] += found.pop((key, who))
    return found


def _done(cells: Iterable[ScoredCell]) -> int:
    return sum(cell.status == "ok" for cell in cells)


@functools.lru_cache(maxsize=256)
def _sorted(options: str) -> str:
    return json.dumps(json.loads(options), sort_keys=True)


def _entry(
    run: StoredRun,
    cells: Sequence[ScoredCell],
    protocol: str,
    machines: Mapping[str, str],
    pictures: int,
    find: Callable[[str], UpscalerSpec | None],
) -> Entry:
    done = [cell for cell in cells if cell.status == "ok"]
    first = (done or cells)[0]
    scores = {cell.picture: cell.scores[protocol] for cell in done if cell.scores}
    spec = find(first.upscaler)
    more = dict.fromkeys(name for each in scores.values() for name in each.more)
    psnr_of = {picture: each.psnr_db for picture, each in scores.items() if each.psnr_db is not None}
    return Entry(
        upscaler=first.upscaler,
        name=first.name or first.upscaler,
        aim=first.aim,
        run=run.name,
        runtime=first.runtime,
        runtime_version=first.runtime_version,
        precision=first.precision,
        options=json.loads(first.options),
        seed=first.seed,
        weights_sha256=first.weights_sha256,
        verified_weights=first.verified_weights,
        pictures=len(done),
        failed=pictures - len(done),
        psnr_db=_mean(psnr_of.values()),
        ssim=_mean(each.ssim for each in scores.values()),
        mse=_mean(each.mse for each in scores.values()),
        identical=sum(each.identical for each in scores.values()),
        times=_times(done, machines),
        peak_rss_mib=_largest(cell.peak_rss_mib for cell in done),
        peak_vram_mib=_largest(cell.peak_vram_mib for cell in done),
        parameters=spec.parameter_count.get(first.scale) if spec else None,
        license=spec.license if spec else None,
        tile_limit=first.tile_limit,
        metrics={name: _mean(each.more.get(name) for each in scores.values()) for name in more},
        tiles=tuple(sorted({cell.tile for cell in done if cell.tile})),
        psnr_of=psnr_of,
    )


def _times(done: Sequence[ScoredCell], machines: Mapping[str, str]) -> Times | None:
    """Times of the pictures; only those of undisturbed calls where these are the most."""
    quiet = [cell for cell in done if cell.workers == 1 and not cell.contended]
    exclusive = 2 * len(quiet) > len(done)
    timed = quiet if exclusive else list(done)
    warm = [cell.warm_p50_s for cell in timed if cell.warm_p50_s is not None]
    values = warm or [cell.first_s for cell in typical_calls(timed) if cell.first_s is not None]
    places = {machines[cell.environment_id] for cell in done if cell.environment_id}
    if not values or not places:
        return None
    machine = places.pop() if len(places) == 1 else "several"
    return Times(median(values), percentile(values, 0.95), bool(warm), exclusive and machine != "several", machine, len(done) - len(timed))


def _ranked(entries: list[Entry]) -> list[Entry]:
    """Give ranks and comparisons, and sort."""

    def by_score(entry: Entry) -> tuple[bool, float]:
        # All pictures identical: nothing is better, and there is no number for it.
        return bool(entry.failed), -(entry.psnr_db.value if entry.psnr_db else float("inf"))

    for aim in {entry.aim for entry in entries}:
        first: Entry | None = None
        complete = sorted((entry for entry in entries if entry.aim == aim and not entry.failed), key=by_score)
        for place, entry in enumerate(complete, 1):
            if first is None or _behind(first, entry) > TIE_DB:
                first, entry.rank = entry, place
            else:
                entry.rank = first.rank
    _rank_times(entries)
    _compare(entries)
    return sorted(entries, key=lambda entry: (by_score(entry)[0], entry.aim or "", by_score(entry)[1]))


def _behind(first: Entry, entry: Entry) -> float:
    if first.psnr_db is None or entry.psnr_db is None:
        return 0.0 if first.psnr_db is entry.psnr_db else float("inf")
    return first.psnr_db.value - entry.psnr_db.value


def _rank_times(entries: Sequence[Entry]) -> None:
    exclusive = [(entry, entry.times) for entry in entries if entry.times and entry.times.exclusive]
    for entry, times in exclusive:
        alike = [other for _, other in exclusive if (other.machine, other.warm) == (times.machine, times.warm)]
        entry.time_rank = 1 + sum(other.p50_s < times.p50_s for other in alike)


def _compare(entries: Sequence[Entry]) -> None:
    """Compare every entry with the baseline, picture by picture, corrected for their number."""
    baselines = [str(index) for index, entry in enumerate(entries) if entry.upscaler == BASELINE and entry.psnr_of]
    if baselines:
        scores = {str(index): entry.psnr_of for index, entry in enumerate(entries)}
        for index, difference in statistics.compare(scores, baselines[0], higher_is_better=True).items():
            entries[int(index)].against_baseline = difference


def _mean(values: Iterable[float | None]) -> Mean | None:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _id_of(facts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
