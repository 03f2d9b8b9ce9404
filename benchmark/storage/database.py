"""Opening the database of the store: checks before anything is touched, migrations, and errors in words.

SQLite writes ahead (WAL) and waits for the disk at each commit (`synchronous=FULL`): what is reported saved survives a power
failure. Every writing transaction takes the lock when it begins (`BEGIN IMMEDIATE`): one that reads first and writes later fails at
once when another has written in between, whatever time it was told to wait. Source: https://www.sqlite.org/isolation.html
"""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from benchmark.storage.tables import HEAD
from core.errors import StoreError
from core.settings import settings

FILE_NAME = "store.sqlite"
LOCK_WAIT_S = 30.0
"""How long a writer waits for another program's transaction."""
MIGRATIONS = Path(__file__).resolve().parent / "migrations"


def path() -> Path:
    """Where the store lies."""
    return settings().home / FILE_NAME


def open_database(file: Path, *, checked: bool = True) -> Engine:
    """Open the store for reading and writing; it is created, or brought up to date, where that is needed.

    Parameters
    ----------
    checked:
        Whether every page of an up-to-date store is looked at before it is used.

    Raises
    ------
    core.errors.StoreError
        It is damaged, was written by a newer version, can't be written, or is locked. It is left as it was.
    """
    _check_writable(file)
    revision = _revision(file)
    if revision is not None and revision not in _known():
        raise StoreError(
            f"{file} comes from a newer version of Upscale Bench (its tables are {revision}, this one knows {HEAD}): "
            "install that version, or set UPSCALE_BENCH_HOME to another folder."
        )
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": LOCK_WAIT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    try:
        with explained(file):
            if revision != HEAD:
                migrate(engine)
            elif checked:
                _check_pages(engine, file)
    except BaseException:
        engine.dispose()
        raise
    return engine


def migrate(engine: Engine, to: str = "head") -> None:
    """Bring the tables to a revision in one transaction: after a kill they are as before or as after, never between."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: it sees one moment of the store and waits for nobody. Raises `StoreError`."""
    with explained(path_of(engine)), engine.connect().execution_options(reads_only=True) as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is saved when this returns, wholly or not at all. Raises `StoreError`."""
    with explained(path_of(engine)), engine.begin() as connection:
        yield connection


def path_of(engine: Engine) -> str:
    """What the database is called in messages."""
    return engine.url.database or engine.url.render_as_string()


@contextmanager
def explained(file: Path | str) -> Iterator[None]:
    """Turn what a database says into a line for people; errors of the program stay what they are."""
    try:
        yield
    except (DBAPIError, sqlite3.DatabaseError) as error:
        text = str(getattr(error, "orig", None) or error)
        reason = next((reason for sign, reason in _REASONS.items() if sign in text), None)
        if reason is None:
            raise
        raise StoreError(f"{file}: {reason}") from error


_REASONS = {
    "disk is full": "no space is left; nothing of this step was saved, everything before it is. Free some space and start the same again.",
    "disk I/O error": "the disk can't be written or read; nothing of this step was saved. See to the disk and start the same again.",
    "is locked": f"another program has been writing for over {LOCK_WAIT_S:g} s. Nothing is lost: start the same again when it is done.",
    "readonly database": "the file can't be written. Change its permissions, or set UPSCALE_BENCH_HOME to another folder.",
    "malformed": "the file is damaged and was left as it is. Restore a copy, or move it away to begin a new one.",
    "not a database": "the file is no store and was left as it is. Move it away to begin a new one.",
    "unable to open": "the file can't be opened. Change its permissions, or set UPSCALE_BENCH_HOME to another folder.",
}


def _check_writable(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # The log of SQLite is a second file beside it.
        with tempfile.TemporaryFile(dir=file.parent):
            pass
        writable = not file.exists() or os.access(file, os.W_OK)
    except OSError as error:
        raise StoreError(
            f"Nothing can be stored in {file.parent}: {error.strerror}. Change that, or set UPSCALE_BENCH_HOME to another folder."
        ) from error
    if not writable:
        raise StoreError(f"{file}: {_REASONS['readonly database']}")


def _revision(file: Path) -> str | None:
    """The revision of a store that is there, read without changing a byte; None for a new one."""
    if not file.exists() or not file.stat().st_size:
        return None
    with explained(file), contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            return None
        if "alembic_version" not in tables:
            raise StoreError(f"{file}: {_REASONS['not a database']}")
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return row[0] if row else None


def _known() -> set[str]:
    return {script.name.partition("_")[0] for script in (MIGRATIONS / "versions").glob("[0-9]*.py")}


def _check_pages(engine: Engine, file: Path) -> None:
    with engine.connect().execution_options(reads_only=True) as connection:
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if found != "ok":
        raise StoreError(f"{file}: {_REASONS['malformed']}")


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a connection of whatever driver
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}")


def _begin_sqlite(connection: Connection) -> None:
    reads_only = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")
