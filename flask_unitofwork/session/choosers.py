"""Vertical partitioning by rules of the user's own: functions that choose a statement's database."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import ClauseElement, Table, UpdateBase
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import visitors

from ..database.bind_keys import bind_key_in_statements, model_bind_key

__all__ = ["BindChooser", "by_bind_key"]


class BindChooser(Protocol):
    """Chooses the database for a statement. Any callable of this form serves, such as a function."""

    def __call__(self, mapper: Mapper[Any] | None, clause: ClauseElement | None, /, *, writes: bool) -> str | None:
        """Choose a database, or leave that to who is asked next.

        Args:
            mapper: what the ORM works on; None for a statement on tables alone.
            clause: the statement; None in a flush, and for ``session.connection()``.
            writes: whether it may write: a flush, and everything but a SELECT that locks nothing.

        Returns:
            A name in ``UNITOFWORK_DATABASES``, or None for "no opinion".
        """
        ...


def by_bind_key(mapper: Mapper[Any] | None, clause: ClauseElement | None, /, *, writes: bool) -> str | None:
    """The bind key of *mapper*; else of what *clause* writes to, or of the first table in it that has one.

    A `BindChooser`, and the last to be asked.
    """
    del writes
    if mapper is not None:
        return model_bind_key(mapper)
    if clause is None:
        return None
    # What is written decides: a subquery on a table that lives elsewhere fails, and must not be where the rows go.
    tables = clause.table if isinstance(clause, UpdateBase) else clause
    keys = (bind_key_in_statements(part) for part in visitors.iterate(tables) if isinstance(part, Table))
    return next((key for key in keys if key is not None), None)
