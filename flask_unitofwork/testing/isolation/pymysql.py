"""Isolation on MySQL and MariaDB, with PyMySQL: what the test's connection does, and what looks like one of the driver's.

Note: where the user's connection ends
    PyMySQL's cursors, and those who subclass its connection, send statements with ``Connection.query`` and read the answer
    from the connection. So here a connection of the same class ends in one whose `query` asks the test's connection, and
    whose status is that of the user's transaction. ``_result``, ``_sock`` and ``_rfile`` are private: they hold the answer
    and the socket. ``tests/testing/test_isolated_drivers.py`` fails if they change.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pymysql import cursors
from pymysql.connections import Connection, MySQLResult
from pymysql.constants import SERVER_STATUS
from pymysql.err import InterfaceError, OperationalError

from ...database.statements import Effect, effect_of_text
from ...exceptions import IsolationError
from .commands import check_script, command_of
from .logical import LogicalConnection
from .xa import TwoPhases, asks_for_prepared, prepared_as_query

__all__ = ["MySQL", "connection_like", "move"]

R = TypeVar("R")

if TYPE_CHECKING:
    _Driver = Connection[Any]
else:
    _Driver = Connection

_COMMITS: Final = re.compile(
    r"""
    (?: \s | --[^\n]*\n | /\*(?!M?!).*?\*/ )*
    (?: (?:CREATE (?: \s+ OR \s+ REPLACE )? | DROP | ALTER) \s+ (?!TEMPORARY\b)
      | (?:TRUNCATE | RENAME | GRANT | REVOKE | ANALYZE | OPTIMIZE | REPAIR | CHECK | FLUSH | INSTALL | UNINSTALL
        | LOCK \s+ TABLES? | UNLOCK \s+ TABLES? | CACHE \s+ INDEX | LOAD \s+ INDEX | RESET ) \b
    )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_AUTOCOMMIT: Final = re.compile(
    r"\s*SET\s+(?:(?:SESSION|LOCAL)\s+|@@(?:SESSION\.)?)?AUTOCOMMIT\s*=\s*(\w+)\s*\Z", re.IGNORECASE
)
_CHARACTERISTICS: Final = re.compile(r"\s*SET\s+TRANSACTION\s+(?P<what>.*)", re.IGNORECASE | re.DOTALL)
_SESSION_LEVEL: Final = re.compile(r"\s*SET\s+SESSION\s+TRANSACTION\s+ISOLATION\b", re.IGNORECASE)
_INSERTS: Final = re.compile(r"\s*(?:INSERT|REPLACE)\b", re.IGNORECASE)

# ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
_READ_ONLY: Final = (1792, "Cannot execute statement in a READ ONLY transaction")

_WITHOUT_TRANSACTIONS: Final = """
    SELECT table_name, engine FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND engine NOT IN (
        SELECT engine FROM information_schema.engines WHERE transactions = 'YES'
    )
"""

# Rows that a cursor of the one kind gets one after the other, the other kind has at once.
_BUFFERED: Final = {cursors.SSCursor: cursors.Cursor, cursors.SSDictCursor: cursors.DictCursor}

_checked: Final[set[tuple[Any, ...]]] = set()


