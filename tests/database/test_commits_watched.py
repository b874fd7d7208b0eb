"""Whose COMMIT is watched, and what that costs: nothing is asked that nobody needs, and answers pass as they are."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from flask_unitofwork.database.commits import has_committed, outcome_is_unknown
from flask_unitofwork.database.intent import Intent
from tests.database.committing import (
    Names,
    assert_pool_is_whole,
    begin_unit,
    engine,
    names,
    no_errors_are_logged,
    unit,
    wire,
    write,
)
from tests.servers.wire import Cut, Wire

__all__ = ["engine", "names", "no_errors_are_logged", "wire"]

QUESTION = "pg_current_xact_id_if_assigned"


@pytest.fixture
def url(postgresql_url: str) -> str:
    return postgresql_url


def test_only_a_unit_that_has_written_asks_before_commit(engine: Engine, wire: Wire) -> None:
    asked: list[str] = []
    wire.when_sent(QUESTION, then=lambda: asked.append("asked"))

    with unit(engine) as connection:
        connection.execute(text("SELECT name FROM note"))
        connection.commit()
    with engine.begin() as connection:
        write(connection)
    assert asked == []

    with unit(engine) as connection:
        write(connection)
        connection.commit()
    assert asked == ["asked"]


def test_a_connection_of_an_engine_is_left_to_sqlalchemy(engine: Engine, wire: Wire, names: Names) -> None:
    # The same connection of the driver was a unit's before, and somebody still holds what the unit had.
    with unit(engine) as held:
        write(held, "unit's")
        held.commit()
    wire.when_sent("COMMIT", Cut.AFTER)

    with engine.connect() as connection:
        write(connection, "own")
        with pytest.raises(OperationalError):
            connection.commit()
        assert not has_committed(connection)
        assert not outcome_is_unknown(connection)

    assert has_committed(held)
    assert names() == ["own", "unit's"]


def test_an_answer_that_refuses_the_commit_is_raised_as_it_is(engine: Engine, names: Names) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE note ADD UNIQUE (name) DEFERRABLE INITIALLY DEFERRED"))

    with unit(engine) as connection:
        write(connection)
        write(connection)
        with pytest.raises(DBAPIError) as caught:
            connection.commit()

        assert not caught.value.connection_invalidated
        assert not has_committed(connection)
        assert not outcome_is_unknown(connection)
    assert names() == []
    assert_pool_is_whole(engine)


def test_what_is_read_only_has_committed_nothing(engine: Engine) -> None:
    with unit(engine, Intent(read_only=True)) as connection:
        connection.execute(text("SELECT name FROM note"))
        connection.commit()
        assert not has_committed(connection)


def test_the_outcome_is_known_after_the_connection_is_closed(engine: Engine) -> None:
    with unit(engine) as connection:
        write(connection)
        connection.commit()
    assert connection.closed
    assert has_committed(connection)


def test_a_two_phase_commit_is_sqlalchemys(engine: Engine, names: Names) -> None:
    with engine.connect() as connection:
        transaction = connection.begin_twophase()
        begin_unit(connection)
        write(connection)
        transaction.prepare()
        transaction.commit()
    assert names() == ["tea"]
    assert_pool_is_whole(engine)
