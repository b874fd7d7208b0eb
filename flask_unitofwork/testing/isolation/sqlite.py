"""Isolation on SQLite: what the test's connection does, and what looks like one of the driver's.

Note: one writer
    SQLite has one writer at a time, which others wait for (``busy_timeout``). So have isolated tests: who would write
    while another transaction has its turn is told that the database is locked, as in production; at once where it is
    the same thread that has it, since nobody could end that transaction meanwhile.
"""

from __future__ import annotations

import re
import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

from ...database.statements import Effect, effect_of_text
from .commands import Command, Verb, command_of
from .journal import Transaction
from .logical import LogicalConnection
from .proxies import ConnectionProxy
from .sqlite_cursor import SQLiteCursor, rows_of

__all__ = ["SQLite", "SQLiteConnection"]

R = TypeVar("R")

_DML: Final = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)
_QUERY_ONLY: Final = re.compile(r"\s*PRAGMA\s+query_only\s*=\s*(?P<value>\w+)", re.IGNORECASE)
_PRAGMA: Final = re.compile(r"\s*PRAGMA\b", re.IGNORECASE)
_DEFERS: Final = re.compile(r"\s*PRAGMA\s+defer_foreign_keys\b", re.IGNORECASE)
_TRUE: Final = frozenset({"1", "ON", "TRUE", "YES"})

Violations = frozenset[tuple[Any, ...]]


class SQLite:
    """What is particular to SQLite."""

    loses_work_at_errors = False

    def __init__(self) -> None:
        self._user: SQLiteConnection | None = None
        self._query_only = False
        self._progress_handler: tuple[Any, int] = (None, 0)
        self._schema = -1
        self._defers = False
        self._violations: Violations = frozenset()

    def begin(self, connection: Any, savepoint: str | None) -> None:
        if not connection.in_transaction:
            connection.execute("BEGIN")
        if savepoint is not None:
            self.send(connection, f"SAVEPOINT {savepoint}")

    def wait_for_beginning(self, connection: Any) -> None:
        """There is no server."""

    def end(self, connection: Any) -> None:
        connection.rollback()
        if self._query_only:
            connection.execute("PRAGMA query_only = OFF")

    def send(self, connection: Any, statements: str) -> None:
        connection.execute(statements)

    def check_alive(self, connection: Any) -> None:
        """There is no server."""

    def is_in_transaction(self, connection: Any) -> bool:
        in_transaction: bool = connection.in_transaction
        return in_transaction

    def check(self, statement: str) -> None:
        if _DEFERS.match(statement):
            self._defers = True

    def check_constraints(self, connection: Any) -> None:
        """Check foreign keys, where some are deferred: SQLite itself looks at them at the test's end only."""
        (schema,) = connection.execute("PRAGMA schema_version").fetchone()
        if schema != self._schema:
            self._schema = schema
            question = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE sql LIKE '%DEFERRED%')"
            self._defers = bool(connection.execute(question).fetchone()[0])
        (enforced,) = connection.execute("PRAGMA foreign_keys").fetchone()
        if not (self._defers and enforced):
            return
        violations: Violations = frozenset(connection.execute("PRAGMA foreign_key_check").fetchall())
        if violations - self._violations:
            raise _error(sqlite3.IntegrityError, "FOREIGN KEY constraint failed", "SQLITE_CONSTRAINT_FOREIGNKEY")

    def run_repeatably(self, _connection: Any, _statement: str, run: Callable[[], R]) -> tuple[R, Callable[[], None]]:
        return run(), _nothing

    def serve(self, user: SQLiteConnection, connection: Any) -> None:
        """Let *connection* be as *user* has set it."""
        if self._user is user:
            return
        self._user = user
        if self._query_only is not user.query_only:
            self._query_only = user.query_only
            connection.execute(f"PRAGMA query_only = {'ON' if user.query_only else 'OFF'}")
        if self._progress_handler != user.progress_handler:
            self._progress_handler = user.progress_handler
            connection.set_progress_handler(*user.progress_handler)

    def settings_changed(self) -> None:
        """A connection is to be as its user has set it from now on."""
        self._user = None


