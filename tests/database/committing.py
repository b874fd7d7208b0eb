"""Committing through a wire that can be cut: what the tests of lost COMMITs share.

A test module that imports the fixtures names them in its ``__all__``, and says by a fixture ``url`` on which database
it plays.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from flask_unitofwork.database import postgresql_outcome
from flask_unitofwork.database.commits import forget_commits
from flask_unitofwork.database.intent import NO_INTENT, Intent
from flask_unitofwork.database.transactions import begin_as
from flask_unitofwork.database.written import forget_writes
from tests.conftest import Outside
from tests.database.conftest import MakeEngines
from tests.servers.wire import Wire

__all__ = [
    "Names",
    "assert_pool_is_whole",
    "begin_unit",
    "engine",
    "in_haste",
    "names",
    "no_errors_are_logged",
    "unit",
    "wire",
    "write",
]

Names = Callable[[], list[str]]


@pytest.fixture
def wire(url: str) -> Iterator[Wire]:
    wire = Wire(url)
    yield wire
    wire.close()


@pytest.fixture
def engine(wire: Wire, url: str, make_engines: MakeEngines, outside: Outside) -> Engine:
    """An engine with one connection and no more, through the wire, and an empty table."""
    with outside(url) as connection:
        connection.execute(text("CREATE TABLE note (name VARCHAR(20))"))
        connection.commit()
    # Who waits for the pool gets an error at once, and not after half a minute.
    return make_engines({"default": {"url": wire.url, "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}})[
        "default"
    ]


@pytest.fixture
def names(url: str, outside: Outside) -> Names:
    """What is really in the table."""

    def look() -> list[str]:
        with outside(url) as connection:
            return list(connection.scalars(text("SELECT name FROM note ORDER BY name")))

    return look


@pytest.fixture
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for what will not come."""
    monkeypatch.setattr(postgresql_outcome, "PATIENCE_SECONDS", 0.2)


@pytest.fixture(autouse=True)
def no_errors_are_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A pool would log a connection that it cannot reset; nobody raises that."""
    yield
    assert [record for record in caplog.get_records("call") if record.levelname == "ERROR"] == []


@contextmanager
def unit(engine: Engine, intent: Intent = NO_INTENT) -> Generator[Connection]:
    """A connection in the hands of a unit that has begun."""
    with engine.connect() as connection:
        begin_unit(connection, intent)
        yield connection


def begin_unit(connection: Connection, intent: Intent = NO_INTENT) -> None:
    """What a unit does with a connection that it gets."""
    forget_writes(connection)
    forget_commits(connection)
    begin_as(connection, intent)


def write(connection: Connection, name: str = "tea") -> None:
    connection.execute(text("INSERT INTO note VALUES (:name)"), {"name": name})


def assert_pool_is_whole(engine: Engine) -> None:
    """It has lent nothing, and what it lends works."""
    pool: Any = engine.pool
    assert pool.checkedout() == 0
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 6 * 7")) == 42
    assert pool.checkedout() == 0
