"""From what a statement touches to the database it runs on.

The chain is: explicit ``bind_arguments`` → ``Session(binds=…)`` → shard → the user's bind choosers → the bind key of the
mapper or table → the bind of the ``transaction(bind=…)`` block → default. The first three are looked at by
:class:`~flask_unitofwork.Session` and :class:`~flask_unitofwork.ShardedSession` before they ask a `Router`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import ClauseElement, Connection, Engine, inspect
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.exc import UnmappedClassError

from ..config import DEFAULT_BIND
from .choosers import BindChooser, by_bind_key

__all__ = ["BindSource", "Router", "mapper_of", "may_write"]


class BindSource(Protocol):
    """Where a session's engines come from: an app's ``Engines``, or whatever else knows databases by name."""

    def __getitem__(self, name: str, /) -> Engine | Connection:
        """The bind *name*.

        Raises:
            UnknownBindError: nobody configured a database of that name.
        """
        ...


class Router:
    """Chooses the bind of each statement, for all sessions of one app.

    Args:
        source: where engines come from.
        choosers: the user's own, asked in this order before the bind key.

    Attributes:
        source: where engines come from.
    """

    def __init__(self, source: BindSource, choosers: Sequence[BindChooser] = ()) -> None:
        self.source = source
        self._choosers = (*choosers, by_bind_key)
        self._asks_users = bool(choosers)

    def bind_for(self, mapper: Any, clause: ClauseElement | None, default: str | None = None) -> Engine | Connection:
        """The bind for a statement on *mapper* and *clause* (either may be None).

        Args:
            mapper: what the ORM works on.
            clause: the statement, or a table.
            default: the name for what nobody chooses a database for; None for the app's default.

        Raises:
            UnknownBindError: what was chosen, or *default*, names no database.
        """
        return self.source[self.choose(mapper, clause) or default or DEFAULT_BIND]

    def choose(self, mapper: Any, clause: ClauseElement | None) -> str | None:
        """The name that a chooser or a bind key says; None where nobody has an opinion."""
        mapped = None if mapper is None else mapper_of(mapper)
        # Only the user's choosers want to know.
        writes = self._asks_users and may_write(clause)
        for choose in self._choosers:
            name = choose(mapped, clause, writes=writes)
            if name is not None:
                return name
        return None

    def named(self, bind: Engine | Connection | str) -> Engine | Connection:
        """*bind*, which may be the name of a database.

        Raises:
            UnknownBindError: there is none of that name.
        """
        return self.source[bind] if isinstance(bind, str) else bind


def may_write(clause: ClauseElement | None) -> bool:
    """Whether *clause* may write or lock: everything but a SELECT without FOR UPDATE. None is a flush."""
    # What SQLAlchemy keeps with_for_update() in has no public name.
    return not getattr(clause, "is_select", False) or getattr(clause, "_for_update_arg", None) is not None


def mapper_of(entity: Any) -> Mapper[object]:
    """The mapper of *entity*: a mapped class, an alias of one, or a mapper.

    Raises:
        sqlalchemy.orm.exc.UnmappedClassError: it is nothing of the kind.
    """
    if isinstance(entity, Mapper):
        return entity
    try:
        mapper: Mapper[object] = inspect(entity).mapper
    except NoInspectionAvailable:
        raise UnmappedClassError(entity) from None
    return mapper
