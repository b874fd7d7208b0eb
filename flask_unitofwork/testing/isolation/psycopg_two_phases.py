"""Commits of two phases by psycopg, on a test's connection.

Nothing is prepared in the database: it would be there after the test, with its locks. What is here looks like it to the
code, and to whoever asks ``pg_prepared_xacts``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from .commands import Command, Verb
from .logical import LogicalConnection
from .prepared import PreparedTransactions
from .proxies import ConnectionProxy

__all__ = ["PREPARED_VIEW", "TwoPhases", "with_prepared"]

PREPARED_VIEW: Final = "pg_prepared_xacts"
"""PostgreSQL's view of what is prepared."""

_QUALIFIED: Final = re.compile(rf"\bpg_catalog\s*\.\s*{PREPARED_VIEW}\b")
_QUERY: Final = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?P<verb>SELECT\b|WITH\s+(?:RECURSIVE\s+)?)", re.DOTALL | re.IGNORECASE
)


class TwoPhases(ConnectionProxy):
    """What psycopg has for commits of two phases.

    Attributes:
        read_only: what its user chose for the next transactions.
    """

    _own = ConnectionProxy._own | {"_autocommit", "_two_phases", "read_only"}

    def __init__(self, logical: LogicalConnection, driver: Any) -> None:
        super().__init__(logical, driver)
        self._autocommit = False
        self.read_only: Any = None
        # The name of the transaction in progress, where it is one of two phases, and whether it is prepared.
        self._two_phases: tuple[str, bool] | None = None

    def move(self, logical: LogicalConnection, driver: Any, database: Any) -> None:
        super().move(logical, driver, database)
        self._two_phases = None

    def tpc_begin(self, xid: object) -> None:
        if self._two_phases is not None or self._logical.transaction is not None:
            raise self._errors.ProgrammingError("can't start two-phase transaction: connection in transaction")
        if self._autocommit:
            raise self._errors.ProgrammingError("can't use two-phase transactions in autocommit mode")
        self._two_phases = (str(xid), False)
        self._logical.begin(read_only=bool(self.read_only))

    def tpc_prepare(self) -> None:
        if self._two_phases is None or self._two_phases[1]:
            raise self._errors.ProgrammingError("tpc_prepare() must be called inside a two-phase transaction")
        name, _ = self._two_phases
        self._two_phases = (name, True)
        self._prepare(name)

    def tpc_commit(self, xid: object = None) -> None:
        self._finish(xid, self._logical.commit, self._logical.commit_prepared)

    def tpc_rollback(self, xid: object = None) -> None:
        self._finish(xid, self._logical.rollback, self._logical.rollback_prepared)

    def tpc_recover(self) -> list[Any]:
        return [self._errors.Xid.from_string(name) for name, _ in self._logical.shared.prepared]

    def commit(self) -> None:
        self._check_one_phase("commit")
        super().commit()

    def rollback(self) -> None:
        self._check_one_phase("rollback")
        super().rollback()

    @property
    def _errors(self) -> Any:
        """The driver's module, which has its errors. It may not be installed where this is imported."""
        return import_module("psycopg")

    def _check_one_phase(self, what: str) -> None:
        if self._two_phases is not None:
            raise self._errors.ProgrammingError(f"{what}() cannot be used during a two-phase transaction")

    def _finish(self, xid: object, finish: Callable[[], None], finish_prepared: Callable[[str], bool]) -> None:
        own = self._two_phases
        if (own is None) is (xid is None):
            where = "outside" if own is not None else "inside"
            raise self._errors.ProgrammingError(f"a transaction is committed or rolled back {where} a two-phase one")
        if own is not None and not own[1]:
            self._two_phases = None
            finish()
            return
        name = str(xid) if own is None else own[0]
        if not finish_prepared(name):
            raise self._no_such(name)
        self._two_phases = None

    def _settle(self, command: Command) -> bool:
        """Do what the text of a statement says of two phases; False if it says nothing of them."""
        logical = self._logical
        if command.verb is Verb.PREPARE:
            if logical.transaction is not None:
                self._prepare(command.name)  # without one, PostgreSQL warns and does nothing
            return True
        if command.verb not in {Verb.COMMIT_PREPARED, Verb.ROLLBACK_PREPARED}:
            return False
        if logical.transaction is not None or not self._autocommit:
            logical.begin().failed = True
            message = f"{command.verb.value} cannot run inside a transaction block"
            raise self._errors.errors.ActiveSqlTransaction(message)
        commits = command.verb is Verb.COMMIT_PREPARED
        if not (logical.commit_prepared if commits else logical.rollback_prepared)(command.name):
            raise self._no_such(command.name)
        return True

    def _prepare(self, name: str) -> None:
        if name in self._logical.shared.prepared:
            self._logical.rollback()
            raise self._errors.errors.DuplicateObject(f'transaction identifier "{name}" is already in use')
        self._logical.prepare(name)

    def _no_such(self, name: str) -> Exception:
        message = f'prepared transaction with identifier "{name}" does not exist'
        error: Exception = self._errors.errors.UndefinedObject(message)
        return error


def with_prepared(query: str, prepared: PreparedTransactions) -> str:
    """*query* with the test's transactions in the place of those that are prepared in the database, if it asks for them."""
    head = _QUERY.match(query) if PREPARED_VIEW in query else None
    if head is None:
        return query
    # The names as hexadecimal digits: they may have quotes in them, or what looks like a parameter.
    rows = [
        f"('0'::xid, convert_from(decode('{name.encode().hex()}', 'hex'), 'utf8'),"
        f" to_timestamp({one.since.timestamp()}), current_user::name, current_database()::name)"
        for name, one in prepared
    ] or ["(NULL::xid, NULL::text, NULL::timestamptz, NULL::name, NULL::name)"]
    known = f"(VALUES {', '.join(rows)}) AS known (t, g, p, o, d) WHERE g IS NOT NULL"
    view = f"{PREPARED_VIEW} (transaction, gid, prepared, owner, database) AS (SELECT * FROM {known})"  # noqa: S608
    query = _QUALIFIED.sub(PREPARED_VIEW, query)
    if head["verb"].upper() == "SELECT":
        return f"WITH {view} {query}"
    return f"{query[: head.end()]}{view}, {query[head.end() :]}"
