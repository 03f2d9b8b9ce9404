"""Rankings: who may stand beside whom, in which order, and how that is written."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from scipy import stats

from benchmark.presentation import rankings as written
from benchmark.ranking.leaderboard import Entry, Ranking, leaderboard
from benchmark.runs.cells import CellResult
from benchmark.runs.plan import RunPlan
from benchmark.runs.summary import measured
from benchmark.schema import ProtocolScores
from benchmark.storage.store import Store
from core.errors import UsageError
from tests.run_helpers import make_set, plan_of, run_command

FACTS = {"processor": "Abacus 5", "cores": 2, "gpu": None, "system": "Linux"}
PSNR_DB = {
    "bicubic": [30.0, 31.0, 32.0, 33.0],
    "lanczos": [30.5, 31.6, 32.4, 33.5],
    "bilinear": [29.98, 30.97, 31.96, 32.97],
    "nearest": [28.0, 29.0, 29.9, 31.1],
}
"""Per upscaler and picture."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_set(tmp_path / "set", 4)


def save(
    store: Store,
    plan: RunPlan,
    psnr_db: Mapping[str, Sequence[float | None]] = PSNR_DB,
    *,
    name: str = "test",
    facts: Mapping[str, Any] = FACTS,
    **of_rows: Any,
) -> None:
    """A run with these scores; None stands for a picture that came back without any difference, a missing one for a failure."""
    run = store.create(name, plan)
    results = []
    for cell in store.waiting(run):
        values, index = psnr_db[cell.row.upscaler], int(cell.picture[0])
        row = cell.row.model_copy(update={"stage": "done"})
        if index >= len(values):
            row.status, row.reason = "crashed", "It crashed."
            results.append(CellResult(cell.id, row))
            continue
        usual = {"status": "ok", "first_s": 0.1 * (index + 1), "was_warm": index > 0, "width": 40, "height": 30, "runtime_version": "P 1"}
        row = row.model_copy(update={**usual, **{key: value(row, index) if callable(value) else value for key, value in of_rows.items()}})
        value = values[index]
        scores = ProtocolScores(mse=2.0, psnr_db=value, ssim=0.9 - index / 100, identical=value is None, fingerprint="a" * 16)
        row.scores = {"y": scores}
        results.append(CellResult(cell.id, row, pixels_sha256="b" * 64))
    store.save(results, facts)


def plan_for(folder: Path, *ids: str, **changes: Any) -> RunPlan:
    return plan_of(folder, upscaler_ids=ids or tuple(PSNR_DB), **changes)


def only(rankings: Sequence[Ranking]) -> dict[str, Entry]:
    """The entries of the one ranking there is."""
    (ranking,) = rankings
    return {entry.upscaler: entry for entry in ranking.entries}


def test_ranks_follow_the_mean_and_near_ones_share_theirs(store: Store, folder: Path) -> None:
    save(store, plan_for(folder))
    entries = only(leaderboard(store))
    assert list(entries) == ["lanczos", "bicubic", "bilinear", "nearest"]
    assert [entry.rank for entry in entries.values()] == [1, 2, 2, 4]
    for name, entry in entries.items():
        assert entry.psnr_db is not None
        assert entry.psnr_db.value == pytest.approx(fmean(PSNR_DB[name]))
        assert entry.psnr_db.low <= entry.psnr_db.value <= entry.psnr_db.high


def test_each_is_compared_with_bicubic_picture_by_picture(store: Store, folder: Path) -> None:
    save(store, plan_for(folder))
    entries = only(leaderboard(store))
    assert entries["bicubic"].against_baseline is None
    raw = {name: float(stats.ttest_rel(PSNR_DB[name], PSNR_DB["bicubic"]).pvalue) for name in ("lanczos", "bilinear", "nearest")}
    # Holm: the smallest of three times 3, the next times 2, never falling.
    highest = 0.0
    for factor, name in zip((3, 2, 1), sorted(raw, key=lambda each: raw[each]), strict=True):
        highest = max(highest, factor * raw[name])
        difference = entries[name].against_baseline
        assert difference is not None
        assert difference.p == pytest.approx(min(1.0, highest))
        assert difference.opinion == ("better" if name == "lanczos" else "worse")


