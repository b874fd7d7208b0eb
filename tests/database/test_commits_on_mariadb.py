"""A COMMIT whose answer is lost on a database that cannot tell afterwards what became of it."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from flask_unitofwork import UnknownCommitError
from flask_unitofwork.database.commits import has_committed, outcome_is_unknown
from tests.database.committing import (
    Names,
    assert_pool_is_whole,
    engine,
    names,
    no_errors_are_logged,
    unit,
    wire,
    write,
)
from tests.servers.wire import Cut, Wire

__all__ = ["engine", "names", "no_errors_are_logged", "wire"]

# With the byte that makes it a command: a new connection sends SET AUTOCOMMIT.
COMMIT = "\x03COMMIT"


@pytest.fixture
def url(mariadb_url: str) -> str:
    return mariadb_url


@pytest.mark.parametrize(
    ("cut", "left"), [(Cut.AFTER, ["tea"]), (Cut.BEFORE, []), (Cut.WITHIN, []), (Cut.HALF_OPEN, [])]
)
def test_nobody_knows_what_became_of_what_was_written(
    engine: Engine, wire: Wire, names: Names, cut: Cut, left: list[str]
) -> None:
    wire.when_sent(COMMIT, cut)

    with unit(engine) as connection:
        write(connection)
        with pytest.raises(UnknownCommitError, match="cannot tell afterwards; PostgreSQL 15 and later usually can"):
            connection.commit()

        assert outcome_is_unknown(connection)
        assert not has_committed(connection)
        connection.rollback()
    assert names() == left
    assert_pool_is_whole(engine)


def test_what_was_only_read_is_not_lost(engine: Engine, wire: Wire) -> None:
    wire.when_sent(COMMIT, Cut.AFTER)

    with unit(engine) as connection:
        connection.execute(text("SELECT name FROM note"))
        with pytest.raises(OperationalError) as caught:
            connection.commit()

        assert caught.value.connection_invalidated
        assert not outcome_is_unknown(connection)
    assert_pool_is_whole(engine)


def test_nothing_is_asked_before_commit(engine: Engine, wire: Wire, names: Names) -> None:
    asked: list[str] = []
    wire.when_sent("pg_", then=lambda: asked.append("asked"))

    with unit(engine) as connection:
        write(connection)
        connection.commit()
        assert has_committed(connection)

    assert names() == ["tea"]
    assert asked == []
