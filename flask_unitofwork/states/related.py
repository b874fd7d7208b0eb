"""What stands in an object's relationships, as far as it is known without asking the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, inspect
from sqlalchemy.orm import InstanceState, RelationshipProperty
from sqlalchemy.orm.attributes import has_parent
from sqlalchemy.orm.base import LoaderCallableStatus

from .attributes import history_of

__all__ = [
    "Related",
    "column_name",
    "has_lost_parent",
    "identity_of",
    "is_unloaded",
    "key_changed",
    "knows_reference",
    "name_of",
    "related",
]

State = InstanceState[Any]
Relationship = RelationshipProperty[Any]


@dataclass(frozen=True, slots=True)
class Related:
    """What was put into a relationship, what was there before and is still, and what was taken out."""

    added: tuple[State | None, ...] = ()
    unchanged: tuple[State | None, ...] = ()
    deleted: tuple[State | None, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.unchanged or self.deleted)

    def __iter__(self) -> Iterator[State | None]:
        yield from (*self.added, *self.unchanged, *self.deleted)


def related(state: State, relationship: Relationship, *, deleted: bool = False) -> Related:
    """What stands in *relationship* of *state*.

    Args:
        state: the object's.
        relationship: one of its.
        deleted: *state* is to be deleted. Then the flush loads what is not loaded; what the session has is found here.
    """
    history = history_of(state, relationship.key, with_backrefs=True)
    found = Related(_states(history.added), _states(history.unchanged), _states(history.deleted))
    if deleted and not found and is_unloaded(state, relationship) and not relationship.uselist:
        return _referred_to(state, relationship)
    return found


def is_unloaded(state: State, relationship: Relationship) -> bool:
    """Whether what is in the database may be more than is known here."""
    if not state.has_identity:
        return False
    if relationship.lazy in {"dynamic", "write_only"}:
        return True
    if relationship.key in state.dict:
        before = state.committed_state.get(relationship.key)
        return isinstance(before, LoaderCallableStatus) and before is LoaderCallableStatus.NO_VALUE
    return True


def knows_reference(state: State, relationship: Relationship) -> bool:
    """Whether the foreign key of a many-to-one is loaded."""
    return all(column_name(state, local) in state.dict for local, _ in relationship.local_remote_pairs)


def has_lost_parent(state: State, relationship: Relationship) -> bool:
    """Whether *state* was taken out of *relationship* of its parent, and is in that of no other."""
    return has_parent(relationship.parent.class_, state.obj(), relationship.key) is False


def key_changed(state: State, relationship: Relationship) -> bool:
    """Whether what the others of *relationship* refer to *state* by has become another."""
    return any(
        history_of(state, column_name(state, column)).deleted
        for column, _ in relationship.synchronize_pairs
        if state.mapper.has_property(column_name(state, column))
    )


def column_name(state: State, column: ColumnElement[Any]) -> str:
    """The attribute of *state* that *column* is mapped to."""
    return state.mapper.get_property_by_column(column).key


def identity_of(state: State) -> dict[str, Any]:
    """The primary key of a row that exists, by attribute."""
    if state.identity is None:
        return {}
    names = (column_name(state, column) for column in state.mapper.primary_key)
    return dict(zip(names, state.identity, strict=True))


def name_of(relationship: Relationship) -> str:
    """What messages call a relationship, such as ``Order.lines``."""
    return f"{relationship.parent.class_.__name__}.{relationship.key}"


def _states(objects: Iterable[object] | None) -> tuple[State | None, ...]:
    return tuple(None if obj is None else inspect(obj) for obj in objects or ())


def _referred_to(state: State, relationship: Relationship) -> Related:
    """What a many-to-one that is not loaded would give without asking the database."""
    session = state.session
    values = {remote: state.dict.get(column_name(state, local)) for local, remote in relationship.local_remote_pairs}
    target = relationship.mapper
    if session is None or set(target.primary_key) != set(values):
        return Related()
    key = tuple(values[column] for column in target.primary_key)
    if all(value is None for value in key):
        return Related(unchanged=(None,)) if knows_reference(state, relationship) else Related()
    found = session.identity_map.get(target.identity_key_from_primary_key(key))
    return Related() if found is None else Related(unchanged=(inspect(found),))
