"""A write that is one statement is one round trip: by itself it is a transaction.

Note: what is sent alone
    Nothing but the very statement that a unit of work has announced to be its only one (`LoneWrite`), on a connection in
    which no transaction is in progress. Whatever else comes first begins a transaction as ever, and then the announced
    statement is a part of that.

Note: when the answer is lost
    Nobody can know then whether it was done. For a transaction, PostgreSQL can be asked afterwards
    (:mod:`flask_unitofwork.database.commits`); it cannot for a statement whose transaction never had a name here. So a
    connection that is dead already, as after the server's restart, is found out before anything is sent, without a round
    trip; and a unit that may be run again does without lone writes.
"""

from __future__ import annotations

import select
import sys
from typing import Any, Final

from sqlalchemy import Connection, Engine
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.sql.compiler import SQLCompiler

from .autocommit import can_send_alone, is_in_transaction, send_alone
from .commits import lost_alone, note_commit
from .executions import Info, instead_of_execution
from .intent import LONE_WRITE, LoneWrite
from .listening import has_listeners
from .readable import is_always_readable

__all__ = ["write_alone"]

# Listeners to these may do something in the database, or prevent that.
_EVENTS: Final = ("before_execute", "after_execute", "before_cursor_execute", "after_cursor_execute", "commit")
_DIALECT_EVENTS: Final = ("do_execute",)

# Options by which a user says what transactions on an engine are like.
_OF_TRANSACTIONS: Final = frozenset({"isolation_level", "postgresql_readonly", "postgresql_deferrable"})

if sys.platform == "win32":

    def _is_readable(descriptor: int) -> bool:
        return bool(select.select([descriptor], [], [], 0)[0])

else:

    def _is_readable(descriptor: int) -> bool:
        # select() is for the first thousand descriptors of a process only.
        looking = select.poll()
        looking.register(descriptor, select.POLLIN)
        return bool(looking.poll(0))


def write_alone(engine: Engine, name: str) -> None:
    """From now on send on *engine* without a transaction what a unit has announced as its only statement.

    Args:
        engine: not yet in use.
        name: the bind's name, for messages.
    """
    if not can_send_alone(engine):
        return

    def execute(info: Info, cursor: Any, statement: str, parameters: Any, context: ExecutionContext) -> bool:
        announced: LoneWrite | None = info.get(LONE_WRITE)
        if announced is None or not _is_announced(announced, statement, context):
            return False
        connection = context.root_connection
        if not _may_go_alone(connection, cursor.connection):
            return False
        send_alone(connection)
        with lost_alone(connection, name):
            cursor.execute(statement, parameters)
        if announced.kind != "insert" and cursor.rowcount == 0:
            note_commit(connection, committed=False)  # there was no such row, and SQLAlchemy may say so
        return True

    instead_of_execution(engine, execute)


def _may_go_alone(connection: Connection, driver_connection: Any) -> bool:
    """Whether nobody would notice but by the time it takes."""
    return not (
        has_listeners(connection.dialect, _DIALECT_EVENTS)
        or (_may_be_listened_to(connection) and has_listeners(connection, _EVENTS))
        or _OF_TRANSACTIONS & connection.get_execution_options().keys()
        or is_in_transaction(connection)
        or _has_something_to_say(driver_connection)
    )


def _may_be_listened_to(connection: Connection) -> bool:
    """Whether it is worth asking who listens to *connection*, or to its engine: to ask joins the listeners of both.

    Private: what SQLAlchemy asks before it does that. A test fails if it means something else one day.
    """
    return any(getattr(one, "_has_events", True) for one in (connection, connection.engine))


def _is_announced(announced: LoneWrite, statement: str, context: ExecutionContext) -> bool:
    compiled = context.compiled
    # What asks for a default comes with the context of the statement that it is for.
    if not isinstance(compiled, SQLCompiler) or statement != getattr(context, "statement", None):
        return False
    kind = "insert" if compiled.isinsert else "update" if compiled.isupdate else "delete" if compiled.isdelete else ""
    return (
        kind == announced.kind
        and getattr(compiled.statement, "table", None) is announced.table
        and all(is_always_readable(column, compiled.dialect) for column in compiled.effective_returning or ())
    )


def _has_something_to_say(connection: Any) -> bool:
    """Whether the server has said something unasked, which mostly is that it hangs up. Drivers that do not tell: no."""
    return hasattr(connection, "fileno") and _is_readable(connection.fileno())
