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
_THERE: Final = frozenset({IN_TRANSACTION, FAILED})

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
        self._deferred: str | None = None
        self._checks = False

    def begin(self, connection: Any, savepoint: str | None) -> None:
        # Sent by libpq, so that psycopg, which looks whether a transaction is in progress, sends none of its own.
        # In one round trip with what nearly every test will need; the answer comes while SQLAlchemy makes its statement.
        connection.pgconn.send_query(f"BEGIN; SAVEPOINT {savepoint}; {_DEFERRED}".encode())

    def wait_for_beginning(self, connection: Any) -> None:
        self._note_deferred(_rows(_answers(connection)))

    def end(self, connection: Any) -> None:
        self.send(connection, "ROLLBACK")  # whose answer libpq gives when it has thrown away those before it

    def send(self, connection: Any, statements: str) -> None:
        _execute(connection, statements)

    def check_alive(self, connection: Any) -> None:
        for _ in range(2):  # what the server says before it hangs up, and that it does
            connection.pgconn.consume_input()

    def is_in_transaction(self, connection: Any) -> bool:
        return connection.pgconn.transaction_status in _THERE  # libpq says of one that is closed that it does not know

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
    return _rows([connection.pgconn.exec_(statements.encode())])


def _answers(connection: Any) -> list[Any]:
    """Wait for what the server says to `send_query`. libpq's own function for that would keep other threads waiting, too."""
    from psycopg.generators import fetch_many

    results: list[Any] = connection.wait(fetch_many(connection.pgconn))
    return results


def _rows(results: list[Any]) -> list[tuple[Any, ...]]:
    """The rows of the last of *results*.

    Raises:
        Exception: the driver's error, where one is none.
    """
    from psycopg.errors import error_from_result

    for result in results:
        if result.error_message:
            raise error_from_result(result)
    last = results[-1]
    columns = range(last.nfields)
    return [tuple(last.get_value(row, column).decode() for column in columns) for row in range(last.ntuples)]
