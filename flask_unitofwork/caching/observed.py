"""Which tables were really read to load a result: those of eager loads, too, which the statement itself does not show."""

from __future__ import annotations

from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.sql.compiler import SQLCompiler

from .tables import metadata_in, read_by, unreadable

__all__ = ["Observed"]


class Observed:
    """What the statements of one load have read.

    Attributes:
        tables: the names of the tables.
        metadata: what they belong to.
        unreadable: SQL in which a table may be that nobody can see; None if there was none.
    """

    __slots__ = ("metadata", "tables", "unreadable")

    def __init__(self) -> None:
        self.tables: set[str] = set()
        self.metadata: set[MetaData] = set()
        self.unreadable: str | None = None

    def note(self, context: ExecutionContext) -> None:
        """A statement is about to be executed in *context*."""
        compiled = context.compiled
        if not isinstance(compiled, SQLCompiler):
            self.unreadable = self.unreadable or context.statement or "a statement of the driver's"
            return
        # What the ORM has made of its statement, with all joins; a statement without the ORM has nothing of the kind.
        statement: Any = getattr(compiled.compile_state, "statement", None)
        if statement is None:
            statement = compiled.statement
        self.tables |= read_by(statement)
        self.metadata |= metadata_in(statement)
        self.unreadable = self.unreadable or unreadable(statement)
