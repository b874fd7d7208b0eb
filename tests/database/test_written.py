"""Whether a transaction has written is known until it ends: only then does a rollback lose anything."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from flask_unitofwork.database.written import has_written
from tests.database.conftest import MakeEngines


@pytest.fixture
def engine(database_url: str, make_engines: MakeEngines) -> Engine:
    engine = make_engines(database_url)["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (name VARCHAR(20))"))
    return engine


def test_reading_is_not_writing(engine: Engine) -> None:
    with engine.connect() as connection:
        assert not has_written(connection)
        connection.execute(text("SELECT name FROM note"))
        assert not has_written(connection)


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_transaction_has_written_until_it_ends(end: str, engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO note VALUES ('here')"))
        connection.execute(text("SELECT name FROM note"))
        assert has_written(connection)

        getattr(connection, end)()
        connection.execute(text("SELECT name FROM note"))

        assert not has_written(connection)


def test_a_statement_that_failed_has_not_written(engine: Engine) -> None:
    with engine.connect() as connection:
        with pytest.raises(Exception, match="nowhere"):
            connection.execute(text("INSERT INTO nowhere VALUES (1)"))

        assert not has_written(connection)


def test_what_another_transaction_on_the_same_connection_wrote_is_not_this_ones(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO note VALUES ('here')"))
    with engine.connect() as connection:
        connection.execute(text("SELECT name FROM note"))
        assert not has_written(connection)


def test_a_connection_that_is_lost_or_closed_has_nothing_to_lose(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO note VALUES ('here')"))
        connection.invalidate()
        assert not has_written(connection)
        connection.rollback()
    assert not has_written(connection)
