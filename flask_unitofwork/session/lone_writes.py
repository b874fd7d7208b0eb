"""Whether a flush consists of one statement, told before it sends any.

What is not certain to be one statement counts as several. A flush of one object is one statement where the object's
class has one table and nothing but the object's own row changes: no row of a relationship, no key that other rows have
as theirs. And where nobody listens: what a listener does, it may do in the database. And where the transaction is the
session's own: one that it has joined is for others to roll back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, FromClause, orm
from sqlalchemy.orm import InstanceState, Mapper
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.orm.interfaces import MANYTOONE

from ..database.intent import LoneWrite, WriteKind
from ..database.listening import has_listeners

__all__ = ["lone_write"]

# Whatever is told of a commit, its flush and their transactions, before and after the statements; and what is told of
# each kind of them.
_FLUSH_EVENTS: Final = (
    "before_commit",
    "before_flush",
    "after_transaction_create",
    "after_begin",
    "after_flush",
    "after_flush_postexec",
    "after_transaction_end",
)
_SESSION_EVENTS: Final[Mapping[WriteKind, Sequence[str]]] = {
    "insert": (*_FLUSH_EVENTS, "pending_to_persistent"),
    "update": _FLUSH_EVENTS,
    "delete": (*_FLUSH_EVENTS, "persistent_to_deleted"),
}
_MAPPER_EVENTS: Final[Mapping[WriteKind, Sequence[str]]] = {
    "insert": ("before_insert", "after_insert"),
    "update": ("before_update", "after_update"),
    "delete": ("before_delete", "after_delete"),
}
_INSTANCE_EVENTS: Final = ("expire", "refresh", "refresh_flush")


def lone_write(session: orm.Session) -> LoneWrite | None:
    """The only statement of the flush of *session* that is in progress, and about to send it; None where there may be more."""
    if _may_have_joined(session):
        return None
    new, deleted = session.new, session.deleted
    changes = [*new, *session.dirty, *deleted]
    if len(changes) != 1:
        return None
    kind: WriteKind = "insert" if new else "delete" if deleted else "update"
    state: InstanceState[Any] = instance_state(changes[0])
    mapper = state.mapper
    if len(mapper.tables) != 1 or not _is_of_one_row(state, deleted=kind == "delete"):
        return None
    # A row that is not in the expected version is found out by the number of rows, when they have been written.
    if (kind != "insert" and mapper.version_id_col is not None) or _asks_for_values(mapper.local_table, kind):
        return None
    if (
        has_listeners(session, _SESSION_EVENTS[kind])
        or has_listeners(mapper, _MAPPER_EVENTS[kind])
        or has_listeners(mapper.class_manager, _INSTANCE_EVENTS)
    ):
        return None
    return LoneWrite(kind, mapper.local_table)


def _may_have_joined(session: orm.Session) -> bool:
    """Whether the flush may be a part of a transaction that somebody else has begun, on a connection that *session* got.

    Its BEGIN may not have been sent yet, so that the connection itself does not tell.
    """
    return isinstance(session.bind, Connection) or any(isinstance(bind, Connection) for bind in session.binds.values())


def _is_of_one_row(state: InstanceState[Any], *, deleted: bool) -> bool:
    """Whether no row but the object's own changes with it."""
    mapper: Mapper[Any] = state.mapper
    for relationship in mapper.relationships:
        if relationship.viewonly:
            continue
        if relationship.direction is MANYTOONE and not relationship.post_update:
            if relationship.cascade.delete_orphan and (deleted or state.attrs[relationship.key].history.has_changes()):
                return False  # what it referred to may go with it
            if relationship.mapper.common_parent(mapper) and relationship.key in state.dict:
                return False  # it may be its own parent
        elif deleted or state.attrs[relationship.key].history.has_changes():
            return False
    if state.persistent and not deleted:
        keys = (mapper.get_property_by_column(column).key for column in mapper.primary_key)
        return not any(state.attrs[key].history.has_changes() for key in keys)
    return True


def _asks_for_values(table: FromClause, kind: WriteKind) -> bool:
    """Whether a column gets its value from a function that is given the connection, and so may use it."""
    for column in table.columns:
        default: Any = column.default if kind == "insert" else column.onupdate if kind == "update" else None
        # SQLAlchemy wraps those that take no argument.
        if default is not None and default.is_callable and not hasattr(default.arg, "__wrapped__"):
            return True
    return False