def test_vivid_models_are_ranked_among_themselves(store: Store, folder: Path) -> None:
    save(store, plan_for(folder), aim=lambda row, _: "vivid" if row.upscaler in ("nearest", "lanczos") else "faithful")
    assert {name: entry.rank for name, entry in only(leaderboard(store)).items()} == {
        "lanczos": 1,
        "nearest": 2,
        "bicubic": 1,
        "bilinear": 1,
    }


def test_who_lacks_a_picture_has_no_rank(store: Store, folder: Path) -> None:
    save(store, plan_for(folder), {**PSNR_DB, "lanczos": [40.0, 40.0, 40.0]})
    entries = only(leaderboard(store))
    assert (entries["lanczos"].rank, entries["lanczos"].pictures, entries["lanczos"].failed) == (None, 3, 1)
    assert entries["bicubic"].rank == 1
    assert list(entries)[-1] == "lanczos"


def test_pictures_without_a_difference_are_counted_and_not_in_the_mean(store: Store, folder: Path) -> None:
    save(store, plan_for(folder, "bicubic", "lanczos"), {"bicubic": [30.0, 31.0, None, 32.0], "lanczos": [None] * 4})
    entries = only(leaderboard(store))
    assert (entries["bicubic"].identical, entries["bicubic"].psnr_db and entries["bicubic"].psnr_db.value) == (1, 31.0)
    assert (entries["lanczos"].identical, entries["lanczos"].psnr_db, entries["lanczos"].rank) == (4, None, 1)


def test_other_small_pictures_another_scale_or_other_originals_are_other_rankings(store: Store, folder: Path) -> None:
    save(store, plan_for(folder, "bicubic"), name="bicubic")
    save(store, plan_for(folder, "bicubic", lr="area"), name="area")
    save(store, plan_for(folder, "bicubic", scales=(4,)), name="x4")
    (folder / "3.png").write_bytes((folder / "2.png").read_bytes())
    save(store, plan_for(folder, "bicubic"), name="changed")
    rankings = leaderboard(store)
    assert len({ranking.fingerprint for ranking in rankings}) == 4
    assert [[entry.run for entry in ranking.entries] for ranking in rankings] == [["bicubic"], ["area"], ["x4"], ["changed"]]


