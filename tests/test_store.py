"""The store keeps what it said it kept, refuses what it can't trust, and leaves that as it was."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, insert
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from benchmark import jobs
from benchmark.datasets.dataset import open_folder
from benchmark.plan import Plan
from benchmark.runs.cells import CellResult
from benchmark.runs.plan import RunPlan
from benchmark.schema import ProtocolScores
from benchmark.storage import comparison_index, database
from benchmark.storage.records import Counts, Execution, StoredRun
from benchmark.storage.store import Store
from benchmark.storage.tables import HEAD, cells, metadata
from core.errors import StoreError, UsageError
from tests.pictures import noise, png

FACTS = {"processor": "Abacus 5", "commit": "0" * 40}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "trees"
    folder.mkdir()
    for index in range(3):
        (folder / f"{index}.png").write_bytes(png(noise(16, 12, seed=index)))
    return folder


def plan_of(folder: Path, **changes) -> RunPlan:
    usual = {"datasets": (open_folder(folder),), "scales": (2,), "upscaler_ids": ("bicubic", "lanczos")}
    return RunPlan(**{**usual, **changes})


def result_of(store: Store, run: StoredRun, index: int = 0, **changes) -> CellResult:
    """A result for one of the waiting cells."""
    cell = store.waiting(run)[index]
    row = cell.row.model_copy(update={"status": "ok", "stage": "done", "fingerprint": "f" * 16, "first_s": 0.25, **changes})
    row.scores = {"y": ProtocolScores(mse=2.0, psnr_db=1 / 3, ssim=None, reason="Too small.", fingerprint="a" * 16)}
    return CellResult(cell.id, row, ("Cropped.",), "b" * 64)


def test_what_was_saved_is_there_after_opening_again(pictures: Path, store: Store) -> None:
    run = store.create("trees", plan_of(pictures))
    result = result_of(store, run)
    store.save([result], FACTS)
    store.close()
    with Store.open() as again:
        (cell,) = again.finished(again.run("trees"))
        assert (cell.dataset, cell.picture, cell.pixels_sha256, cell.notes) == ("trees", "0.png", "b" * 64, ("Cropped.",))
        # Every digit.
        assert cell.row == result.row
        assert again.environment(cell.environment_id or "") == FACTS
        counts = again.counts(again.run("trees"))
        assert (counts.total, counts.done, counts.failed, counts.waiting) == (6, 1, 0, 5)
        assert result.id not in {each.id for each in again.waiting(again.run("trees"))}


def test_a_result_that_arrives_twice_changes_nothing(pictures: Path, store: Store) -> None:
    run = store.create("trees", plan_of(pictures))
    first = result_of(store, run)
    store.save([first], FACTS)
    store.save([CellResult(first.id, first.row.model_copy(update={"first_s": 99.0}))], FACTS)
    (cell,) = store.finished(run)
    assert cell.row.first_s == 0.25


def test_the_same_cell_can_not_be_planned_twice_in_a_run(pictures: Path, store: Store) -> None:
    store.create("trees", plan_of(pictures))
    with database.reading(store.engine) as connection:
        planned = dict(connection.execute(cells.select()).mappings().first() or {})
    del planned["id"]
    with pytest.raises(IntegrityError), database.writing(store.engine) as connection:
        connection.execute(insert(cells).values(planned))


def test_two_pictures_with_the_same_bytes_are_two_cells(pictures: Path, store: Store) -> None:
    shutil.copy(pictures / "0.png", pictures / "copy.png")
    assert store.counts(store.create("trees", plan_of(pictures))).total == 8


def test_going_on_with_another_request_is_refused_and_says_what_differs(pictures: Path, store: Store) -> None:
    run = store.create("trees", plan_of(pictures))
    with pytest.raises(UsageError, match=r"its scales are \[2\], not \[2, 4\]"):
        store.resume(run, plan_of(pictures, scales=(2, 4)))
    (pictures / "0.png").write_bytes(png(noise(16, 12, seed=9)))
    with pytest.raises(UsageError, match=r"the pictures of trees have changed since \(3 then, 3 now\)"):
        store.resume(run, plan_of(pictures))


def test_a_set_that_was_moved_is_found_at_its_new_place(pictures: Path, store: Store, tmp_path: Path) -> None:
    run = store.create("trees", plan_of(pictures))
    moved = tmp_path / "elsewhere" / "trees"
    shutil.move(pictures, moved)
    store.resume(run, plan_of(moved))
    assert {cell.original for cell in store.waiting(run)} == {moved / f"{index}.png" for index in range(3)}


def test_what_could_not_run_gets_another_chance_when_it_can(pictures: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSCALE_BENCH_PLUGINS", "tests.fakes")
    plan = plan_of(pictures, upscaler_ids=("bicubic", "fake-good"))
    with monkeypatch.context() as without:
        without.setattr("runtimes.opencv_runtime.OpenCVRuntime.unavailable_reason", lambda _: "Not installed.")
        run = store.create("trees", plan)
        assert (store.counts(run).failed, store.counts(run).waiting) == (3, 3)
        store.resume(run, plan)
        assert store.counts(run).failed == 3
    store.resume(run, plan)
    assert (store.counts(run).failed, store.counts(run).waiting) == (0, 6)


def test_failed_cells_wait_again_only_when_that_is_asked_for(pictures: Path, store: Store) -> None:
    plan = plan_of(pictures)
    run = store.create("trees", plan)
    store.save([result_of(store, run), result_of(store, run, 1, status="crashed")], FACTS)
    store.resume(run, plan)
    assert store.counts(run).failed == 1
    store.resume(run, plan, retry_failed=True)
    assert (store.counts(run).failed, store.counts(run).done) == (0, 1)


def test_runs_keep_their_order_when_the_clock_is_set_back(pictures: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for day, name in ((3, "first"), (2, "second"), (1, "third")):
        monkeypatch.setattr(jobs, "now", lambda day=day: f"2026-11-0{day}T00:00:00.000+00:00")
        store.create(name, plan_of(pictures))
    assert [run.name for run in store.runs()] == ["first", "second", "third"]


def test_the_comparisons_of_the_app_are_indexed_and_left_alone(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "comparisons"
    kept, gone = (
        jobs.create(Plan(scale=2, upscaler_ids=["bicubic"]), png(noise(8, 8)), name="a.png", user="u", root=root) for _ in range(2)
    )
    before = (kept / "job.json").read_bytes()
    comparison_index.refresh(store, jobs.all_jobs(root))
    assert {each["id"] for each in comparison_index.listed(store)} == {kept.name, gone.name}
    shutil.rmtree(gone)
    comparison_index.refresh(store, jobs.all_jobs(root))
    (only,) = comparison_index.listed(store)
    assert (only["id"], only["upscalers"], only["state"]) == (kept.name, ["bicubic"], "queued")
    assert (kept / "job.json").read_bytes() == before


def test_the_migrations_give_the_tables_that_the_code_uses(store: Store) -> None:
    with database.reading(store.engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_commit_waits_for_the_disk(store: Store) -> None:
    with database.reading(store.engine) as connection:
        settings = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "busy_timeout")]
    assert settings == ["wal", 2, 30_000]


def test_the_tables_can_be_made_by_postgresql() -> None:
    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))


def test_a_store_of_a_newer_version_is_refused_and_not_touched(store: Store) -> None:
    store.close()
    with closing(sqlite3.connect(database.path())) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = database.path().read_bytes()
    with pytest.raises(StoreError, match="comes from a newer version"):
        Store.open()
    assert database.path().read_bytes() == before


def _overwrite_a_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xa5" * 4096)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_overwrite_a_page, "is damaged and was left as it is"),
        (lambda path: path.write_bytes(b"no database at all" * 1000), "is no store and was left as it is"),
    ],
)
def test_a_damaged_store_is_refused_and_kept(pictures: Path, store: Store, damage: Callable[[Path], object], text: str) -> None:
    store.create("trees", plan_of(pictures))
    store.close()
    damage(database.path())
    before = database.path().read_bytes()
    with pytest.raises(StoreError, match=text) as refused:
        Store.open()
    assert "\n" not in str(refused.value)
    assert database.path().read_bytes() == before


def _in_a_fork(work: Callable[[], str]) -> str:
    """What `work` returns in a process of its own, which may end in any way."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(work()))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return "died"
    finally:
        process.join()


