"""PyMySQL's connections are in autocommit on the server, and nobody but readers notices."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import pymysql
import pytest
from pymysql.constants import FIELD_TYPE
from pymysql.cursors import DictCursor, SSCursor, SSDictCursor
from sqlalchemy import Engine, bindparam, insert, select, text
from sqlalchemy.exc import InternalError, OperationalError
from sqlalchemy.types import NullType

from flask_unitofwork.database.intent import INTENT, Intent
from tests.conftest import Outside
from tests.database.conftest import MakeEngines
from tests.database.pymysql_reading import Connect, connect, engine, item, read, wire, words
from tests.servers.counting import CountingWire

__all__ = ["connect", "engine", "wire"]

PUT: Final = "INSERT INTO item VALUES (1)"


# -- what is sent ----------------------------------------------------------------------------------------------------


def test_a_read_is_all_that_is_sent_for_a_read(engine: Engine, wire: CountingWire) -> None:
    read(engine)

    assert words(wire) == ["SELECT"]


def test_a_transaction_begins_with_its_first_statement(engine: Engine, wire: CountingWire) -> None:
    with engine.begin() as connection:
        connection.execute(insert(item).values(id=1))
        connection.execute(select(item)).all()
        connection.execute(insert(item).values(id=2))

    assert words(wire) == ["BEGIN", "INSERT", "SELECT", "INSERT", "COMMIT"]


def test_a_transaction_in_which_nothing_runs_is_not_sent(engine: Engine, wire: CountingWire) -> None:
    with engine.begin():
        pass
    with engine.connect() as connection:
        connection.rollback()
        connection.commit()

    assert words(wire) == []


def test_a_connection_that_is_made_anew_is_ready_to_read(engine: Engine, wire: CountingWire) -> None:
    engine.dispose()
    read(engine)
    wire.forget()
    read(engine)

    assert words(wire) == ["SELECT"]


def test_to_connect_takes_no_word_about_autocommit(engine: Engine, wire: CountingWire) -> None:
    engine.dispose()
    read(engine)

    assert not any(b"AUTOCOMMIT" in sent.upper() for sent in wire.sent)


def test_a_session_that_is_not_in_autocommit_from_the_start_is_put_there(connect: Connect, wire: CountingWire) -> None:
    engine = connect(connect_args={"init_command": "SET autocommit = 0"})
    read(engine)

    assert words(wire) == ["SELECT"]


# -- nobody's work is committed but by themselves ----------------------------------------------------------------------


def execute(raw: Any) -> None:
    raw.cursor().execute(PUT)


def execute_many(raw: Any) -> None:
    raw.cursor().executemany("INSERT INTO item VALUES (%s)", [(1,), (2,)])


def execute_each(raw: Any) -> None:
    raw.cursor().executemany("REPLACE item SET id = %s", [(1,), (2,)])


def with_cursors_of(kind: type[Any]) -> Callable[[Any], None]:
    def put(raw: Any) -> None:
        with raw.driver_connection.cursor(kind) as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchall()
            cursor.execute(PUT)

    return put


def with_a_cursor_by_hand(raw: Any) -> None:
    pymysql.cursors.Cursor(raw.driver_connection).execute(PUT)


def without_a_cursor(raw: Any) -> None:
    raw.driver_connection.query(PUT)


def begin(raw: Any) -> None:
    raw.driver_connection.begin()
    raw.cursor().execute(PUT)


def call(raw: Any) -> None:
    raw.cursor().callproc("put_item", (1,))


@pytest.mark.parametrize(
    "put",
    [
        execute,
        execute_many,
        execute_each,
        with_cursors_of(DictCursor),
        with_cursors_of(SSCursor),
        with_cursors_of(SSDictCursor),
        with_a_cursor_by_hand,
        without_a_cursor,
        begin,
        call,
    ],
    ids=["execute", "many", "each", "dict", "stream", "dict stream", "by hand", "query", "begin", "procedure"],
)
def test_what_the_driver_is_told_is_committed_by_commit_and_by_nothing_else(
    engine: Engine, outside: Outside, put: Callable[[Any], None]
) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE PROCEDURE put_item(n INT) INSERT INTO item VALUES (n)"))
    read(engine)
    for end in ("close", "rollback", "commit"):
        raw = engine.raw_connection()
        put(raw)
        if end != "close":
            getattr(raw, end)()
        raw.close()
        with outside(engine) as connection:
            assert bool(connection.scalars(select(item.c.id)).all()) is (end == "commit")


def test_a_procedure_that_commits_and_goes_on_leaves_the_rest_to_the_caller(engine: Engine, wire: CountingWire) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE PROCEDURE put_two() BEGIN INSERT INTO item VALUES (1); COMMIT; INSERT INTO item VALUES (2); END"
            )
        )
    with engine.connect() as connection:
        connection.execute(text("CALL put_two()"))
        connection.rollback()
    assert read(engine) == [1]
    wire.forget()
    read(engine)
    assert words(wire) == ["SELECT"]


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_who_has_lost_the_connection_is_told_so_even_with_nothing_to_end(engine: Engine, end: str) -> None:
    raw: Any = engine.raw_connection()
    raw.driver_connection.close()
    with pytest.raises(pymysql.err.InterfaceError):
        getattr(raw, end)()
    raw.invalidate()


def test_locked_tables_stay_locked(engine: Engine, outside: Outside) -> None:
    with engine.connect() as connection, outside(engine) as other:
        other.execute(text("SET SESSION lock_wait_timeout = 0"))
        connection.execute(text("LOCK TABLES item WRITE"))
        connection.execute(insert(item).values(id=1))
        with pytest.raises(OperationalError, match="Lock wait timeout exceeded"):
            other.execute(select(item))
        connection.commit()
        connection.execute(text("UNLOCK TABLES"))
        assert other.scalars(select(item.c.id)).all() == [1]


def test_a_deadlock_that_the_driver_is_told_of_leaves_no_autocommit(
    mariadb_url: str, make_engines: MakeEngines, outside: Outside
) -> None:
    engine = make_engines(mariadb_url)["default"]
    item.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(item), [{"id": 1}, {"id": 2}])
    one, two = engine.raw_connection(), engine.raw_connection()
    failures: list[Any] = []

    def wait_for_the_other(raw: Any, number: int) -> None:
        try:
            raw.cursor().execute(f"SELECT id FROM item WHERE id = {number} FOR UPDATE")
        except pymysql.err.OperationalError as error:
            failures.append((error.args[0], raw))

    for raw, number in ((one, 1), (two, 2)):
        raw.cursor().execute(f"SELECT id FROM item WHERE id = {number} FOR UPDATE")
    thread = threading.Thread(target=wait_for_the_other, args=(one, 2))
    thread.start()
    wait_for_the_other(two, 1)
    thread.join()
    ((code, victim),) = failures
    assert code == 1213
    victim.cursor().execute("INSERT INTO item VALUES (3)")
    one.close()
    two.close()
    with outside(engine) as connection:
        assert connection.scalars(select(item.c.id)).all() == [1, 2]


def test_an_answer_that_cannot_be_understood_is_not_taken_for_the_next(connect: Connect) -> None:
    def refuse(value: str) -> int:
        if value == "13":
            raise LookupError(value)
        return int(value)

    conversions = {**pymysql.converters.conversions, FIELD_TYPE.LONG: refuse}
    engine = connect(connect_args={"conv": conversions})
    with engine.begin() as connection:
        connection.execute(insert(item), [{"id": 1}, {"id": 13}, {"id": 14}])

    with pytest.raises(InternalError, match="Packet sequence number wrong"):  # by ROLLBACK, after the LookupError
        read(engine)
    with engine.connect() as connection:
        connection.info[INTENT] = Intent(reads_in_autocommit=True)
        assert connection.scalars(select(item.c.id).where(item.c.id == 14)).all() == [14]


def test_a_read_that_was_never_sent_leaves_its_place_to_nobody(engine: Engine, outside: Outside) -> None:
    with engine.connect() as connection:
        connection.info[INTENT] = Intent(reads_in_autocommit=True)
        with pytest.raises(TypeError, match="dict can not be used as parameter"):
            connection.execute(select(item).where(item.c.id == bindparam("number", {"a": 1}, type_=NullType())))
        connection.connection.cursor().execute(PUT)
    with outside(engine) as other:
        assert other.execute(select(item)).all() == []
