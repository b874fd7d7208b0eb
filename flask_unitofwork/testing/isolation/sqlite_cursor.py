"""Cursors of isolated tests on SQLite: they have all their rows at once."""

from __future__ import annotations

import re
import sqlite3
from collections import deque
from collections.abc import Iterator
from typing import Any

from .proxies import CursorProxy

__all__ = ["SQLiteCursor", "rows_of"]


def rows_of(cursor: Any) -> deque[Any]:
    """The rows that are left in the driver's *cursor*, whose statement is over then."""
    return deque(cursor.fetchall() if cursor.description is not None else ())


class SQLiteCursor(CursorProxy):
    """A cursor that has all its rows at once: SQLite finds each when it is asked for, and others may write meanwhile."""

    _own = CursorProxy._own | {"_rows"}

    def __init__(self, connection: Any, driver: Any, execute: Any) -> None:
        super().__init__(connection, driver, execute)
        self._rows: deque[Any] = deque()

    def execute(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        self._rows.clear()
        return super().execute(statement, *arguments, **options)

    def _result(self, result: Any) -> Any:
        if result is self._driver:
            self._rows = self.connection.rows
        return self

    def executescript(self, script: str) -> Any:
        if self.connection.in_transaction:
            self.connection.commit()
        statement = ""
        for piece in re.split(r"(?<=;)", script):
            statement += piece
            if sqlite3.complete_statement(statement):
                self.execute(statement)
                statement = ""
        if statement.strip():
            self.execute(statement)
        return self

    def fetchone(self) -> Any:
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        wanted = self._driver.arraysize if size is None else size
        return [self._rows.popleft() for _ in range(min(wanted, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        rows = list(self._rows)
        self._rows.clear()
        return rows

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._rows:
            raise StopIteration
        return self._rows.popleft()
