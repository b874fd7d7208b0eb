"""Pools whose connections are all the test's one.

Note: what is kept between tests
    To make such a pool and what looks like connections takes longer than a small test. So an engine's is kept, and its
    connections are given the next test's when they are checked out. One that somebody has kept from an earlier test is
    not checked out again, and refuses to be used.

Note: a private name of SQLAlchemy's
    A pool like an engine's own, with the same options and listeners, is what ``Pool.recreate()`` gives. That it makes its
    connections in another way has no public name: ``Pool._creator``. ``tests/testing/test_isolation_of_engines.py``
    fails if it changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from ...exceptions import IsolationError
from .database import Database
from .logical import LogicalConnection
from .postgresql import PostgreSQL
from .proxies import ConnectionProxy
from .psycopg import PsycopgConnection
from .shared import SharedConnection
from .sqlite import SQLite, SQLiteConnection

__all__ = ["check_driver", "database_of", "forget_pool", "pool_like"]

# What a pool tells its listeners.
_EVENTS: Final = ("connect", "first_connect", "checkout", "checkin", "reset", "invalidate", "soft_invalidate", "close")


class _Driver(NamedTuple):
    database: Callable[[], Database]
    face: Callable[[LogicalConnection, Any, Any], Any]
    """Makes what looks like the driver's connection of the second argument; the third is the database."""
    move: Callable[[Any, LogicalConnection, Any, Any], None]
    """Lets what looks like a connection be on another of the driver's."""


def _mysql() -> Database:
    from .pymysql import MySQL

    return MySQL()


def _pymysql(logical: LogicalConnection, driver: Any, _database: Any) -> Any:
    from .pymysql import connection_like

    return connection_like(driver, logical)


def _move_pymysql(face: Any, logical: LogicalConnection, driver: Any, _database: Any) -> None:
    from .pymysql import move

    move(face, logical, driver)


def _move(face: Any, logical: LogicalConnection, driver: Any, database: Any) -> None:
    face.move(logical, driver, database)


_DRIVERS: Final = {
    "psycopg": _Driver(PostgreSQL, lambda logical, driver, _: PsycopgConnection(logical, driver), _move),
    "pymysql": _Driver(_mysql, _pymysql, _move_pymysql),
    "pysqlite": _Driver(SQLite, SQLiteConnection, _move),
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


class IsolatedPool:
    """A pool like an engine's own, whose connections are those of the tests in progress, one after the other.

    Attributes:
        pool: the pool.
    """

    def __init__(self, pool: Pool, driver: str) -> None:
        self._driver = _DRIVERS[driver]
        self._shared: SharedConnection | None = None
        self._database: Database | None = None
        self._listeners = _listeners(pool)
        self.pool = pool.recreate()
        self.pool._creator = self._connect
        event.listen(self.pool, "connect", _connected)  # the last of the listeners: from here on it is used
        event.listen(self.pool, "checkout", self._check_out, insert=True)

    def is_like(self, pool: Pool) -> bool:
        """Whether *pool* has the listeners that it had."""
        return self._listeners == _listeners(pool)

    def use(self, shared: SharedConnection, database: Database) -> None:
        """From now on connections are those of another test."""
        self._shared, self._database = shared, database

    def _connect(self) -> Any:
        assert self._shared is not None
        logical = LogicalConnection(self._shared)
        return self._driver.face(logical, self._shared.connect(), self._database)

    def _check_out(self, face: Any, _record: ConnectionPoolEntry, _proxied: object) -> None:
        assert self._shared is not None
        if face._logical.shared is not self._shared:
            self._driver.move(face, LogicalConnection(self._shared), self._shared.connect(), self._database)


_kept: Final[WeakKeyDictionary[Engine, IsolatedPool]] = WeakKeyDictionary()


def pool_like(pool: Pool, engine: Engine, shared: SharedConnection, database: Database) -> Pool:
    """A pool with the options and listeners of *pool*, the own one of *engine*, on a test's connection."""
    isolated = _kept.get(engine)
    if isolated is None or not isolated.is_like(pool):
        isolated = _kept[engine] = IsolatedPool(pool, engine.dialect.driver)
    isolated.use(shared, database)
    return isolated.pool


def forget_pool(engine: Engine) -> None:
    """Keep none for *engine*: what it had was disposed of."""
    _kept.pop(engine, None)


def _listeners(pool: Pool) -> list[int]:
    dispatch = pool.dispatch
    return [len(getattr(dispatch, name)) for name in _EVENTS]


def _connected(connection: Any, _record: ConnectionPoolEntry) -> None:
    if isinstance(connection, ConnectionProxy):
        connection.is_connecting = False
