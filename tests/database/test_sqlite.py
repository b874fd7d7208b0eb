"""SQLite's defaults for the web: each is there, and each gives way to what the user says."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, event, make_url, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.pool import QueuePool

from tests.database.conftest import MakeEngines

A_LONG_TIME = """
    WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 1000000000)
    SELECT count(*) FROM counted
"""


def pragma(engine: Engine, name: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


@pytest.fixture
def engine(sqlite_url: str, make_engines: MakeEngines) -> Engine:
    return make_engines(sqlite_url)["default"]


# -- defaults --------------------------------------------------------------------------------------------------------


def test_readers_and_a_writer_do_not_stop_one_another(engine: Engine) -> None:
    assert pragma(engine, "journal_mode") == "wal"


def test_a_commit_does_not_wait_for_the_disk_more_than_wal_needs(engine: Engine) -> None:
    assert pragma(engine, "synchronous") == 1


def test_foreign_keys_are_enforced(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE customer (id INTEGER PRIMARY KEY)"))
        connection.execute(text("CREATE TABLE sale (customer_id INTEGER REFERENCES customer)"))

    with engine.connect() as connection, pytest.raises(IntegrityError, match="FOREIGN KEY constraint failed"):
        connection.execute(text("INSERT INTO sale VALUES (1)"))


def test_a_lock_is_waited_for_five_seconds(engine: Engine) -> None:
    assert pragma(engine, "busy_timeout") == 5000


def test_connections_are_pooled_and_shared_by_threads(engine: Engine) -> None:
    assert isinstance(engine.pool, QueuePool)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(pragma, engine, "user_version").result()
    assert pragma(engine, "user_version") == 0


def test_folders_under_the_instance_folder_are_made_when_they_are_first_needed(
    instance_path: Path, make_engines: MakeEngines
) -> None:
    engine = make_engines("sqlite:///data/shop.db")["default"]
    assert not instance_path.exists()

    pragma(engine, "user_version")

    assert (instance_path / "data" / "shop.db").exists()


def test_the_same_for_a_uri(instance_path: Path, make_engines: MakeEngines) -> None:
    engine = make_engines("sqlite:///file:data/my%20shop.db?uri=true")["default"]

    pragma(engine, "user_version")

    assert (instance_path / "data" / "my shop.db").exists()


def test_a_folder_elsewhere_is_not_made(tmp_path: Path, make_engines: MakeEngines) -> None:
    engine = make_engines(f"sqlite:///{tmp_path}/mistyped/shop.db")["default"]

    with pytest.raises(OperationalError, match="unable to open database file"):
        pragma(engine, "user_version")
    assert not (tmp_path / "mistyped").exists()


# -- write-ahead logging ---------------------------------------------------------------------------------------------


def test_connections_that_open_a_new_file_at_once_all_succeed(tmp_path: Path, make_engines: MakeEngines) -> None:
    at_once = 8
    for attempt in range(10):
        engine = make_engines(f"sqlite:///{tmp_path}/{attempt}.db")["default"]
        start = Barrier(at_once)

        def open_it(number: int, engine: Engine = engine, start: Barrier = start) -> object:
            start.wait()
            return pragma(engine, "journal_mode")

        with ThreadPoolExecutor(at_once) as threads:
            assert list(threads.map(open_it, range(at_once))) == ["wal"] * at_once


def on_statement(engine: Engine, begins: Mapping[str, Callable[[], object]]) -> None:
    """Do something when a new connection is about to run a statement."""

    @event.listens_for(engine, "connect", insert=True)
    def watch(connection: sqlite3.Connection, _record: object) -> None:
        connection.set_trace_callback(lambda statement: begins.get(statement, lambda: None)())


@pytest.fixture
def holder(sqlite_url: str) -> Iterator[sqlite3.Connection]:
    """A connection that keeps the file to itself, and does not use WAL."""
    connection = sqlite3.connect(make_url(sqlite_url).database or "", isolation_level=None)
    connection.executescript("CREATE TABLE note (name); BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_who_may_not_switch_at_once_waits_for_the_other_and_looks_again(
    sqlite_url: str, holder: sqlite3.Connection, make_engines: MakeEngines
) -> None:
    engine = make_engines(sqlite_url, lock_timeout=0.05)["default"]
    on_statement(engine, {"BEGIN EXCLUSIVE": lambda: holder.execute("COMMIT")})

    assert pragma(engine, "journal_mode") == "wal"


def test_who_never_gets_a_turn_to_switch_goes_on_without(
    sqlite_url: str, holder: sqlite3.Connection, make_engines: MakeEngines
) -> None:
    engine = make_engines(sqlite_url, lock_timeout=0.01)["default"]
    in_the_way = {
        "BEGIN EXCLUSIVE": lambda: holder.execute("COMMIT"),
        "PRAGMA journal_mode = WAL": lambda: holder.in_transaction or holder.execute("BEGIN IMMEDIATE"),
    }
    on_statement(engine, in_the_way)

    assert pragma(engine, "journal_mode") == "delete"


def test_a_file_that_is_held_too_long_is_left_as_it_is(
    sqlite_url: str, holder: sqlite3.Connection, make_engines: MakeEngines
) -> None:
    engine = make_engines(sqlite_url, lock_timeout=0.05)["default"]

    assert holder.in_transaction
    assert pragma(engine, "journal_mode") == "delete"
    # Without WAL, less than FULL may lose the database with the power.
    assert pragma(engine, "synchronous") == 2


def test_a_read_only_file_opens(sqlite_url: str, make_engines: MakeEngines) -> None:
    file = make_url(sqlite_url).database or ""
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE note (name)")
    connection.close()

    engine = make_engines(f"sqlite:///file:{file}?mode=ro&uri=true")["default"]

    with engine.connect() as reader:
        assert reader.scalars(text("SELECT name FROM note")).all() == []
        with pytest.raises(OperationalError, match="readonly"):
            reader.execute(text("INSERT INTO note VALUES ('no')"))


# -- timeouts --------------------------------------------------------------------------------------------------------


def test_a_lock_is_waited_for_as_long_as_configured(sqlite_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(sqlite_url, lock_timeout=0.2)["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (name)"))

    with engine.begin() as holder:
        holder.execute(text("INSERT INTO note VALUES ('first')"))
        begun = time.monotonic()
        with engine.connect() as waiting, pytest.raises(OperationalError, match="database is locked"):
            waiting.execute(text("INSERT INTO note VALUES ('second')"))
        waited = time.monotonic() - begun

    assert 0.15 < waited < 4.5


def test_a_statement_that_takes_too_long_is_interrupted(sqlite_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(sqlite_url, statement_timeout=0.1)["default"]

    with engine.connect() as connection:
        with pytest.raises(OperationalError, match="interrupted"):
            connection.execute(text(A_LONG_TIME))
        assert connection.scalar(text("SELECT 1")) == 1


def test_the_time_is_counted_per_statement(sqlite_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(sqlite_url, statement_timeout=0.8)["default"]
    a_moment = A_LONG_TIME.replace("1000000000", "10000")

    with engine.connect() as connection:
        begun = time.monotonic()
        while time.monotonic() - begun < 1:
            connection.execute(text(a_moment))


# -- the user wins ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["connect_args", "url"])
def test_the_users_busy_timeout_wins(way: str, sqlite_url: str, make_engines: MakeEngines) -> None:
    databases = (
        {"default": {"url": sqlite_url, "connect_args": {"timeout": 0.5}}}
        if way == "connect_args"
        else {"default": f"{sqlite_url}?timeout=0.5"}
    )

    assert pragma(make_engines(databases, lock_timeout=3)["default"], "busy_timeout") == 500


def test_connections_that_the_user_makes_keep_their_busy_timeout(sqlite_url: str, make_engines: MakeEngines) -> None:
    file = make_url(sqlite_url).database or ""
    own: dict[str, Any] = {"url": sqlite_url, "creator": lambda: sqlite3.connect(file, timeout=0.5)}

    assert pragma(make_engines({"default": own})["default"], "busy_timeout") == 500
    assert pragma(make_engines({"default": own}, lock_timeout=3)["default"], "busy_timeout") == 3000


def test_pragmas_that_the_user_sets_on_connect_win(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = EXTRA")

    assert pragma(engine, "foreign_keys") == 0
    assert pragma(engine, "journal_mode") == "delete"
    assert pragma(engine, "synchronous") == 3
