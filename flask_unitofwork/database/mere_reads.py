"""Which statements are mere reads: they can do without a transaction, and most who watch statements need not look.

A mere read is a query made of SQLAlchemy's own parts that locks nothing, and calls no function but those that are known
to be harmless. What was written by hand is none, and neither is a query whose result is streamed.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import TextClause, TextualSelect
from sqlalchemy.engine.interfaces import ExecutionContext

from .statements import Effect, effect_of

__all__ = ["is_by_hand", "is_mere_read", "streams"]

_KNOWN: Final = "_unitofwork_mere_read"
"""The attribute of a compiled statement, which SQLAlchemy keeps, for whether it is a mere read if nobody streams it."""


def is_mere_read(statement: str, context: ExecutionContext) -> bool:
    """Whether *statement*, about to be executed in *context*, is a mere read."""
    if streams(context):
        return False
    known: bool | None = getattr(context.compiled, _KNOWN, None)
    if known is None:
        known = not is_by_hand(context) and effect_of(statement, context) is Effect.READ
        if context.compiled is not None:
            setattr(context.compiled, _KNOWN, known)
    return known


def is_by_hand(context: ExecutionContext) -> bool:
    """Whether the statement was written by hand (``text()``), so that it may do anything, functions that write included."""
    compiled, statement = context.compiled, context.invoked_statement
    if compiled is None or getattr(compiled, "isplaintext", False):
        return True
    return isinstance(getattr(statement, "element", statement), TextClause | TextualSelect)


def streams(context: ExecutionContext) -> bool:
    """Whether the statement's rows are fetched while others run: a cursor on a server lives in a transaction."""
    options = context.execution_options
    return bool(options.get("stream_results") or options.get("yield_per"))