def test_a_store_that_can_not_be_written_is_refused_at_the_start(store: Store, own_home: Path) -> None:
    store.close()
    for path in (own_home, *own_home.iterdir()):
        path.chmod(path.stat().st_mode & ~0o222 | 0o555)
    own_home.parent.chmod(0o755)
    own_home.parent.parent.chmod(0o755)

    def refusal() -> str:
        if os.getuid() == 0:
            # The administrator may write anywhere.
            os.seteuid(65_534)
        try:
            Store.open().close()
        except StoreError as error:
            return str(error)
        return "opened"

    try:
        assert "Nothing can be stored in" in _in_a_fork(refusal)
    finally:
        own_home.chmod(0o755)


def test_a_full_disk_loses_nothing_that_was_saved_and_says_so(pictures: Path, store: Store) -> None:
    run = store.create("trees", plan_of(pictures))
    store.save([result_of(store, run)], FACTS)

    def limit(connection, *_: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(store.engine, "checkout", limit)
    many = [result_of(store, run, index, reason="x" * 20_000) for index in range(5)]
    with pytest.raises(StoreError, match="no space is left; nothing of this step was saved"):
        store.save(many, FACTS)
    event.remove(store.engine, "checkout", limit)
    store.close()
    with Store.open() as again, database.reading(again.engine) as connection:
        assert again.counts(run).done == 1
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert again.counts(run).waiting == 5


def test_a_writer_that_waits_too_long_says_so_and_nothing_is_lost(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.2)
    with Store.open() as store:
        run = store.create("trees", plan_of(pictures))
        result = result_of(store, run)
        with closing(sqlite3.connect(database.path())) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="another program has been writing"):
                store.save([result], FACTS)
            assert store.counts(run).done == 0
            other.rollback()
        store.save([result], FACTS)
        assert store.counts(run).done == 1


