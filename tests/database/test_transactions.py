"""What a transaction is for, carried out by each database."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from flask_unitofwork import ReadOnlyError
from flask_unitofwork.database import Engines
from flask_unitofwork.database.intent import Intent, IsolationLevel
from flask_unitofwork.database.transactions import begin_as, end_as, permit_writes, refuse_writes

from .conftest import MakeEngines


@pytest.fixture
def engine(database_url: str, make_engines: MakeEngines) -> Engine:
    engine = make_engines(database_url)["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE product (name VARCHAR(200))"))
    return engine


def names(connection: Connection) -> list[str]:
    return list(connection.scalars(text("SELECT name FROM product ORDER BY name")))


def test_meaning_to_write_and_being_read_only_is_a_contradiction() -> None:
    with pytest.raises(ValueError, match=r"choose writes=True or read_only=True"):
        Intent(writes=True, read_only=True)


class TestReadOnly:
    def test_refuses_to_write_and_says_so(self, engine: Engine) -> None:
        with engine.connect() as connection:
            begin_as(connection, Intent(read_only=True))
            assert names(connection) == []
            with pytest.raises(ReadOnlyError) as raised:
                connection.execute(text("INSERT INTO product VALUES ('tea')"))
            assert names(connection) == []

        assert str(raised.value) == (
            "This unit of work is read-only, and this statement writes or locks: INSERT INTO product VALUES ('tea')."
            " Write where the unit may, such as in a scope() of its own."
        )

    def test_shows_the_beginning_of_a_long_statement(self, engine: Engine) -> None:
        with engine.connect() as connection:
            begin_as(connection, Intent(read_only=True))
            with pytest.raises(ReadOnlyError, match=r"CREATE TABLE product \(a, (a, )+a?,?…") as raised:
                connection.execute(text("CREATE TABLE\n  product (" + "a, " * 100 + "z)"))
        assert len(str(raised.value)) < 300

    def test_is_over_when_the_connection_goes_back_to_its_pool(self, engine: Engine) -> None:
        with engine.connect() as connection:
            begin_as(connection, Intent(read_only=True))
            used = connection.connection.driver_connection
            names(connection)
        with engine.begin() as connection:
            assert connection.connection.driver_connection is used
            connection.execute(text("INSERT INTO product VALUES ('tea')"))
            assert names(connection) == ["tea"]

    def test_is_for_a_part_where_it_begins_in_a_savepoint(self, engine: Engine) -> None:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO product VALUES ('tea')"))
            with connection.begin_nested():
                refuse_writes(connection)
                assert names(connection) == ["tea"]
                with pytest.raises(ReadOnlyError):
                    connection.execute(text("INSERT INTO product VALUES ('coffee')"))
            permit_writes(connection)
            connection.execute(text("INSERT INTO product VALUES ('milk')"))
            assert names(connection) == ["milk", "tea"]

    @pytest.mark.parametrize("part", [False, True], ids=["transaction", "savepoint"])
    def test_is_held_by_postgresql_where_a_function_hides_the_write(
        self, postgresql_url: str, make_engines: MakeEngines, part: bool
    ) -> None:
        engine = make_engines(postgresql_url)["default"]
        with engine.begin() as connection:
            connection.execute(text("CREATE SEQUENCE visits"))
        with engine.connect() as connection:
            if part:
                connection.execute(text("SELECT nextval('visits')"))
                connection.begin_nested()
                refuse_writes(connection)
            else:
                begin_as(connection, Intent(read_only=True))
            with pytest.raises(DBAPIError, match="read-only transaction"):
                connection.execute(text("SELECT nextval('visits')"))

    def test_is_held_by_mariadb_where_a_function_hides_the_write(
        self, mariadb_url: str, make_engines: MakeEngines
    ) -> None:
        engine = make_engines(mariadb_url)["default"]
        with engine.begin() as connection:
            connection.execute(text("CREATE SEQUENCE visits"))
        with engine.connect() as connection:
            begin_as(connection, Intent(read_only=True))
            with pytest.raises(DBAPIError, match="READ ONLY transaction"):
                connection.execute(text("SELECT NEXTVAL(visits)"))

    def test_is_held_by_sqlite_itself(self, sqlite_url: str, make_engines: MakeEngines) -> None:
        with make_engines(sqlite_url)["default"].connect() as connection:
            begin_as(connection, Intent(read_only=True))
            assert connection.exec_driver_sql("PRAGMA query_only").scalar_one() == 1

    def test_sees_one_state_of_an_sqlite_file(self, sqlite_url: str, make_engines: MakeEngines) -> None:
        engine = make_engines(sqlite_url)["default"]
        with engine.begin() as writer:
            writer.execute(text("CREATE TABLE product (name)"))
        with engine.connect() as reader:
            begin_as(reader, Intent(read_only=True))
            assert names(reader) == []
            with engine.begin() as writer:
                writer.execute(text("INSERT INTO product VALUES ('tea')"))
            assert names(reader) == []


class TestIsolationLevel:
    @pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
    @pytest.mark.parametrize("read_only", [False, True])
    def test_is_the_transaction_s_alone(self, engine: Engine, level: IsolationLevel, read_only: bool) -> None:
        with engine.connect() as connection:
            usual = isolation_of(connection)
        with engine.connect() as connection:
            begin_as(connection, Intent(isolation_level=level, read_only=read_only))
            during = isolation_of(connection)
        with engine.connect() as connection:
            assert isolation_of(connection) == usual
        assert during == (level if engine.dialect.name != "sqlite" else "SERIALIZABLE")

    def test_of_a_reader_keeps_what_it_has_read_on_sqlite(self, sqlite_url: str, make_engines: MakeEngines) -> None:
        engine = make_engines(sqlite_url, lock_timeout=0.05)["default"]
        with engine.begin() as writer:
            writer.execute(text("CREATE TABLE product (name)"))
        with engine.connect() as reader:
            begin_as(reader, Intent(isolation_level="SERIALIZABLE"))
            names(reader)
            with pytest.raises(DBAPIError, match="locked"), engine.begin() as writer:
                writer.execute(text("INSERT INTO product VALUES ('tea')"))


SLOW = {
    "postgresql": "SELECT pg_sleep(30)",
    "mysql": "SELECT SLEEP(30)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
}


class TestTimeout:
    def test_is_enforced_by_the_database_and_ends_with_the_transaction(self, engine: Engine) -> None:
        slow = text(SLOW[engine.dialect.name.replace("mariadb", "mysql")])
        with engine.connect() as connection:
            begin_as(connection, Intent(timeout=0.2))
            used = connection.connection.driver_connection
            assert names(connection) == []
            with pytest.raises(DBAPIError):
                connection.execute(slow)
        with engine.connect() as connection:
            begin_as(connection, Intent(timeout=0.2))
            names(connection)
        with engine.connect() as connection:
            assert limit_of(connection) == 0
        assert used is not None

    def test_gives_way_to_the_configured_limit_again(self, database_url: str, make_engines: MakeEngines) -> None:
        engine = make_engines(database_url, statement_timeout=30)["default"]
        with engine.connect() as connection:
            begin_as(connection, Intent(timeout=2.5))
            assert limit_of(connection) == 2.5
        with engine.connect() as connection:
            assert limit_of(connection) == 30


def isolation_of(connection: Connection) -> str:
    """The isolation level of the transaction in progress."""
    names(connection)  # MariaDB knows of no transaction before
    if connection.dialect.name == "sqlite":
        return "SERIALIZABLE"  # it has no other
    if connection.dialect.name == "postgresql":
        return str(connection.scalar(text("SELECT upper(current_setting('transaction_isolation'))")))
    thread = connection.scalar(text("SELECT CONNECTION_ID()"))
    question = text(
        "SELECT REPLACE(trx_isolation_level, '-', ' ') FROM information_schema.innodb_trx"
        " WHERE trx_mysql_thread_id = :thread"
    )
    with connection.engine.connect() as another:
        # The server renews that table when nobody has looked at it for a tenth of a second.
        another.execute(text("SELECT SLEEP(0.2)"))
        return str(another.scalar(question, {"thread": thread}))


def limit_of(connection: Connection) -> float:
    """The time limit in force, in seconds; 0 for none."""
    if connection.dialect.name == "postgresql":
        milliseconds = connection.scalar(text("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'"))
        return int(str(milliseconds)) / 1000
    if connection.dialect.name == "sqlite":
        connection.execute(text("SELECT 1"))
        deadline = connection.info.get("unitofwork_deadline")
        return 0 if deadline is None or deadline.seconds == float("inf") else float(deadline.seconds)
    return float(connection.scalar(text("SELECT @@SESSION.max_statement_time")) or 0)


def test_a_transaction_inside_another_gives_back_what_that_one_was_for(engine: Engine) -> None:
    with engine.begin() as connection:
        outer = begin_as(connection, Intent(writes=True))
        connection.execute(text("INSERT INTO product VALUES ('tea')"))
        with connection.begin_nested():
            before = begin_as(connection, Intent(read_only=True))
            with pytest.raises(ReadOnlyError):
                connection.execute(text("INSERT INTO product VALUES ('coffee')"))
        end_as(connection, before)
        connection.execute(text("INSERT INTO product VALUES ('milk')"))
        end_as(connection, outer)
        assert names(connection) == ["milk", "tea"]


def test_engines_of_unknown_kinds_are_told_nothing(make_engines: Callable[..., Engines]) -> None:
    with make_engines("sqlite://")["default"].connect() as connection:
        connection.dialect.name = "shopdb"
        try:
            begin_as(connection, Intent(timeout=1.0))
            assert connection.scalar(text("SELECT 1")) == 1
        finally:
            connection.dialect.name = "sqlite"
