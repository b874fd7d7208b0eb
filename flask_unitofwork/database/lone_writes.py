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

import selectors
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.sql.compiler import SQLCompiler

from .autocommit import can_send_alone, is_in_transaction, send_alone
from .commits import INSTEAD_OF_COMMIT, lost_alone
from .intent import INTENT, NO_INTENT, Intent, LoneWrite

__all__ = ["write_alone"]

# Not the default one, which opens a file for each use. Windows has no poll().
_Selector: Final[type[selectors.BaseSelector]] = getattr(selectors, "PollSelector", selectors.SelectSelector)


def write_alone(engine: Engine, name: str) -> None:
    """From now on send on *engine* without a transaction what a unit has announced as its only statement.

    Args:
        engine: not yet in use.
        name: the bind's name, for messages.
    """
    if not can_send_alone(engine):
        return

    @event.listens_for(engine, "do_execute")
    def do_execute(cursor: Any, statement: str, parameters: Any, context: ExecutionContext) -> bool | None:
        try:
            connection = context.root_connection
            intent: Intent = connection.info.get(INTENT, NO_INTENT)
        except NotImplementedError:  # no connection of a pool: SQLAlchemy's first look at the database
            return None
        if intent.lone_write is None or not _is_announced(intent.lone_write, context):
            return None
        if INSTEAD_OF_COMMIT in connection.info:  # a test wants it to fail
            return None
        if is_in_transaction(connection) or _has_something_to_say(cursor.connection):
            return None
        send_alone(connection)
        with lost_alone(connection, name):
            cursor.execute(statement, parameters)
        return True


def _is_announced(announced: LoneWrite, context: ExecutionContext) -> bool:
    compiled = context.compiled
    if not isinstance(compiled, SQLCompiler):
        return False
    kind = "insert" if compiled.isinsert else "update" if compiled.isupdate else "delete" if compiled.isdelete else ""
    return kind == announced.kind and getattr(compiled.statement, "table", None) is announced.table


def _has_something_to_say(connection: Any) -> bool:
    """Whether the server has said something unasked, which mostly is that it hangs up. Drivers that do not tell: no."""
    if not hasattr(connection, "fileno"):
        return False
    with _Selector() as heard:
        heard.register(connection.fileno(), selectors.EVENT_READ)
        return bool(heard.select(timeout=0))