class SQLiteConnection(ConnectionProxy):
    """A connection of ``sqlite3``, with transactions of its own.

    Attributes:
        query_only: whether its user lets the database refuse writes.
        progress_handler: what its user lets the database call now and then, and how often.
        rows: what its latest statement returned.
    """

    _own = ConnectionProxy._own | {
        "_database",
        "_level",
        "progress_handler",
        "query_only",
        "rows",
    }

    def __init__(self, logical: LogicalConnection, driver: Any, database: SQLite) -> None:
        super().__init__(logical, driver)
        self._database = database
        self._level: str | None = driver.isolation_level
        self.query_only = False
        self.progress_handler: tuple[Any, int] = (None, 0)
        self.rows: deque[Any] = deque()

    def move(self, logical: LogicalConnection, driver: Any, database: SQLite) -> None:
        super().move(logical, driver, database)
        self._database = database

    @property
    def in_transaction(self) -> bool:
        return self._logical.transaction is not None

    @property
    def isolation_level(self) -> str | None:
        return self._level

    @isolation_level.setter
    def isolation_level(self, value: str | None) -> None:
        if value is None:
            self.commit()
        self._level = value

    def set_progress_handler(self, handler: Any, n: int) -> None:
        self.progress_handler = (handler, n)
        self._database.settings_changed()

    def create_function(self, *arguments: Any, **options: Any) -> None:
        # SQLAlchemy makes some on each connection, which SQLite refuses while a statement runs on the one that there is.
        if not self.is_connecting:
            self._logical.shared.ask(lambda driver: driver.create_function(*arguments, **options))

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        self._check_open()
        return SQLiteCursor(self, self._driver.cursor(*arguments, **options), self._execute)

    def execute(self, statement: str, *arguments: Any) -> Any:
        """What ``sqlite3`` has for those who need no cursor."""
        return self.cursor().execute(statement, *arguments)

    def executemany(self, statement: str, *arguments: Any) -> Any:
        """What ``sqlite3`` has for those who need no cursor."""
        return self.cursor().executemany(statement, *arguments)

    def executescript(self, script: str) -> Any:
        """What ``sqlite3`` has for several statements: what is in progress is committed first."""
        return self.cursor().executescript(script)

    def _execute(self, text: str, _parameters: Any, send: Callable[[Any], Any], cursor: Any) -> Any:
        self._check_open()
        command = command_of(text)
        if command is not None and self._obey(command):
            return None
        choice = _QUERY_ONLY.match(text)
        if choice is not None:
            self.query_only = choice["value"].upper() in _TRUE
            self._database.settings_changed()
            return None
        effect = effect_of_text(text)
        transaction = self._logical.transaction
        if transaction is None and self._level is not None and _DML.match(text):
            transaction = self._logical.begin()
        if _PRAGMA.match(text):
            effect = Effect.READ  # most set something of the connection, which no transaction keeps or undoes
        elif effect >= Effect.LOCK and not self.query_only:
            self._take_turn(transaction)
        try:
            return self._logical.run(text, effect, lambda: self._send(send, cursor), lambda: self._send_again(send))
        except self._driver.OperationalError:
            if self.is_connecting and _PRAGMA.match(text):
                return None  # it has no place in a transaction, and the test's connection has had it before
            raise

    def _send(self, send: Callable[[Any], Any], cursor: Any) -> Any:
        self._database.serve(self, self._driver)
        result = send(cursor)
        # As long as there are rows to come the statement is in progress, and no other thread could begin a savepoint.
        self.rows = rows_of(cursor)
        return result

    def _send_again(self, send: Callable[[Any], Any]) -> None:
        self._database.serve(self, self._driver)
        cursor = self._driver.cursor()
        send(cursor)
        rows_of(cursor)

    def _obey(self, command: Command) -> bool:
        if command.verb is Verb.BEGIN:
            if self.in_transaction:
                raise _error(
                    sqlite3.OperationalError, "cannot start a transaction within a transaction", "SQLITE_ERROR"
                )
            transaction = self._logical.begin()
            if {"IMMEDIATE", "EXCLUSIVE"} & set(command.options.split()):
                try:
                    self._take_turn(transaction)
                except sqlite3.OperationalError:
                    self._logical.rollback()
                    raise
        elif command.verb in {Verb.COMMIT, Verb.ROLLBACK} and not self.in_transaction:
            what = "commit" if command.verb is Verb.COMMIT else "rollback"
            raise _error(sqlite3.OperationalError, f"cannot {what} - no transaction is active", "SQLITE_ERROR")
        return self._logical.obey(command)

    def _take_turn(self, transaction: Transaction | None) -> None:
        shared = self._logical.shared
        (milliseconds,) = shared.ask(lambda driver: driver.execute("PRAGMA busy_timeout").fetchone())
        if not shared.take_turn(transaction, milliseconds / 1000):
            raise _error(sqlite3.OperationalError, "database is locked", "SQLITE_BUSY")

    def _check_open(self) -> None:
        if self._logical.is_closed:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")


def _error(kind: type[sqlite3.Error], message: str, name: str) -> sqlite3.Error:
    error = kind(message)
    error.sqlite_errorcode = getattr(sqlite3, name)
    error.sqlite_errorname = name
    return error


def _nothing() -> None:
    """Rows are given numbers by what is there."""
