"""From what a statement touches to the database it runs on.

The chain is: explicit ``bind_arguments`` → ``Session(binds=…)`` → the bind key of the mapper or table → the bind of the
``transaction(bind=…)`` block → default. The first two are SQLAlchemy's and are looked at by
:class:`~flask_unitofwork.Session` before it asks a `Router`.
"""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import ClauseElement, Connection, Engine, Table, inspect
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.exc import UnmappedClassError
from sqlalchemy.sql import visitors

from ..config import DEFAULT_BIND
from ..database.schema import model_bind_key, table_bind_key

__all__ = ["BindSource", "Router"]


class BindSource(Protocol):
    """Where a session's engines come from: ``Engines`` in production, a test's connections under isolation."""

    def __getitem__(self, name: str, /) -> Engine | Connection:
        """The bind *name*.

        Raises:
            UnknownBindError: nobody configured a database of that name.
        """
        ...


class Router:
    """Chooses the bind of each statement, for all sessions of one app.

    Attributes:
        source: where engines come from. Test isolation puts its own here and gives the old one back.
    """

    def __init__(self, source: BindSource) -> None:
        self.source = source

    def bind_for(self, mapper: Any, clause: ClauseElement | None, default: str | None = None) -> Engine | Connection:
        """The bind for a statement on *mapper* and *clause* (either may be None).

        Args:
            mapper: what the ORM works on.
            clause: the statement, or a table.
            default: the name for what has no bind key; None for the app's default.

        Raises:
            UnknownBindError: the mapper's or table's bind key, or *default*, names no database.
        """
        return self.source[_bind_key(mapper, clause) or default or DEFAULT_BIND]


def _bind_key(mapper: Any, clause: ClauseElement | None) -> str | None:
    if mapper is not None:
        return model_bind_key(_mapper_of(mapper))
    if clause is None:
        return None
    keys = (table_bind_key(part) for part in visitors.iterate(clause) if isinstance(part, Table))
    return next((key for key in keys if key is not None), None)


def _mapper_of(entity: Any) -> Mapper[object]:
    try:
        mapper: Mapper[object] = inspect(entity).mapper
    except NoInspectionAvailable:
        raise UnmappedClassError(entity) from None
    return mapper
