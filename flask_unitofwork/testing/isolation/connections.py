"""The connections of the tests in progress. Engines on the same database share one."""

from __future__ import annotations

from collections.abc import Generator, Hashable
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Final

from sqlalchemy import Engine

from ...config import DatabaseSettings
from ...database.memory import is_in_memory
from .database import Database
from .pools import database_of
from .shared import SharedConnection

__all__ = ["borrowed", "connection_of"]


@dataclass
class _Loan:
    shared: SharedConnection
    database: Database
    borrowers: int = 0


_lock: Final = Lock()
_loans: Final[dict[Hashable, _Loan]] = {}


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


def _key(settings: DatabaseSettings, engine: Engine) -> Hashable:
    """What tells a database, and how it is connected to, from others."""
    if engine.url.get_backend_name() == "sqlite" and is_in_memory(engine.url):
        return engine  # it is the engine's alone
    options = sorted((name, repr(value)) for name, value in settings.options.items())
    return engine.url, engine.dialect.driver, tuple(options)