def test_another_version_of_what_shrinks_is_another_ranking(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(store, plan_for(folder, "bicubic"), name="now")
    monkeypatch.setattr("PIL.__version__", "99.0.0")
    save(store, plan_for(folder, "bicubic"), name="later")
    assert [ranking.downscale_library for ranking in leaderboard(store)] == [leaderboard(store)[0].downscale_library, "Pillow 99.0.0"]


def test_results_of_other_weights_or_versions_are_another_entry_without_a_rank(store: Store, folder: Path) -> None:
    save(store, plan_for(folder, "bicubic"), runtime_version=lambda _, index: f"P {index // 2}")
    (ranking,) = leaderboard(store)
    assert {(entry.runtime_version, entry.pictures, entry.rank) for entry in ranking.entries} == {("P 0", 2, None), ("P 1", 2, None)}


def test_of_two_runs_of_the_same_the_complete_one_then_the_newer_counts(store: Store, folder: Path) -> None:
    for name, values in (("old", [1.0] * 4), ("new", [2.0] * 4), ("cut-short", [3.0] * 2)):
        save(store, plan_for(folder, "bicubic"), {"bicubic": values}, name=name)
    assert only(leaderboard(store))["bicubic"].run == "new"
    assert only(leaderboard(store, "old"))["bicubic"].run == "old"
    with pytest.raises(UsageError, match="There is no run 'none'"):
        leaderboard(store, "none")


def test_times_are_of_typical_calls_and_rank_only_where_nothing_disturbed_them(store: Store, folder: Path) -> None:
    disturbed = {"lanczos": {"contended": True}, "nearest": {"workers": 2}}

    def fact(name: str, usual: Any) -> Any:
        return lambda row, _: disturbed.get(row.upscaler, {}).get(name, usual)

    save(store, plan_for(folder), contended=fact("contended", False), workers=fact("workers", 1))
    entries = only(leaderboard(store))
    times = entries["bicubic"].times
    assert times is not None
    # Of 0.2, 0.3 and 0.4 s: the first call of the process is left out.
    assert (times.p50_s, times.p95_s, times.warm, times.exclusive) == (pytest.approx(0.3), pytest.approx(0.39), False, True)
    assert {name: entry.time_rank for name, entry in entries.items()} == {"lanczos": None, "bicubic": 1, "bilinear": 1, "nearest": None}
    assert [entry.times and entry.times.exclusive for entry in entries.values()] == [False, True, True, False]


def test_times_leave_out_disturbed_pictures_and_say_so(store: Store, folder: Path) -> None:
    save(store, plan_for(folder), contended=lambda row, index: row.upscaler == "lanczos" and index == 3)
    ranking = only(leaderboard(store))
    assert {name: entry.times and entry.times.disturbed for name, entry in ranking.items()} == {
        "bicubic": 0,
        "bilinear": 0,
        "lanczos": 1,
        "nearest": 0,
    }
    lanczos = ranking["lanczos"].times
    assert lanczos is not None
    # Of 0.2 and 0.3 s: the fourth picture's call took 0.4 s.
    assert (lanczos.p50_s, lanczos.exclusive) == (pytest.approx(0.25), True)
    (sentence,) = [each for each in written.notes(leaderboard(store)[0]) if "disturbed" in each]
    assert sentence.endswith("by other programs: Lanczos 1.")


def test_times_of_different_machines_have_ranks_of_their_own(store: Store, folder: Path) -> None:
    save(store, plan_for(folder, "bicubic"), name="here", warm_p50_s=0.5, repeats=1)
    save(store, plan_for(folder, "lanczos"), name="there", facts={**FACTS, "cores": 64}, warm_p50_s=0.1, repeats=1)
    entries = only(leaderboard(store))
    assert {name: (entry.time_rank, entry.times and entry.times.p50_s) for name, entry in entries.items()} == {
        "bicubic": (1, 0.5),
        "lanczos": (1, 0.1),
    }


def test_means_go_to_the_claims_as_they_are(store: Store, folder: Path) -> None:
    save(store, plan_for(folder, "bicubic"))
    found = {each.metric: each for each in measured(store, store.run("test"))}
    assert (found["psnr_db"].value, found["psnr_db"].pictures, found["psnr_db"].lr, found["psnr_db"].protocol) == (31.5, 4, "bicubic", "y")
    assert found["ssim"].value == pytest.approx(0.885)


def test_every_form_has_every_entry(store: Store, folder: Path) -> None:
    save(store, plan_for(folder), {**PSNR_DB, "nearest": [28.0]}, verified_weights=lambda row, _: row.upscaler != "lanczos")
    rankings = leaderboard(store)
    document = json.loads(json.dumps(written.document(rankings)))
    (ranking,) = document["rankings"]
    assert (document["schema"], ranking["dataset"], ranking["scale"], ranking["protocol"]) == (1, "set", 2, "y")
    assert [entry["upscaler"] for entry in ranking["entries"]] == ["lanczos", "bicubic", "bilinear", "nearest"]
    lines = list(csv.DictReader(io.StringIO(written.as_csv(rankings))))
    assert [float(line["psnr_db_value"]) for line in lines] == [entry["psnr_db"]["value"] for entry in ranking["entries"]]
    assert {(line["dataset_pictures"], line["pictures"]) for line in lines} == {("4", "4"), ("4", "1")}
    markdown = written.as_markdown(rankings)
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(table) == 6
    assert len({line.count("|") for line in table}) == 1
    assert "| 1 | lanczos† | faithful | 4 | 32.00 |" in markdown
    assert "| - | nearest | faithful | 1 (3 missing) | 28.00 |" in markdown
    assert "† Weights other than the published ones." in markdown
    latex = written.as_latex(rankings)
    assert latex.count(r"\\") == 5
    assert r"\textbf{32.00}" in latex
    assert re.search(r"(?<!\\)%(?! )", latex) is None


def test_the_command_writes_each_form_and_nothing_else(folder: Path, store: Store) -> None:
    save(store, plan_for(folder))
    for form, start in (
        ("json", "{"),
        ("csv", "dataset,"),
        ("markdown", "### set x2, y"),
        ("latex", "% set x2, y"),
        ("table", "set x2, y"),
    ):
        done = run_command("leaderboard", "--run", "test", "--format", form, "--protocol", "y")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(start), form
    refused = run_command("leaderboard", "--run", "tset")
    assert (refused.returncode, refused.stderr) == (2, "There is no run 'tset'. The latest are: test.\n")
