"""Isolation on PostgreSQL: what the test's connection does, with psycopg."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final, TypeVar

__all__ = ["FAILED", "IDLE", "IN_TRANSACTION", "PostgreSQL"]

R = TypeVar("R")

# What libpq knows of a transaction: PQTRANS_IDLE and its like.
IDLE: Final = 0
IN_TRANSACTION: Final = 2
FAILED: Final = 3

_SEQUENCES: Final = """
    SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename), last_value, start_value FROM pg_sequences
"""
_DEFERRED: Final = "SELECT connamespace::regnamespace::text, conname::text FROM pg_constraint WHERE condeferred"
_CHANGES_SCHEMA: Final = re.compile(r"\s*(?:CREATE|ALTER|DROP|DO)\b", re.IGNORECASE)
_DEFERS: Final = re.compile(r"\s*SET\s+CONSTRAINTS\b", re.IGNORECASE)


class PostgreSQL:
    """What is particular to PostgreSQL."""

    loses_work_at_errors = True

    def __init__(self) -> None:
        self._autocommit = False
        self._deferred: str | None = None
        self._checks = False

    def begin(self, connection: Any, savepoint: str | None) -> None:
        self._autocommit = connection.autocommit
        connection.autocommit = True  # nobody but this package sends BEGIN
        # In one round trip with what nearly every test will need.
        self._note_deferred(_execute(connection, f"BEGIN; SAVEPOINT {savepoint}; {_DEFERRED}"))

    def end(self, connection: Any) -> None:
        self.send(connection, "ROLLBACK")
        connection.autocommit = self._autocommit

    def send(self, connection: Any, statements: str) -> None:
        _execute(connection, statements)

    def is_in_transaction(self, connection: Any) -> bool:
        return not connection.closed and connection.info.transaction_status in {IN_TRANSACTION, FAILED}

    def check(self, statement: str) -> None:
        if _CHANGES_SCHEMA.match(statement):
            self._deferred = None
        elif _DEFERS.match(statement):
            self._checks = True

    def check_constraints(self, connection: Any) -> None:
        """Check what is deferred. Afterwards what is deferred from the start is deferred again."""
        if self._deferred is None:
            self._note_deferred(_execute(connection, _DEFERRED))
        if self._deferred or self._checks:
            again = f"; SET CONSTRAINTS {self._deferred} DEFERRED" if self._deferred else ""
            self.send(connection, f"SET CONSTRAINTS ALL IMMEDIATE{again}")
            self._checks = False

    def _note_deferred(self, rows: list[tuple[str, str]]) -> None:
        self._deferred = ", ".join(f"{schema}.{_quoted(name)}" for schema, name in rows)

    def run_repeatably(self, connection: Any, _statement: str, run: Callable[[], R]) -> tuple[R, Callable[[], None]]:
        before = _sequences(connection)
        result = run()

        def go_back() -> None:
            with closing(connection.cursor()) as cursor:
                for name, (last, start) in _sequences(connection).items():
                    was = before.get(name, (last, start))[0]
                    if was != last:
                        cursor.execute("SELECT setval(%s, %s, %s)", (name, was or start, was is not None))

        return result, go_back


def _sequences(connection: Any) -> dict[str, tuple[int | None, int]]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(_SEQUENCES)
        return {name: (last, start) for name, last, start in cursor.fetchall()}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _execute(connection: Any, statements: str) -> list[tuple[Any, ...]]:
    """Send one or more statements without parameters.

    By libpq's own function, which takes a third of the time of a cursor, and prepares nothing.

    Returns:
        The rows that the last of them has.

    Raises:
        Exception: the driver's error.
    """
    from psycopg.errors import error_from_result

    result = connection.pgconn.exec_(statements.encode())
    if result.error_message:
        raise error_from_result(result)
    columns = range(result.nfields)
    return [tuple(result.get_value(row, column).decode() for column in columns) for row in range(result.ntuples)]
