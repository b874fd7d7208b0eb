"""Pools whose connections are all the test's one.

Note: a private name of SQLAlchemy's
    A pool like an engine's own, with the same options and listeners, is what ``Pool.recreate()`` gives. That it makes its
    connections in another way has no public name: ``Pool._creator``. ``tests/testing/test_isolation_of_engines.py``
    fails if it changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from ...exceptions import IsolationError
from .database import Database
from .logical import LogicalConnection
from .postgresql import PostgreSQL
from .psycopg import PsycopgConnection
from .shared import SharedConnection
from .sqlite import SQLite, SQLiteConnection

__all__ = ["check_driver", "database_of", "pool_like"]


class _Driver(NamedTuple):
    database: Callable[[], Database]
    face: Callable[[LogicalConnection, Any, Any], Any]
    """Makes what looks like the driver's connection of the second argument; the third is the database."""


def _mysql() -> Database:
    from .pymysql import MySQL

    return MySQL()


def _pymysql(logical: LogicalConnection, driver: Any, _database: Any) -> Any:
    from .pymysql import connection_like

    return connection_like(driver, logical)


_POSTGRESQL: Final = _Driver(PostgreSQL, lambda logical, driver, _: PsycopgConnection(logical, driver))
_DRIVERS: Final = {
    "psycopg": _POSTGRESQL,
    "psycopg2": _POSTGRESQL,
    "pymysql": _Driver(_mysql, _pymysql),
    "pysqlite": _Driver(SQLite, SQLiteConnection),
}


def check_driver(name: str, engine: Engine) -> None:
    """Refuse to isolate the database *name* where it is not known how.

    Raises:
        IsolationError: with what to write instead.
    """
    if engine.dialect.driver not in _DRIVERS:
        known = ", ".join(_DRIVERS)
        raise IsolationError(
            f"Tests on the database {name!r} cannot be isolated: its driver is {engine.dialect.driver!r}, and it is known"
            f" how to share a connection of {known}. Use one of those, or mark the tests with uow_real_commits."
        )


def database_of(engine: Engine) -> Database:
    """What is particular to the database of *engine*."""
    return _DRIVERS[engine.dialect.driver].database()


def pool_like(pool: Pool, engine: Engine, shared: SharedConnection, database: Database) -> Pool:
    """A pool with the options and listeners of *pool*, the own one of *engine*, on a test's connection."""

    def connect() -> Any:
        return _DRIVERS[engine.dialect.driver].face(LogicalConnection(shared), shared.open(), database)

    isolated = pool.recreate()
    isolated._creator = connect
    # The last of the listeners: from here on it is used.
    event.listen(isolated, "connect", _connected)
    return isolated


def _connected(connection: Any, _record: ConnectionPoolEntry) -> None:
    if isinstance(connection, SQLiteConnection):
        connection.is_connecting = False
