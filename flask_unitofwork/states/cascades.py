"""Along which relationships a pending object came into its session.

Note: found out when asked
    SQLAlchemy does not keep what a cascade did, and to note it would slow down every ``add``. But what cascades is still
    there to be seen: an object that was in the session before, a relationship of it that cascades "save-update", and
    the pending object in that relationship. So it is no proof that nobody wrote ``session.add()`` besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState, Mapper, RelationshipProperty

from .attributes import history_of

__all__ = ["Cascade", "cascades_to"]


@dataclass(frozen=True, slots=True, repr=False)
class Cascade:
    """A step of a cascade.

    Attributes:
        parent: the object that the cascade came from.
        relationship: its relationship, such as ``"Order.lines"``.
    """

    parent: object
    relationship: str

    def __repr__(self) -> str:
        return f"<Cascade {self.relationship}>"


def cascades_to(pending: InstanceState[Any]) -> tuple[Cascade, ...]:
    """The cascades by which *pending* is in its session, those of persistent objects first."""
    session = pending.session
    assert session is not None, "a pending object is in a session"
    found: list[Cascade] = []
    leading: dict[Mapper[Any], list[RelationshipProperty[Any]]] = {}
    for obj in [*session.identity_map.values(), *session.new]:
        state: InstanceState[Any] = inspect(obj)
        if state is pending or not _came_before(state, pending):
            continue
        if state.mapper not in leading:
            leading[state.mapper] = _leading(state.mapper, pending.mapper)
        found += [
            Cascade(obj, f"{relationship.parent.class_.__name__}.{relationship.key}")
            for relationship in leading[state.mapper]
            if any(one is pending.obj() for one in _related(state, relationship))
        ]
    return tuple(found)


def _came_before(state: InstanceState[Any], pending: InstanceState[Any]) -> bool:
    return state.has_identity or (state.insert_order or 0) < (pending.insert_order or 0)


def _leading(mapper: Mapper[Any], to: Mapper[Any]) -> list[RelationshipProperty[Any]]:
    """The relationships of *mapper* that cascade to objects of *to*."""
    return [one for one in mapper.relationships if one.cascade.save_update and to.isa(one.mapper)]


def _related(state: InstanceState[Any], relationship: RelationshipProperty[Any]) -> Iterator[object]:
    """What is in *relationship*, without loading it."""
    history = history_of(state, relationship.key, with_backrefs=True)
    yield from history.added or ()
    yield from history.unchanged or ()
