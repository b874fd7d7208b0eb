"""The connections of the tests in progress. Engines on the same database share one."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary, ref

from sqlalchemy import Engine

from ...config import DatabaseSettings
from ...database.memory import is_in_memory
from .database import Database
from .pools import database_of
from .shared import SharedConnection

__all__ = ["borrowed", "connection_of", "databases_of"]


@dataclass
class _Loan:
    shared: SharedConnection
    database: Database
    borrowers: int = 0


_lock: Final = Lock()
_loans: Final[dict[Hashable, _Loan]] = {}

# Neither an engine's URL nor its options change, and to compare URLs by their texts takes longer than the rest of this.
_keys: Final[WeakKeyDictionary[Engine, Hashable]] = WeakKeyDictionary()


@contextmanager
def borrowed(settings: DatabaseSettings, engine: Engine) -> Generator[tuple[SharedConnection, Database]]:
    """The test's connection to the database of *engine*, which has its own pool still. It is over with its last borrower."""
    key = _key(settings, engine)
    with _lock:
        loan = _loans.get(key)
        if loan is None:
            database = database_of(engine)
            loan = _loans[key] = _Loan(SharedConnection(engine, database), database)
        loan.borrowers += 1
    try:
        yield loan.shared, loan.database
    finally:
        with _lock:
            loan.borrowers -= 1
            is_last = not loan.borrowers
            if is_last:
                del _loans[key]
        if is_last:
            loan.shared.end()


def connection_of(settings: DatabaseSettings, engine: Engine) -> SharedConnection:
    """The connection that was borrowed for *engine*."""
    with _lock:
        return _loans[_key(settings, engine)].shared


def databases_of(engines: Mapping[str, Engine], settings: Mapping[str, DatabaseSettings]) -> frozenset[Hashable]:
    """What tells the databases of an app from others. Apps that have one in common share a test's connection to it."""
    return frozenset(_key(settings[name], engine) for name, engine in engines.items())


# What an engine's user says of the driver's connections. How they are pooled, logged and used is another matter.
_CONNECTING: Final = ("connect_args", "creator", "pool")


def _key(settings: DatabaseSettings, engine: Engine) -> Hashable:
    """What tells a database, and how it is connected to, from others."""
    key = _keys.get(engine)
    if key is None:
        key = _keys[engine] = _new_key(settings, engine)
    return key


def _new_key(settings: DatabaseSettings, engine: Engine) -> Hashable:
    url = engine.url
    if url.get_backend_name() == "sqlite" and is_in_memory(url):
        return ref(engine)  # it is the engine's alone
    # "mysql" or "mariadb", a driver that is named or is the usual one: it leads to the same place.
    address = url.set(drivername=engine.dialect.driver).render_as_string(hide_password=False)
    return address, *(repr(settings.options.get(name)) for name in _CONNECTING)
