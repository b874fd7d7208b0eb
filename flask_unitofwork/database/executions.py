"""Being told of each statement right before the driver is.

Why not ``before_cursor_execute``: once an engine has such a listener, SQLAlchemy looks for listeners of seven kinds at
every statement, which on SQLite costs half as much again as the statement. The dialect's ``do_execute`` events cost
next to nothing; and what a listener of them raises is wrapped as if the driver had raised it.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import ExecutionContext

from .mere_reads import is_mere_read

__all__ = [
    "OWN_STATEMENT",
    "Info",
    "before_each_execution",
    "before_mere_reads",
    "before_others",
    "instead_of_execution",
]

OWN_STATEMENT: Final = "unitofwork_own_statement"
"""The execution option of statements that this package sends for itself: they are nobody's work."""

# What is noted on a connection: Connection.info.
Info = MutableMapping[str, Any]

_Tell = Callable[[Info, Any, str, ExecutionContext], None]
_Execute = Callable[[Info, Any, str, Any, ExecutionContext], bool]

_TOLD: Final = "_unitofwork_told"
"""The engine's attribute for who is told. Not a table of engines: who is told knows the engine, and would keep it alive."""


class _Told:
    """Who is told of the statements on one engine.

    Attributes:
        of_mere_reads: they are told of mere reads.
        of_others: they are told of all others.
        execute: they may execute those others instead.
    """

    def __init__(self) -> None:
        self.of_mere_reads: list[_Tell] = []
        self.of_others: list[_Tell] = []
        self.execute: list[_Execute] = []


def before_each_execution(engine: Engine, tell: _Tell) -> None:
    """Call *tell* before each execution on *engine*, after those that were named before it.

    Args:
        engine: not told are the statements by which SQLAlchemy gets to know the database at its first connection.
        tell: is given what is noted on the connection, the driver's cursor, the statement and its context.
    """
    before_mere_reads(engine, tell)
    before_others(engine, tell)


def before_mere_reads(engine: Engine, tell: _Tell) -> None:
    """Call *tell*, as `before_each_execution` does, before mere reads (`is_mere_read`), which most statements are."""
    _told(engine).of_mere_reads.append(tell)


def before_others(engine: Engine, tell: _Tell) -> None:
    """Call *tell*, as `before_each_execution` does, before whatever is not a mere read."""
    _told(engine).of_others.append(tell)


def instead_of_execution(engine: Engine, execute: _Execute) -> None:
    """Let *execute* execute a statement on *engine* that is no mere read, when all have been told of it.

    Args:
        engine: not yet in use.
        execute: is given what `before_each_execution` tells, and the values after the statement. It returns False where
            the statement is to be executed as usual. It is not asked where there are several sets of values, or none.
    """
    _told(engine).execute.append(execute)


def _told(engine: Engine) -> _Told:
    # One listener for all who are to be told: each listener costs every statement about as much as what it does here.
    told: _Told | None = getattr(engine, _TOLD, None)
    if told is None:
        told = _Told()
        setattr(engine, _TOLD, told)
        _listen(engine, told)
    return told


def _listen(engine: Engine, told: _Told) -> None:
    def before(cursor: Any, statement: str, context: ExecutionContext) -> Info | None:
        """Tell, and return what is noted on the connection if somebody may execute *statement* instead."""
        try:
            info = context.root_connection.info
        except NotImplementedError:  # no connection of a pool: SQLAlchemy's first look at the database
            return None
        if is_mere_read(statement, context):
            for tell in told.of_mere_reads:
                tell(info, cursor, statement, context)
            return None
        for tell in told.of_others:
            tell(info, cursor, statement, context)
        return info

    @event.listens_for(engine, "do_execute")
    def do_execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
        info = before(cursor, statement, context)
        if info is None:
            return None
        return any(execute(info, cursor, statement, parameters, context) for execute in told.execute)

    @event.listens_for(engine, "do_executemany")
    def do_executemany(cursor: Any, statement: str, _parameters: object, context: Any) -> None:
        before(cursor, statement, context)

    @event.listens_for(engine, "do_execute_no_params")
    def do_execute_no_params(cursor: Any, statement: str, context: Any) -> None:
        before(cursor, statement, context)
