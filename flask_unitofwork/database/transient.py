"""Failures that pass: the database asks for the same transaction once more."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from sqlalchemy.exc import DBAPIError

from ..exceptions import DoomedError

__all__ = ["is_transient"]

# SQL's own codes: serialization failure, and PostgreSQL's deadlock.
_SQLSTATES: Final = frozenset({"40001", "40P01"})

# What MySQL and MariaDB say: a deadlock; a lock wait timeout ("try restarting transaction"); a row that has changed since
# the transaction's first read (MariaDB's serialization failure at REPEATABLE READ).
_MYSQL: Final = frozenset({1213, 1205, 1020})

# Another connection has the lock, or has written since this one read.
_SQLITE: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def is_transient(error: BaseException | None) -> bool:
    """Whether *error* asks for the transaction to be run again.

    A serialization failure, a deadlock, a lock timeout of the kind that asks for it, SQLite's "database is locked", and
    a connection that was lost before COMMIT was sent. Also where such a failure was swallowed, and doomed the unit.
    """
    if isinstance(error, DoomedError):
        error = error.__cause__
    if not isinstance(error, DBAPIError):
        return False
    origin: Any = error.orig
    code = getattr(origin, "sqlite_errorcode", None)
    if code is not None:
        # A transaction that SQLite has ended by itself counts as a lost connection, but nothing would change.
        return code & 0xFF in _SQLITE
    if error.connection_invalidated:
        return True
    if (getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None)) in _SQLSTATES:
        return True
    arguments: tuple[Any, ...] = getattr(origin, "args", ())
    return bool(arguments) and arguments[0] in _MYSQL
