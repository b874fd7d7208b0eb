"""Which objects the next flush would save and which it would delete, relationships and their cascades followed.

Note: what this mirrors
    The flush finds that out as it goes, and loads what it needs on its way; there is no asking it beforehand. So its
    rules are written down here once more, without the loading. Tests flush what was foretold and compare the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.interfaces import RelationshipDirection

from .changes import Unloaded
from .orphans import Orphans, is_forgotten
from .related import Relationship, State, has_lost_parent, is_unloaded, key_changed, knows_reference, name_of, related

__all__ = ["Fate", "Fates"]


@dataclass(slots=True)
class Fate:
    """What becomes of an object.

    Attributes:
        deleted: its row is deleted; otherwise it is inserted, or updated where it has changed.
        only_listed: nothing is done to it, though the flush knows of it.
        relationship: what asks for it, where nobody wrote it of the object itself.
    """

    deleted: bool
    only_listed: bool = False
    relationship: str | None = None


@dataclass(slots=True)
class _Watch:
    """A relationship, and whose of it has been followed."""

    relationship: Relationship
    followed: set[State] = field(default_factory=set)
    changes: bool = False


class Fates(dict[State, Fate]):
    """The fate of each object that the next flush would touch.

    Args:
        session: whose objects.

    Attributes:
        mappers: the objects by mapper.
        unloaded: what the flush would load before it could tell.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._watched: dict[Relationship, _Watch] = {}
        self.mappers: defaultdict[Mapper[Any], dict[State, None]] = defaultdict(dict)
        self.unloaded: dict[tuple[State, str], Unloaded] = {}
        orphans = Orphans()
        for obj in [*session.new, *session.dirty]:
            state: State = inspect(obj)
            lost = orphans.lost_by(state)
            if lost is not None and state.has_identity:
                self.register(state, deleted=True, relationship=lost)
            elif lost is None or not is_forgotten(state):
                self.register(state)
        for obj in session.deleted:
            self.register(inspect(obj), deleted=True)
        while self._follow_all():
            pass

    @property
    def changing(self) -> list[Relationship]:
        """The relationships that rows have to wait for."""
        return [watch.relationship for watch in self._watched.values() if watch.changes]

    def of(self, mappers: Collection[Mapper[Any]], *, deleted: bool) -> list[State]:
        """The objects of *mappers* to which something is done."""
        return [
            state
            for mapper in mappers
            for state in self.mappers.get(mapper, ())
            if self[state].deleted == deleted and not self[state].only_listed
        ]

    def of_relationship(self, relationship: Relationship, *, deleted: bool) -> list[State]:
        """The objects that have *relationship*, and to which something is done."""
        return self.of(_havers(relationship), deleted=deleted)

    def register(
        self,
        state: State,
        *,
        deleted: bool = False,
        only_listed: bool = False,
        kept: bool = False,
        relationship: Relationship | None = None,
    ) -> None:
        """Note what becomes of *state*. A deletion wins over what was noted before, and so does what is *kept*."""
        if state.obj() not in self._session:
            return
        if state not in self:
            if state.mapper not in self.mappers:
                for one in state.mapper.relationships:
                    if not one.viewonly:
                        self._watched.setdefault(one, _Watch(one))
            self.mappers[state.mapper][state] = None
            self[state] = Fate(deleted, only_listed, None if relationship is None else name_of(relationship))
        elif not only_listed and (deleted or kept):
            if deleted and not self[state].deleted and relationship is not None:
                self[state].relationship = name_of(relationship)
            self[state].deleted, self[state].only_listed = deleted, False

    def would_load(self, state: State, name: str) -> None:
        """Note that the flush loads an attribute of *state*."""
        self.unloaded.setdefault((state, name), Unloaded(state.obj(), f"{state.class_.__name__}.{name}"))

    # -- relationships -------------------------------------------------------------------------------------------

    def _follow_all(self) -> bool:
        followed = [self._follow(watch) for watch in list(self._watched.values())]
        return any(followed)

    def _follow(self, watch: _Watch) -> bool:
        """Follow a relationship of the objects that were registered since.

        Returns:
            Whether there were any.
        """
        relationship = watch.relationship
        havers = _havers(relationship)
        for mapper in havers:
            _ = self.mappers[mapper]  # from now on the flush counts it among those that it works on
        deleted = [one for one in self.of(havers, deleted=True) if one not in watch.followed]
        saved = [one for one in self.of(havers, deleted=False) if one not in watch.followed]
        for state in deleted:
            self._follow_deleted(state, relationship)
        for state in saved:
            self._follow_saved(state, relationship)
        watch.followed.update(deleted, saved)
        if not watch.changes:
            watch.changes = self._has_changes(relationship, deleted, deleted=True) or self._has_changes(
                relationship, saved, deleted=False
            )
        return bool(deleted or saved)

    def _has_changes(self, relationship: Relationship, states: Collection[State], *, deleted: bool) -> bool:
        if any(related(state, relationship, deleted=deleted) for state in states):
            return True
        if _is_always_loaded(relationship) and any(is_unloaded(state, relationship) for state in states):
            return True
        other_is_there = (
            not relationship.mapper.common_parent(relationship.parent) and relationship.mapper in self.mappers
        )
        return bool(states) and other_is_there

    def _follow_deleted(self, state: State, relationship: Relationship) -> None:
        if relationship.direction is RelationshipDirection.ONETOMANY:
            self._leave_children(state, relationship)
            return
        if relationship.direction is RelationshipDirection.MANYTOMANY:
            if not relationship.passive_deletes and is_unloaded(state, relationship):
                self.would_load(state, relationship.key)
            return
        cascades = relationship.cascade.delete or relationship.cascade.delete_orphan
        # The order of the deletions follows from what is referred to.
        matters = cascades or not knows_reference(state, relationship)
        if matters and not relationship.passive_deletes and is_unloaded(state, relationship):
            self.would_load(state, relationship.key)
        if cascades:
            found = related(state, relationship, deleted=True)
            gone = found.deleted if relationship.cascade.delete_orphan else ()
            for target in _there((*found.added, *found.unchanged, *gone)):
                self._delete(target, relationship)

    def _leave_children(self, state: State, relationship: Relationship) -> None:
        """*state* goes: its children are deleted with it, or refer to nothing from now on."""
        found = related(state, relationship, deleted=True)
        for child in _there(found.deleted):
            if has_lost_parent(child, relationship):
                self.register(child, deleted=relationship.cascade.delete_orphan, relationship=relationship)
        if relationship.cascade.delete or relationship.passive_deletes == "all":
            return
        if not relationship.passive_deletes and is_unloaded(state, relationship):
            self.would_load(state, relationship.key)
        for child in _there(found.unchanged):
            self.register(child, relationship=relationship)

    def _follow_saved(self, state: State, relationship: Relationship) -> None:
        if relationship.direction is RelationshipDirection.ONETOMANY:
            self._follow_children(state, relationship)
        elif relationship.cascade.delete_orphan:
            if relationship.direction is RelationshipDirection.MANYTOONE and not relationship.passive_deletes:
                self._needs_old(state, relationship)
            for target in _there(related(state, relationship).deleted):
                if has_lost_parent(target, relationship):
                    self._delete(target, relationship)
        if _is_rewritten(relationship) and is_unloaded(state, relationship) and key_changed(state, relationship):
            self.would_load(state, relationship.key)

    def _needs_old(self, state: State, relationship: Relationship) -> None:
        if relationship.key in state.committed_state and is_unloaded(state, relationship):
            self.would_load(state, relationship.key)

    def _follow_children(self, state: State, relationship: Relationship) -> None:
        found = related(state, relationship)
        for child in _there(found.added):
            self.register(child, kept=True, relationship=relationship)
        for child in _there(found.deleted):
            if relationship.cascade.delete_orphan:
                if has_lost_parent(child, relationship):
                    self._delete(child, relationship)
            elif relationship.passive_deletes != "all":
                self.register(child, relationship=relationship)
        if state.has_identity and key_changed(state, relationship):
            for child in _there(found.unchanged):
                self.register(child, only_listed=relationship.passive_updates, relationship=relationship)

    def _delete(self, state: State, relationship: Relationship) -> None:
        """Delete *state*, and all that its relationships delete with it."""
        self.register(state, deleted=True, relationship=relationship)
        for child, through in self._deleted_with(state, {state}):
            self.register(child, deleted=True, relationship=through)

    def _deleted_with(self, state: State, seen: set[State]) -> Iterator[tuple[State, Relationship]]:
        for relationship in state.mapper.relationships:
            if not relationship.cascade.delete:
                continue
            if not relationship.passive_deletes and is_unloaded(state, relationship):
                self.would_load(state, relationship.key)
            found = related(state, relationship, deleted=True)
            for child in _there((*found.added, *found.unchanged)):
                if child not in seen:
                    seen.add(child)
                    yield child, relationship
                    yield from self._deleted_with(child, seen)


def _there(states: Iterable[State | None]) -> Iterator[State]:
    """Those that are objects: a collection may have a None in it."""
    return (state for state in states if state is not None)


def _is_rewritten(relationship: Relationship) -> bool:
    """Whether the flush, and not the database, sees to the rows that refer to a primary key that has changed."""
    return relationship.direction is not RelationshipDirection.MANYTOONE and not relationship.passive_updates


def _is_always_loaded(relationship: Relationship) -> bool:
    """Whether the flush loads a many-to-one in any case, to see who may be left without a parent."""
    return (
        relationship.direction is RelationshipDirection.MANYTOONE
        and relationship.cascade.delete_orphan
        and not relationship.passive_deletes
    )


def _havers(relationship: Relationship) -> list[Mapper[Any]]:
    """The mappers that have *relationship*, that of its class first."""
    return [
        mapper
        for mapper in relationship.parent.self_and_descendants
        if mapper.relationships.get(relationship.key) is relationship
    ]
