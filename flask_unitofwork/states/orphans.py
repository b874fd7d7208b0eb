"""Objects that only live with a parent, and have none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Mapper
from sqlalchemy.orm.attributes import has_parent

from .related import Relationship, State

__all__ = ["Orphans", "is_forgotten"]


class Orphans:
    """Tells who is one. Which relationships a class of objects needs is found out once."""

    def __init__(self) -> None:
        self._needed: dict[Mapper[Any], list[Relationship]] = {}

    def lost_by(self, state: State) -> Relationship | None:
        """The relationship without which *state* does not live ("delete-orphan"), and in which it is not.

        None for what is no orphan.
        """
        if state.mapper not in self._needed:
            self._needed[state.mapper] = list(_parents(state.mapper))
        needed = self._needed[state.mapper]
        lost = [
            one
            for one in needed
            if not has_parent(one.parent.class_, state.obj(), one.key, optimistic=state.has_identity)
        ]
        enough = len(needed) if state.mapper.legacy_is_orphan else 1
        return lost[0] if lost and len(lost) >= enough else None


def is_forgotten(state: State) -> bool:
    """Whether an orphan was taken from a parent in no session, so that the flush drops it instead of inserting it.

    Private: nothing public tells it from an orphan that never had a parent, which is inserted. A test fails if the name
    is gone.
    """
    return state._orphaned_outside_of_session


def _parents(mapper: Mapper[Any]) -> Iterator[Relationship]:
    """The relationships that objects of *mapper* must be in."""
    for other in mapper.registry.mappers:
        for relationship in other.relationships:
            if relationship.cascade.delete_orphan and relationship.parent is other and mapper.isa(relationship.mapper):
                yield relationship
