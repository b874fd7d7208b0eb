"""Commits of two phases on MySQL and MariaDB (``XA START`` and the like), on a test's connection.

Nothing is prepared in the database: it would be there after the test, with its locks. What is here looks like it to the
code, and to whoever asks by ``XA RECOVER``.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, NoReturn

from pymysql.err import OperationalError

from ...database.statements import Effect
from ...exceptions import IsolationError
from .commands import Command, Verb
from .logical import LogicalConnection
from .prepared import Prepared, PreparedTransactions

__all__ = ["TwoPhases", "asks_for_prepared", "prepared_as_query"]


class State(Enum):
    """Of the XA transaction that a connection has; the values are the server's words."""

    NONE = "NON-EXISTING"
    ACTIVE = "ACTIVE"
    IDLE = "IDLE"
    """It has ended, and is not yet prepared."""
    PREPARED = "PREPARED"


# In which state a statement is right, where it is about the connection's own transaction.
_RIGHT: Final = {
    "END": frozenset({State.ACTIVE}),
    "PREPARE": frozenset({State.IDLE}),
    "COMMIT": frozenset({State.PREPARED}),
    "COMMIT ONE PHASE": frozenset({State.IDLE}),
    "ROLLBACK": frozenset({State.IDLE, State.PREPARED}),
}

_ENDS: Final = frozenset({Verb.BEGIN, Verb.COMMIT, Verb.ROLLBACK})

_XA: Final = re.compile(r"\s*XA\b", re.IGNORECASE)
_STATEMENT: Final = re.compile(
    r"""
    \s* XA \s+ (?P<verb> BEGIN | START | END | PREPARE | COMMIT | ROLLBACK ) \s+
    '(?P<gtrid>(?:[^'\\]|''|\\.)*)' (?: \s*,\s* '(?P<bqual>(?:[^'\\]|''|\\.)*)' (?: \s*,\s* (?P<format>\d+) )? )?
    (?P<one> \s+ ONE \s+ PHASE )? [\s;]* \Z
    """,
    re.VERBOSE | re.IGNORECASE,
)
_RECOVER: Final = re.compile(r"\s*XA\s+RECOVER[\s;]*\Z", re.IGNORECASE)

# What stands for a quote or a backslash in a string.
_ESCAPED: Final = re.compile(r"['\\](['\\])")

# How a name is kept: its parts, with what cannot be in a string between them.
_BETWEEN: Final = "\0"


class TwoPhases:
    """What a connection knows of its XA transaction.

    Attributes:
        state: of the transaction.
    """

    __slots__ = ("_name", "state")

    def __init__(self) -> None:
        self.state = State.NONE
        self._name = ""

    @property
    def is_in_progress(self) -> bool:
        """Whether there is one."""
        return self.state is not State.NONE

    def check(self, command: Command | None, effect: Effect) -> None:
        """A statement that is none of XA's is about to be run.

        Raises:
            pymysql.err.OperationalError: there is no place for it.
        """
        if command is not None and command.verb in _ENDS:
            self.check_end()
        if self.state in {State.IDLE, State.PREPARED} and effect >= Effect.SAVEPOINT:
            self._refuse()

    def check_end(self) -> None:
        """A transaction is about to begin or end without two phases.

        Raises:
            pymysql.err.OperationalError: there is one that has two.
        """
        if self.state is not State.NONE:
            self._refuse()

    def obey(self, text: str, logical: LogicalConnection, *, commits_each: bool) -> bool:
        """Do what a statement of XA says; False if it is none.

        Raises:
            IsolationError: it is one that cannot be followed.
            pymysql.err.OperationalError: as the server's.
        """
        if _XA.match(text) is None or asks_for_prepared(text):
            return False
        match = _STATEMENT.match(text)
        if match is None:
            raise IsolationError(
                f"An isolated test cannot follow this statement: {text}. Write the name in quotes, without JOIN, RESUME or"
                " SUSPEND; or mark the test with uow_real_commits."
            )
        verb = match["verb"].upper() + (" ONE PHASE" if match["one"] else "")
        parts = (match["gtrid"], match["bqual"] or "")
        name = _BETWEEN.join([*(_ESCAPED.sub(r"\1", part) for part in parts), match["format"] or "1"])
        if verb in {"BEGIN", "START"}:
            self._start(name, logical)
        elif self.state is State.NONE and verb in {"COMMIT", "ROLLBACK"}:
            if logical.transaction is not None or not commits_each:
                raise OperationalError(1400, "XAER_OUTSIDE: Some work is done outside global transaction")
            self._finish(verb, name, logical)
        else:
            self._go_on(verb, name, logical)
        return True

    def _start(self, name: str, logical: LogicalConnection) -> None:
        if self.state is not State.NONE:
            self._refuse()
        if logical.transaction is not None:
            raise OperationalError(1400, "XAER_OUTSIDE: Some work is done outside global transaction")
        if name in logical.shared.prepared:
            raise OperationalError(1440, "XAER_DUPID: The XID already exists")
        logical.begin()
        self.state, self._name = State.ACTIVE, name

    def _go_on(self, verb: str, name: str, logical: LogicalConnection) -> None:
        """Do something with the connection's own transaction."""
        if self.state is State.NONE:
            self._refuse()
        if name != self._name:
            raise OperationalError(1397, "XAER_NOTA: Unknown XID")
        if self.state not in _RIGHT[verb]:
            self._refuse()
        if verb == "END":
            self.state = State.IDLE
        elif verb == "PREPARE":
            logical.prepare(name)
            self.state = State.PREPARED
        elif self.state is State.PREPARED:
            self.state = State.NONE
            self._finish(verb, name, logical)
        else:
            self.state = State.NONE
            (logical.rollback if verb == "ROLLBACK" else logical.commit)()

    def _finish(self, verb: str, name: str, logical: LogicalConnection) -> None:
        found = logical.shared.prepared.find(name)
        if found is None or not _may_finish(found, logical):
            raise OperationalError(1397, "XAER_NOTA: Unknown XID")
        (logical.commit_prepared if verb == "COMMIT" else logical.rollback_prepared)(name)

    def _refuse(self) -> NoReturn:
        raise OperationalError(
            1399,
            f"XAER_RMFAIL: The command cannot be executed when global transaction is in the  {self.state.value} state",
        )


def _may_finish(prepared: Prepared, logical: LogicalConnection) -> bool:
    """Whether *logical* has prepared it, or who has is gone."""
    holder = prepared.holder
    return holder is logical or not isinstance(holder, LogicalConnection) or holder.is_closed


def asks_for_prepared(text: str) -> bool:
    """Whether *text* asks what is prepared."""
    return _RECOVER.match(text) is not None


def prepared_as_query(prepared: PreparedTransactions) -> str:
    """A query that has what ``XA RECOVER`` would return, if the test's transactions were prepared in the database."""
    columns = "%s AS formatID, %s AS gtrid_length, %s AS bqual_length, %s AS data"
    rows = [
        columns % (number, len(gtrid), len(bqual), f"X'{(gtrid + bqual).encode().hex()}'")
        for name, _ in prepared
        for gtrid, bqual, number in [name.split(_BETWEEN)]
    ]
    if not rows:
        return f"SELECT {columns % (0, 0, 0, 'NULL')} FROM DUAL WHERE FALSE"  # noqa: S608
    return " UNION ALL ".join(f"SELECT {row}" for row in rows)
