"""Being told of each statement right before the driver is.

Why not ``before_cursor_execute``: once an engine has such a listener, SQLAlchemy looks for listeners of seven kinds at
every statement, which on SQLite costs half as much again as the statement. The dialect's ``do_execute`` events cost
next to nothing; and what a listener of them raises is wrapped as if the driver had raised it.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import ExecutionContext

__all__ = ["OWN_STATEMENT", "Info", "before_each_execution"]

OWN_STATEMENT: Final = "unitofwork_own_statement"
"""The execution option of statements that this package sends for itself: they are nobody's work."""

# What is noted on a connection: Connection.info.
Info = MutableMapping[str, Any]

_Tell = Callable[[Info, Any, str, ExecutionContext], None]

_TOLD: Final = "_unitofwork_told"
"""The engine's attribute for who is told. Not a table of engines: who is told knows the engine, and would keep it alive."""


def before_each_execution(engine: Engine, tell: _Tell) -> None:
    """Call *tell* before each execution on *engine*, after those that were named before it.

    Args:
        engine: not told are the statements by which SQLAlchemy gets to know the database at its first connection.
        tell: is given what is noted on the connection, the driver's cursor, the statement and its context.
    """
    # One listener for all who are to be told: each listener costs every statement about as much as what it does here.
    known: list[_Tell] | None = getattr(engine, _TOLD, None)
    if known is None:
        known = []
        setattr(engine, _TOLD, known)
        _listen(engine, known)
    known.append(tell)


def _listen(engine: Engine, told: Sequence[_Tell]) -> None:
    def before(cursor: Any, statement: str, context: ExecutionContext) -> None:
        try:
            info = context.root_connection.info
        except NotImplementedError:  # no connection of a pool: SQLAlchemy's first look at the database
            return
        for tell in told:
            tell(info, cursor, statement, context)

    @event.listens_for(engine, "do_execute")
    def do_execute(cursor: Any, statement: str, _parameters: object, context: Any) -> None:
        before(cursor, statement, context)

    @event.listens_for(engine, "do_executemany")
    def do_executemany(cursor: Any, statement: str, _parameters: object, context: Any) -> None:
        before(cursor, statement, context)

    @event.listens_for(engine, "do_execute_no_params")
    def do_execute_no_params(cursor: Any, statement: str, context: Any) -> None:
        before(cursor, statement, context)
