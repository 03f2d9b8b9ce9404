"""`verify` finds what was deleted, altered or left over, and changes nothing."""

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from benchmark import jobs
from benchmark.runs.folder import working_on
from benchmark.runs.plan import RunPlan
from benchmark.storage.database import writing
from benchmark.storage.records import StoredRun
from benchmark.storage.store import Store
from benchmark.storage.tables import cells, scores
from benchmark.storage.verify import verify
from tests.comparisons import row_of
from tests.comparisons import store as store_comparison
from tests.pictures import noise
from tests.run_helpers import compute, make_set, plan_of, problems, run_command


@pytest.fixture
def plan(tmp_path: Path) -> RunPlan:
    return plan_of(make_set(tmp_path / "set", 2))


@pytest.fixture
def run(store: Store, plan: RunPlan) -> StoredRun:
    compute(store, plan, keep_images=True)
    return store.run("test")


def kinds(store: Store) -> list[tuple[str, str]]:
    return [(problem.kind, Path(problem.place).name) for problem in problems(store)]


def test_deleted_altered_and_left_over_files_are_reported_and_left_alone(store: Store, run: StoredRun) -> None:
    assert kinds(store) == []
    deleted, altered = sorted(run.folder.iterdir())
    deleted.unlink()
    altered.write_bytes(altered.read_bytes()[:-1] + b"x")
    (run.folder / f"{'0' * 64}.png").write_bytes(b"of no row")
    (run.folder / ".half.png.abc").write_bytes(b"half")
    (run.folder.parent / "unknown").mkdir()
    before = sorted(path.name for path in run.folder.parent.rglob("*"))
    found = {("missing", deleted.name), ("changed", altered.name), ("orphan", f"{'0' * 64}.png"), ("orphan", ".half.png.abc")}
    assert set(kinds(store)) == found | {("orphan", "unknown")}
    assert sorted(path.name for path in run.folder.parent.rglob("*")) == before


def test_what_a_run_writes_just_now_is_no_orphan(store: Store, run: StoredRun) -> None:
    (run.folder / ".half.png.abc").write_bytes(b"half")
    with working_on("test"):
        assert kinds(store) == []
    assert kinds(store) == [("orphan", ".half.png.abc")]


def test_a_number_without_a_result_and_a_result_without_numbers_are_reported(store: Store, run: StoredRun) -> None:
    first, second = (cell.id for cell in store.finished(run))
    with writing(store.engine) as connection:
        connection.execute(delete(scores).where(scores.c.cell_id == first))
        connection.execute(update(cells).where(cells.c.id == second).values(status="failed"))
    assert [(problem.kind, problem.place) for problem in problems(store)] == [
        ("inconsistent", f"test, cell {first}"),
        ("inconsistent", f"test, cell {second}"),
    ]


def test_the_pictures_of_comparisons_are_looked_at_too(store: Store, own_home: Path) -> None:
    results = {"bicubic": noise(8, 8)}
    directory = store_comparison(own_home / "comparisons", noise(8, 8, 1), noise(4, 4, 2), results, {"bicubic": row_of("bicubic")})
    assert (verify(store).comparisons, kinds(store)) == (1, [])
    job = jobs.load(directory)
    (directory / (job.original_path or "")).write_bytes(b"another picture")
    assert kinds(store) == [("changed", job.original_path)]
    (directory / (job.original_path or "")).unlink()
    assert kinds(store) == [("missing", job.original_path)]
    shutil.rmtree(directory)
    assert (verify(store).comparisons, kinds(store)) == (0, [])


def test_the_command_says_what_is_wrong_and_exits_with_1(store: Store, run: StoredRun) -> None:
    good = run_command("verify")
    assert (good.returncode, good.stdout) == (0, "1 run, 2 results, 2 pictures, 0 comparisons: no problems\n")
    gone = sorted(run.folder.iterdir())[0]
    gone.unlink()
    bad = run_command("verify", "--json")
    assert bad.returncode == 1
    document = json.loads(bad.stdout)
    assert (document["schema"], document["results"]) == (1, 2)
    assert [(problem["kind"], problem["place"]) for problem in document["problems"]] == [("missing", str(gone))]


def test_a_store_that_can_not_be_read_is_a_problem(store: Store, own_home: Path) -> None:
    store.close()
    (own_home / "store.sqlite").write_bytes(b"no database at all" * 1000)
    bad = run_command("verify")
    assert bad.returncode == 1
    assert "is no store and was left as it is" in bad.stderr
