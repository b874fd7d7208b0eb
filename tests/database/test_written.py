"""Whether a unit has written on a connection is known: only then does a rollback lose anything."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.orm import Session

from flask_unitofwork.database.written import forget_writes, has_written
from tests.database.conftest import MakeEngines


@pytest.fixture
def engine(database_url: str, make_engines: MakeEngines) -> Engine:
    engine = make_engines(database_url)["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (name VARCHAR(20))"))
        forget_writes(connection)
    return engine


def test_reading_is_not_writing(engine: Engine) -> None:
    with engine.connect() as connection:
        assert not has_written(connection)
        connection.execute(text("SELECT name FROM note"))
        assert not has_written(connection)


def test_a_unit_that_has_written_has_written_until_the_next_begins(engine: Engine) -> None:
    with engine.connect() as connection:
        forget_writes(connection)
        connection.execute(text("INSERT INTO note VALUES ('here')"))
        connection.execute(text("SELECT name FROM note"))
        assert has_written(connection)

        connection.rollback()
        forget_writes(connection)
        connection.execute(text("SELECT name FROM note"))
        assert not has_written(connection)


def test_units_that_share_a_transaction_have_each_their_own_writes(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.begin()
        connection.begin_nested()
        with Session(connection, join_transaction_mode="conditional_savepoint") as session:
            forget_writes(session.connection())
            with session.begin_nested():
                session.execute(text("INSERT INTO note VALUES ('here')"))
            assert has_written(session.connection())
            session.commit()
        with Session(connection, join_transaction_mode="conditional_savepoint") as session:
            forget_writes(session.connection())
            session.execute(text("SELECT name FROM note"))
            assert not has_written(session.connection())


def test_a_statement_that_failed_has_not_written(engine: Engine) -> None:
    with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="nowhere"):
            connection.execute(text("INSERT INTO nowhere VALUES (1)"))
        connection.rollback()
        with pytest.raises(StatementError, match="name"):
            connection.execute(text("INSERT INTO note VALUES (:name)"), {"wrong": "here"})

        assert not has_written(connection)


def test_a_failure_does_not_undo_what_was_written_before(sqlite_url: str, make_engines: MakeEngines) -> None:
    with make_engines(sqlite_url)["default"].connect() as connection:
        connection.execute(text("CREATE TABLE note (name)"))
        for wrong in ("INSERT INTO nowhere VALUES (1)", "SELECT nothing FROM note"):
            with pytest.raises(DBAPIError):
                connection.execute(text(wrong))

        assert has_written(connection)


def test_a_connection_that_is_lost_or_closed_has_nothing_to_lose(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO note VALUES ('here')"))
        connection.invalidate()
        assert not has_written(connection)
        connection.rollback()
    assert not has_written(connection)
