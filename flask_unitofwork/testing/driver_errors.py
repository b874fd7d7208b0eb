"""The errors of databases, by name: raised by the driver in use, with its own types, codes and messages.

Note: who raises them
    PostgreSQL, MySQL and MariaDB raise what they are asked to raise, so the error comes from the server itself, through
    the driver, and leaves the transaction as such an error does: on PostgreSQL nothing runs in it any more, and a
    deadlock on MySQL has rolled it back. SQLite raises nothing on demand, so there the driver's error is made here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, Final, Literal, NoReturn, get_args

from sqlalchemy import exc
from sqlalchemy.engine.interfaces import Dialect

__all__ = [
    "CHECKOUT_FAULTS",
    "FAULTS",
    "KNOWN_DIALECTS",
    "CheckoutFault",
    "FaultName",
    "connection_lost",
    "fail",
    "refuse",
]

FaultName = Literal[
    "serialization_failure",
    "deadlock",
    "lock_timeout",
    "statement_timeout",
    "unique_violation",
    "foreign_key_violation",
    "not_null_violation",
    "check_violation",
    "disconnect",
]
"""What a commit, a flush or a statement can fail with."""

CheckoutFault = Literal["disconnect", "too_many_connections", "pool_exhausted"]
"""What taking a connection can fail with."""

FAULTS: Final[tuple[FaultName, ...]] = get_args(FaultName)
CHECKOUT_FAULTS: Final[tuple[CheckoutFault, ...]] = get_args(CheckoutFault)

# SQLSTATE and message.
_POSTGRESQL: Final[Mapping[str, tuple[str, str]]] = {
    "serialization_failure": ("40001", "could not serialize access due to concurrent update"),
    "deadlock": ("40P01", "deadlock detected"),
    "lock_timeout": ("55P03", "canceling statement due to lock timeout"),
    "statement_timeout": ("57014", "canceling statement due to statement timeout"),
    "unique_violation": ("23505", 'duplicate key value violates unique constraint "provoked"'),
    "foreign_key_violation": ("23503", 'insert or update violates foreign key constraint "provoked"'),
    "not_null_violation": ("23502", 'null value in column "provoked" violates not-null constraint'),
    "check_violation": ("23514", 'new row violates check constraint "provoked"'),
}

# SQLSTATE, error number and message.
_MYSQL: Final[Mapping[str, tuple[str, int, str]]] = {
    "serialization_failure": ("40001", 1213, "Deadlock found when trying to get lock; try restarting transaction"),
    "deadlock": ("40001", 1213, "Deadlock found when trying to get lock; try restarting transaction"),
    "lock_timeout": ("HY000", 1205, "Lock wait timeout exceeded; try restarting transaction"),
    "statement_timeout": ("70100", 1969, "Query execution was interrupted (max_statement_time exceeded)"),
    "unique_violation": ("23000", 1062, "Duplicate entry 'provoked' for key 'provoked'"),
    "foreign_key_violation": ("23000", 1452, "Cannot add or update a child row: a foreign key constraint fails"),
    "not_null_violation": ("23000", 1048, "Column 'provoked' cannot be null"),
    "check_violation": ("23000", 4025, "CONSTRAINT `provoked` failed"),
}

# The driver's class, SQLite's code and its message.
_SQLITE: Final[Mapping[str, tuple[type[sqlite3.Error], int, str]]] = {
    "serialization_failure": (sqlite3.OperationalError, sqlite3.SQLITE_BUSY_SNAPSHOT, "database is locked"),
    "deadlock": (sqlite3.OperationalError, sqlite3.SQLITE_BUSY, "database is locked"),
    "lock_timeout": (sqlite3.OperationalError, sqlite3.SQLITE_BUSY, "database is locked"),
    "statement_timeout": (sqlite3.OperationalError, sqlite3.SQLITE_INTERRUPT, "interrupted"),
    "unique_violation": (
        sqlite3.IntegrityError,
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        "UNIQUE constraint failed: provoked",
    ),
    "foreign_key_violation": (
        sqlite3.IntegrityError,
        sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
        "FOREIGN KEY constraint failed",
    ),
    "not_null_violation": (
        sqlite3.IntegrityError,
        sqlite3.SQLITE_CONSTRAINT_NOTNULL,
        "NOT NULL constraint failed: provoked",
    ),
    "check_violation": (sqlite3.IntegrityError, sqlite3.SQLITE_CONSTRAINT_CHECK, "CHECK constraint failed: provoked"),
}

# What MySQL answers with a rollback of the whole transaction.
_ROLLED_BACK: Final = 1213

KNOWN_DIALECTS: Final = frozenset({"postgresql", "mysql", "mariadb", "sqlite"})
"""Databases whose errors are known here by name."""

_LOST: Final[Mapping[str, tuple[Any, ...]]] = {
    "postgresql": ("server closed the connection unexpectedly",),
    "mysql": (2013, "Lost connection to MySQL server during query"),
    "mariadb": (2013, "Lost connection to server during query"),
}
_REFUSED: Final[Mapping[str, tuple[Any, ...]]] = {
    "postgresql": ("connection failed: Connection refused. Is the server running and accepting TCP/IP connections?",),
    "mysql": (2003, "Can't connect to MySQL server (Connection refused)"),
    "mariadb": (2003, "Can't connect to server (Connection refused)"),
    "sqlite": ("unable to open database file",),
}
_FULL: Final[Mapping[str, tuple[Any, ...]]] = {
    "postgresql": ("connection failed: FATAL:  sorry, too many clients already",),
    "mysql": (1040, "Too many connections"),
    "mariadb": (1040, "Too many connections"),
    "sqlite": ("unable to open database file",),
}


def fail(name: FaultName, dialect: Dialect, cursor: Any, *, for_real: bool) -> NoReturn:
    """Raise the driver's error of that *name*.

    Args:
        name: which.
        dialect: the database's.
        cursor: the driver's, of the connection that fails.
        for_real: whether the server may end the connection. It may not where that is the test's own.

    Raises:
        Exception: always.
    """
    if name == "disconnect":
        _lose(dialect, cursor, for_real=for_real)
    elif dialect.name == "postgresql":
        _raise_in_postgresql(cursor, *_POSTGRESQL[name])
    elif dialect.name == "sqlite":
        raise _sqlite_error(*_SQLITE[name])
    else:
        state, number, message = _MYSQL[name]
        if number == _ROLLED_BACK:
            cursor.execute("ROLLBACK")
        cursor.execute(f"SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = %s", (message,))
    raise AssertionError(f"{dialect.name} did not raise a {name}")


def connection_lost(dialect: Dialect) -> Exception:
    """What the driver raises where its connection is gone."""
    driver: Any = dialect.loaded_dbapi
    if dialect.name == "sqlite":
        error: Exception = driver.ProgrammingError("Cannot operate on a closed database.")
    else:
        error = driver.OperationalError(*_LOST[dialect.name])
    return error


def refuse(name: CheckoutFault, dialect: Dialect) -> Exception:
    """What is raised where no connection can be had."""
    if name == "pool_exhausted":
        return exc.TimeoutError("QueuePool limit of size 5 overflow 10 reached, connection timed out", code="3o7r")
    driver: Any = dialect.loaded_dbapi
    error: Exception = driver.OperationalError(*(_REFUSED if name == "disconnect" else _FULL)[dialect.name])
    return error


def _lose(dialect: Dialect, cursor: Any, *, for_real: bool) -> NoReturn:
    if dialect.name == "postgresql" and for_real:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    raise connection_lost(dialect)


def _raise_in_postgresql(cursor: Any, state: str, message: str) -> None:
    quoted = message.replace("'", "''")
    cursor.execute(f"DO $provoked$ BEGIN RAISE EXCEPTION '%', '{quoted}' USING ERRCODE = '{state}'; END $provoked$")


def _sqlite_error(kind: type[sqlite3.Error], code: int, message: str) -> sqlite3.Error:
    error = kind(message)
    error.sqlite_errorcode = code
    error.sqlite_errorname = next(
        name for name, value in vars(sqlite3).items() if name.startswith("SQLITE_") and value == code
    )
    return error