def test_programs_that_read_and_write_in_turns_wait_for_each_other(pictures: Path, store: Store) -> None:
    run = store.create("trees", plan_of(pictures))
    results = [result_of(store, run, index) for index in range(6)]
    errors: list[Exception] = []

    def write(own: list[CellResult]) -> None:
        try:
            with Store.open() as other:
                for _ in range(20):
                    other.save(own, FACTS)
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    writers = [threading.Thread(target=write, args=(results[index::3],)) for index in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert errors == []
    assert store.counts(run).done == 6


@pytest.mark.parametrize("statement", [1, 4, 9, 12, 14, 20])
def test_a_migration_that_is_killed_leaves_all_of_it_or_nothing(statement: int) -> None:
    path = database.path()

    def killed() -> str:
        seen = 0

        def count(_connection, _cursor, text: str, *_: object) -> None:
            nonlocal seen
            seen += text.lstrip().upper().startswith(("CREATE", "INSERT", "ALTER", "UPDATE"))
            if seen == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        made = database.create_engine

        def counting(*arguments, **options):
            engine = made(*arguments, **options)
            event.listen(engine, "after_cursor_execute", count)
            return engine

        database.create_engine = counting
        Store.open().close()
        return f"ended after {seen} statements"

    ended = _in_a_fork(killed)
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if statement <= 14:
        assert ended == "died"
        assert tables == set()
    else:
        assert ended == "ended after 14 statements"
        assert tables >= set(metadata.tables)
    with Store.open() as store:
        assert store.runs() == []


def test_an_older_store_is_brought_up_to_date_or_stays_as_it_was(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.close()
    later = tmp_path / "migrations"
    shutil.copytree(database.MIGRATIONS, later)
    (later / "versions" / "9999_later.py").write_text(
        f"import os\nimport sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = '9999', '{HEAD}'\n"
        "def upgrade():\n    op.create_table('extra', sa.Column('id', sa.Integer()))\n"
        "    os.environ.get('FAIL') and os._exit(9)\n    op.add_column('run', sa.Column('note', sa.Text()))\n"
    )
    monkeypatch.setattr(database, "MIGRATIONS", later)
    monkeypatch.setattr(database, "HEAD", "9999")
    monkeypatch.setenv("FAIL", "1")

    def opened() -> str:
        Store.open().close()
        return "opened"

    def schema() -> str:
        with closing(sqlite3.connect(database.path())) as connection:
            return " ".join(sql or "" for (sql,) in connection.execute("SELECT sql FROM sqlite_master"))

    before = schema()
    assert _in_a_fork(opened) == "died"
    assert schema() == before
    monkeypatch.delenv("FAIL")
    opened()
    assert "extra" in schema()
    assert "note" in schema()


def test_runs_of_before_are_computed_as_their_last_result_was(own_home: Path) -> None:
    engine = database.create_engine(f"sqlite:///{database.path()}")
    database.migrate(engine, "0001")
    engine.dispose()
    with closing(sqlite3.connect(database.path())) as connection:
        for run_id in (1, 2, 3):
            values = (run_id, f"run {run_id}", '{"lr": "auto"}', "f" * 64, "stopped", "2026-11-01T00:00:00+00:00")
            connection.execute("INSERT INTO run (id, name, request, request_sha256, state, created_at) VALUES (?, ?, ?, ?, ?, ?)", values)
            connection.execute("INSERT INTO dataset VALUES (?, ?, 'trees', '/trees', 'a', 2)", (run_id, run_id))
            connection.execute("INSERT INTO picture VALUES (?, ?, '0.png', 2, '/trees/0.png', 'b', NULL, NULL)", (run_id, run_id))
        cells_before = [
            (1, 1, "ok", '{"workers": 1}', None),
            (2, 1, "ok", '{"workers": 4}', "c" * 64),
            # What failed, or waits, says nothing.
            (3, 1, "crashed", '{"workers": 9}', None),
            (4, 2, None, '{"workers": 1}', None),
            (5, 3, "ok", '{"workers": 3}', None),
        ]
        for cell_id, run_id, status, row, output in cells_before:
            connection.execute(
                "INSERT INTO cell (id, run_id, picture_id, upscaler, runtime, precision, input_hash, model_hash, settings_hash, status,"
                " row, output_sha256) VALUES (?, ?, ?, 'bicubic', 'pillow', 'f32', ?, 'm', 's', ?, ?, ?)",
                (cell_id, run_id, run_id, f"i{cell_id}", status, row, output),
            )
        connection.commit()
    with Store.open() as store:
        found = {run.name: run.execution for run in store.runs()}
        assert found == {"run 1": Execution(4, keep_images=True), "run 2": Execution(), "run 3": Execution(3)}
        assert store.counts(store.run("run 1")).done == 2


def test_how_a_run_is_computed_is_kept_with_it(pictures: Path, store: Store) -> None:
    run = store.create("trees", plan_of(pictures), first := Execution(3, keep_images=True, engine="ray"))
    other = store.create("more trees", plan_of(pictures))
    assert (run.execution, other.execution) == (first, Execution())
    store.set_execution(run, second := Execution(workers=2))
    with Store.open() as again:
        assert [each.execution for each in again.runs()] == [second, Execution()]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([(None, 3, 3, 4.5), ("ok", 2, 2, 1.0), ("oom", 1, 1, 1.0)], Counts(total=6, done=2, failed=1, expected_s=4.5)),
        ([(None, 3, 2, 4.5), ("ok", 2, 2, 1.0)], Counts(total=5, done=2, failed=0, expected_s=0.0)),
        ([("ok", 2, 0, 0.0)], Counts(total=2, done=2, failed=0, expected_s=0.0)),
        ([], Counts(total=0, done=0, failed=0, expected_s=0.0)),
    ],
    ids=["known", "one time unknown", "done", "empty"],
)
def test_counts_promise_a_time_only_where_that_of_every_waiting_cell_is_known(groups: list[tuple[object, ...]], expected: Counts) -> None:
    assert Counts.of(groups) == expected
