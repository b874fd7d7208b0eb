"""SQLite's transactions, made real.

Transactions
    Python's driver begins a transaction before INSERT, UPDATE and DELETE only: a SAVEPOINT is outside, DDL commits by
    itself, and a rollback leaves both behind. And it begins a *deferred* one, which takes the write lock when it
    first writes: if another connection has written since the transaction's first read, that fails at once, however
    long ``busy_timeout`` is. So here a transaction begins with BEGIN IMMEDIATE before the first statement that is not
    a mere read, and waits for its turn. Whether one has begun is asked of the connection each time, so there is no
    state that could be wrong. Reads outside need no BEGIN: each sees what is committed when it runs.
    A unit that means to write (`Intent`) begins with its first statement: what it has read cannot change before it
    writes. So does one that asks for REPEATABLE READ or more. One that only reads begins with its first statement too,
    but without waiting for anybody: it sees one state of the database until it ends.

Lost transactions
    SQLite ends a transaction by itself when a statement in it is interrupted or the disk is full, and where
    ``ON CONFLICT ROLLBACK`` says so. Going on would begin another and commit half of the work. So the connection is
    invalidated then, as if it had been lost: SQLAlchemy refuses to go on until the transaction is rolled back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, ExceptionContext, event
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.pool import ConnectionPoolEntry

from ..exceptions import DemarcationError
from .autocommit import reads_from_memory
from .executions import Info, before_each_execution
from .intent import AROUND, INTENT, NO_INTENT, Intent
from .mere_reads import is_by_hand, is_mere_read, streams
from .sqlite_deadline import DEADLINE, Deadline
from .sqlite_fork import note_use
from .statements import Effect, effect_of

__all__ = ["begin_as", "begin_transactions", "permit_writes", "refuse_writes"]

_IN_TRANSACTION: Final = "unitofwork_in_transaction"
_QUERY_ONLY: Final = "unitofwork_query_only"

# The levels at which what has been read does not change.
_STABLE: Final = frozenset({"REPEATABLE READ", "SERIALIZABLE"})


def begin_transactions(engine: Engine) -> None:
    """Begin transactions as the note "Transactions" says, and watch over them as "Lost transactions" says."""

    # It is no statement to those who listen to statements, and what BEGIN raises, the statement itself has raised. It does
    # not know the engine, which would outlive its app: mappers remember dialects, and dialects their listeners.
    def before(info: Info, cursor: Any, statement: str, context: ExecutionContext) -> None:
        note_use(info)
        deadline: Deadline | None = info.get(DEADLINE)
        if deadline is not None:
            deadline.restart()
        connection: sqlite3.Connection = cursor.connection
        if not connection.in_transaction:
            mode = _begins(connection, statement, context, info.get(INTENT, NO_INTENT))
            if mode is not None:
                if mode != "DEFERRED":
                    _check_turn(info.get(AROUND, ()), context.root_connection.engine)
                cursor.execute(f"BEGIN {mode}")
        info[_IN_TRANSACTION] = connection.in_transaction

    before_each_execution(engine, before)
    event.listen(engine, "do_execute", _fetch_at_once)
    reads_from_memory(engine)
    event.listen(engine, "checkin", _forget)
    event.listen(engine, "handle_error", _notice_lost_transaction)


def _begins(connection: sqlite3.Connection, statement: str, context: ExecutionContext, intent: Intent) -> str | None:
    """How *statement* begins a transaction (``"IMMEDIATE"``, for instance); None if it needs none."""
    if connection.isolation_level is None or getattr(connection, "autocommit", None) is True:
        return None  # the user's choice: the driver is in autocommit
    if intent.reads_in_autocommit and is_mere_read(statement, context):
        return None
    effect = effect_of(statement, context)
    if effect is Effect.CALL:
        effect = Effect.LOCK if intent.reads_in_autocommit and not intent.read_only else Effect.READ
    if effect is Effect.READ and intent.reads_in_autocommit:
        if streams(context) or (intent.read_only and is_by_hand(context)):
            return "DEFERRED"
        if not is_by_hand(context):
            return None
        effect = Effect.LOCK  # what was written by hand may do anything
    if intent.read_only:
        return "DEFERRED" if effect in {Effect.READ, Effect.SAVEPOINT} else None
    begins = {Effect.LOCK, Effect.WRITE, Effect.SAVEPOINT}
    if intent.writes or intent.isolation_level in _STABLE:
        begins.add(Effect.READ)
    # "" is the driver's default.
    return (str(connection.isolation_level) or "IMMEDIATE") if effect in begins else None


def _fetch_at_once(cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
    """Execute *statement*, and fetch all its rows, where its connection is to be anyone's as soon as it has run.

    SQLite finds each row when it is asked for, so until then the statement needs its connection.
    """
    if cursor.connection.in_transaction:
        return None
    try:
        intent: Intent = context.root_connection.info.get(INTENT, NO_INTENT)
    except NotImplementedError:  # no connection of a pool: SQLAlchemy's first look at the database
        return None
    if not intent.reads_in_autocommit or effect_of(statement, context) is not Effect.READ:
        return None
    cursor.execute(statement, parameters)
    context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(cursor, initial_buffer=cursor.fetchall())
    return True


def _check_turn(around: Collection[Connection], engine: Engine) -> None:
    """Refuse to wait for the turn to write where it is one of *around* that has it.

    Raises:
        DemarcationError: it would wait for itself.
    """
    for other in around:
        if other.closed or other.invalidated or other.engine.pool is not engine.pool:
            continue
        if _driver(other).in_transaction and not other.info.get(INTENT, NO_INTENT).read_only:
            raise DemarcationError(
                "SQLite has one writer at a time, and that is the transaction around this one, which waits for this one to"
                " end: neither could go on. Write here before the other's first statement; or register a hook for after it"
                " (uow.on_commit, uow.on_rollback); or keep what is independent in a database of its own (bind)."
            )


def begin_as(connection: Connection, intent: Intent) -> None:
    """Let the transaction that begins on *connection* be as *intent* says. How it begins is for the first statement."""
    if intent.read_only:
        refuse_writes(connection)
    if intent.timeout is not None:
        deadline: Deadline | None = connection.info.get(DEADLINE)
        if deadline is None:
            deadline = connection.info[DEADLINE] = Deadline(connection.connection.driver_connection, None)
        deadline.seconds = intent.timeout


def refuse_writes(connection: Connection) -> None:
    """Let SQLite refuse writes on *connection*."""
    _driver(connection).execute("PRAGMA query_only = ON")
    connection.info[_QUERY_ONLY] = True


def permit_writes(connection: Connection) -> None:
    """Undo `refuse_writes`."""
    _driver(connection).execute("PRAGMA query_only = OFF")
    connection.info.pop(_QUERY_ONLY, None)


def _driver(connection: Connection) -> sqlite3.Connection:
    driver_connection: Any = connection.connection.driver_connection
    return cast(sqlite3.Connection, driver_connection)


def _forget(connection: sqlite3.Connection | None, record: ConnectionPoolEntry) -> None:
    """The connection goes back to its pool: what a unit asked of it is over."""
    deadline: Deadline | None = record.info.get(DEADLINE)
    if deadline is not None:
        deadline.seconds = deadline.usual_seconds
    if record.info.pop(_QUERY_ONLY, False) and connection is not None:
        connection.execute("PRAGMA query_only = OFF")


def _notice_lost_transaction(failure: ExceptionContext) -> None:
    connection = failure.connection
    if connection is None or connection.closed or connection.invalidated:
        return
    driver_connection = connection.connection.driver_connection
    if connection.info.get(_IN_TRANSACTION) and driver_connection and not driver_connection.in_transaction:
        failure.is_disconnect = True
        # The others in the pool are as good as before.
        failure.invalidate_pool_on_disconnect = False