class MySQL:
    """What is particular to MySQL and MariaDB."""

    loses_work_at_errors = False

    def begin(self, connection: Any, savepoint: str | None) -> None:
        address = (connection.host, connection.port, connection.unix_socket, connection.db)
        if address not in _checked:
            self._check_engines(connection)
            _checked.add(address)
        self.send(connection, "BEGIN")
        if savepoint is not None:
            self.send(connection, f"SAVEPOINT {savepoint}")

    def _check_engines(self, connection: Any) -> None:
        """Look for tables that no rollback would reach.

        Raises:
            IsolationError: there are some.
        """
        rows = _rows(connection, _WITHOUT_TRANSACTIONS)
        if rows:
            tables = ", ".join(f"{table} ({engine})" for table, engine in rows)
            raise IsolationError(
                f"What a test writes into these tables cannot be rolled back, because their engine has no transactions:"
                f" {tables}. Make them InnoDB (ALTER TABLE {rows[0][0]} ENGINE = InnoDB), or mark the tests that use the"
                " database with uow_real_commits."
            )

    def wait_for_beginning(self, connection: Any) -> None:
        """PyMySQL has waited."""

    def end(self, connection: Any) -> None:
        self.send(connection, "ROLLBACK")

    def send(self, connection: Any, statements: str) -> None:
        Connection.query(connection, statements)

    def check_alive(self, connection: Any) -> None:
        """Nothing is put off."""

    def is_in_transaction(self, connection: Any) -> bool:
        return bool(connection.open and connection.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    def check(self, statement: str) -> None:
        if _COMMITS.match(statement):
            raise IsolationError(
                "MySQL and MariaDB commit before they run this statement, so the test could not be rolled back:"
                f" {statement}. Make the schema before the tests, or mark the test with uow_real_commits."
            )

    def check_constraints(self, connection: Any) -> None:
        """There are none that wait for COMMIT."""

    def run_repeatably(self, connection: Any, statement: str, run: Callable[[], R]) -> tuple[R, Callable[[], None]]:
        if not _INSERTS.match(statement):
            return run(), _nothing
        # A table that gives no numbers leaves the last one as it was: so first there is none.
        ((last, _),) = _rows(connection, "SELECT LAST_INSERT_ID(), LAST_INSERT_ID(0)")
        result = run()
        ((number,),) = _rows(connection, "SELECT LAST_INSERT_ID()")
        if not number:
            _rows(connection, f"SELECT LAST_INSERT_ID({last})")

        def go_back() -> None:
            if number:
                self.send(connection, f"SET INSERT_ID = {number}")

        return result, go_back


class _Wire(_Driver):
    """Where a user's connection ends, and the test's begins."""

    _logical: LogicalConnection
    _shared: Any
    _commits_each: bool
    _next_is_read_only: bool
    _two_phases: TwoPhases

    def query(self, sql: Any, unbuffered: bool = False) -> int:  # noqa: ARG002  who asks for rows has them at once
        if self._logical.is_closed:
            raise InterfaceError(0, "")
        text = sql if isinstance(sql, str) else bytes(sql).decode(errors="surrogateescape")
        self._result = self._answer(text, sql) or MySQLResult(self)
        self._tell_status()
        affected: int = self._result.affected_rows or 0
        self._affected_rows = affected
        return affected

    def _answer(self, text: str, sql: Any) -> Any:
        logical, command = self._logical, command_of(text)
        if command is None and self._two_phases.obey(text, logical, commits_each=self._commits_each):
            return None
        effect = effect_of_text(text, backslash_escapes=True)
        self._two_phases.check(command, effect)
        if command is not None and logical.obey(command):
            return None
        if command is None and self._choose(text):
            return None
        check_script(text, backslash_escapes=True)
        if asks_for_prepared(text):
            text = sql = prepared_as_query(logical.shared.prepared)
            effect = Effect.READ
        if not self._commits_each and effect is not Effect.CONTROL:
            logical.begin(read_only=self._next_is_read_only)
            self._next_is_read_only = False
        if effect is Effect.WRITE and logical.transaction is not None and logical.transaction.read_only:
            raise OperationalError(*_READ_ONLY)

        def send() -> Any:
            Connection.query(self._shared, sql)
            return self._shared._result

        return logical.run(text, effect, send, send)

    def _choose(self, text: str) -> bool:
        """Do what a statement says of transactions to come. How much they see of others is the test's to say."""
        autocommit = _AUTOCOMMIT.match(text)
        if autocommit is not None:
            self._commits_each = autocommit[1].upper() in {"1", "ON", "TRUE"}
            if self._commits_each:
                self._logical.commit()
            return True
        characteristics = _CHARACTERISTICS.match(text)
        if characteristics is not None:
            self._next_is_read_only = "READ ONLY" in " ".join(characteristics["what"].upper().split())
            return True
        return _SESSION_LEVEL.match(text) is not None

    def begin(self) -> None:
        self._two_phases.check_end()
        self._logical.commit()
        self._logical.begin(read_only=self._next_is_read_only)
        self._next_is_read_only = False
        self._tell_status()

    def commit(self) -> None:
        self._two_phases.check_end()
        self._logical.commit()
        self._tell_status()

    def rollback(self) -> None:
        self._two_phases.check_end()
        self._logical.rollback()
        self._tell_status()

    def autocommit(self, value: bool) -> None:
        self.autocommit_mode = bool(value)
        self._choose(f"SET AUTOCOMMIT = {int(value)}")
        self._tell_status()

    def get_autocommit(self) -> bool:
        return self._commits_each

    def ping(self, reconnect: Any = True) -> None:  # noqa: ARG002  a lost connection takes the test's work with it
        self._shared.ping(False)

    def cursor(self, cursor: Any = None) -> Any:
        kind = cursor or self.cursorclass
        return _BUFFERED.get(kind, kind)(self)

    def close(self) -> None:
        self._logical.close()
        self._force_close()

    def _force_close(self) -> None:
        self._sock = self._rfile = None  # they are the test's, and go on

    __del__ = _force_close

    def _tell_status(self) -> None:
        status = self._shared.server_status
        for flag, is_set in (
            (
                SERVER_STATUS.SERVER_STATUS_IN_TRANS,
                self._logical.transaction is not None or self._two_phases.is_in_progress,
            ),
            (SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT, self._commits_each),
        ):
            status = status | flag if is_set else status & ~flag
        self.server_status = status


def connection_like(driver: Any, logical: LogicalConnection) -> Any:
    """A connection of the same class as *driver*, the test's own, with transactions of its own."""
    kind = type(driver)
    bases = (_Wire,) if kind is Connection else (kind, _Wire)
    face: Any = object.__new__(type(kind.__name__, bases, {"__del__": _Wire.__del__}))
    move(face, logical, driver)
    return face


def move(face: Any, logical: LogicalConnection, driver: Any) -> None:
    """Let *face* be on *driver* from now on, as if it had just connected."""
    face.__dict__.update(driver.__dict__)
    face._logical, face._shared, face._next_is_read_only = logical, driver, False
    face._commits_each = _starts_in_autocommit(driver)
    face._two_phases, face._result = TwoPhases(), None
    face._tell_status()


def _starts_in_autocommit(driver: Any) -> bool:
    # What PyMySQL was told to do on connecting; the server's own default is autocommit.
    return driver.autocommit_mode is not False


def _nothing() -> None:
    """The statement gives rows no numbers."""


def _rows(connection: Any, question: str) -> list[tuple[Any, ...]]:
    Connection.query(connection, question)
    return list(connection._result.rows)
