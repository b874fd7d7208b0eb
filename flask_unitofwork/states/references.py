"""Foreign keys and association rows: what relationships make of objects while they are flushed.

Note: keys that nobody knows yet
    A flush writes a parent, learns its key, and gives it to the children. Played through, the key of a new row is
    `Absent.NOT_YET`, and so are the foreign keys that refer to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import ClauseElement, ColumnElement, Table
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.interfaces import RelationshipDirection

from .attributes import Absent, AttributeChange
from .changes import Action, PendingChange
from .fates import Fates
from .related import (
    Related,
    Relationship,
    State,
    column_name,
    has_lost_parent,
    identity_of,
    key_changed,
    name_of,
    related,
)
from .tables import primary_key_names, table_name

__all__ = ["References"]


class References:
    """What the flush would set in objects, without setting it.

    Args:
        fates: what becomes of each object.

    Attributes:
        set: by object and attribute, the foreign keys that are set.
        post_updates: by base mapper and object, the columns that are written once all rows are there.
    """

    def __init__(self, fates: Fates) -> None:
        self._fates = fates
        self._related_rows: set[tuple[frozenset[Relationship], State, State]] = set()
        self._new_children: defaultdict[Relationship, set[State | None]] = defaultdict(set)
        self.set: defaultdict[State, dict[str, Any]] = defaultdict(dict)
        self.post_updates: defaultdict[Mapper[Any], dict[State, set[ColumnElement[Any]]]] = defaultdict(dict)

    def relate(self, relationship: Relationship, states: Iterable[State], *, deleted: bool) -> Iterator[PendingChange]:
        """Set the foreign keys of *relationship* of each of *states*, and give its association rows."""
        if relationship.direction is RelationshipDirection.MANYTOMANY:
            yield from self._associate(relationship, states, deleted=deleted)
            return
        to_many = relationship.direction is RelationshipDirection.ONETOMANY
        for state in states:
            found = related(state, relationship, deleted=deleted)
            if to_many and deleted:
                self._leave(relationship, found)
            elif to_many:
                self._take(relationship, state, found)
            elif deleted:
                self._let_go(relationship, state, found)
            else:
                self._refer(relationship, state, found)

    def _take(self, relationship: Relationship, parent: State, found: Related) -> None:
        """A parent is saved: its children refer to it."""
        self._new_children[relationship].update(found.added)
        for child in found.added:
            if child is not None:
                self._refer_to(relationship, parent, child)
                if relationship.post_update:
                    self._register_post_update(relationship, child)
        if not relationship.cascade.delete_orphan and relationship.passive_deletes != "all":
            for child in found.deleted:
                if child is not None and has_lost_parent(child, relationship):
                    self._refer_to(relationship, None, child)
        if parent.has_identity and key_changed(parent, relationship):
            for child in found.unchanged:
                if child is not None:
                    self._refer_to(relationship, parent, child)

    def _leave(self, relationship: Relationship, found: Related) -> None:
        """A parent is deleted: its children refer to nothing."""
        if relationship.passive_deletes == "all" and not relationship.post_update:
            return
        left = [child for child in found.deleted if child is not None and has_lost_parent(child, relationship)]
        if relationship.post_update or not relationship.cascade.delete:
            left += [child for child in found.unchanged if child is not None]
        for child in left:
            if child not in self._new_children[relationship]:
                self._refer_to(relationship, None, child)
                if relationship.post_update:
                    self._register_post_update(relationship, child)

    def _refer(self, relationship: Relationship, child: State, found: Related) -> None:
        """The child of a many-to-one is saved: it refers to its parent."""
        if found.added:
            for parent in found.added:
                if parent is None or parent.obj() in _session_of(child):
                    self._refer_to(relationship, parent, child)
        elif found.deleted:
            self._refer_to(relationship, None, child)
        if relationship.post_update and found:
            self._register_post_update(relationship, child)

    def _let_go(self, relationship: Relationship, child: State, found: Related) -> None:
        """The child of a many-to-one with ``post_update`` is deleted: it refers to nothing before that."""
        if (
            relationship.post_update
            and not relationship.cascade.delete_orphan
            and relationship.passive_deletes != "all"
        ):
            self._refer_to(relationship, None, child)
            if any(one is not None for one in found):
                self._register_post_update(relationship, child)

    def _refer_to(self, relationship: Relationship, parent: State | None, child: State) -> None:
        fate = self._fates.get(child)
        if not relationship.post_update and fate is not None and fate.deleted:
            return
        for source, target in relationship.synchronize_pairs:
            value = None if parent is None else self._key(parent, source)
            self.set[child][column_name(child, target)] = value

    def _register_post_update(self, relationship: Relationship, state: State) -> None:
        columns = self.post_updates[state.mapper.base_mapper].setdefault(state, set())
        columns.update(target for _, target in relationship.synchronize_pairs)

    def _associate(
        self, relationship: Relationship, states: Iterable[State], *, deleted: bool
    ) -> Iterator[PendingChange]:
        gone: list[dict[str, Any]] = []
        new: list[dict[str, Any]] = []
        for state in states:
            found = related(state, relationship, deleted=deleted)
            if deleted:
                gone += self._associations(relationship, state, (*found.unchanged, *found.deleted))
            else:
                new += self._associations(relationship, state, found.added)
                gone += self._associations(relationship, state, found.deleted)
        assert isinstance(relationship.secondary, Table)
        table, name = table_name(relationship.secondary), name_of(relationship)
        keys = [column.key for column in relationship.secondary.columns]
        for row in gone:
            columns = tuple(AttributeChange(key, row[key], Absent.NOT_SET) for key in keys if key in row)
            yield PendingChange(Action.DELETE, table, None, None, columns, name)
        for row in new:
            columns = tuple(AttributeChange(key, Absent.NOT_SET, row[key]) for key in keys if key in row)
            yield PendingChange(Action.INSERT, table, None, None, columns, name)

    def _associations(
        self, relationship: Relationship, state: State, others: Iterable[State | None]
    ) -> Iterator[dict[str, Any]]:
        both_ways = frozenset({relationship, *_reverse(relationship)})
        for other in others:
            # The relationship on the other side has seen to it already, if there is one.
            if other is None or (both_ways, other, state) in self._related_rows:
                continue
            self._related_rows.add((both_ways, state, other))
            if other.obj() in _session_of(state):
                row = {str(target.key): self._key(state, source) for source, target in relationship.synchronize_pairs}
                pairs = relationship.secondary_synchronize_pairs or ()
                yield row | {str(target.key): self._key(other, source) for source, target in pairs}

    # -- values --------------------------------------------------------------------------------------------------

    def value(self, state: State, name: str) -> Any:
        """The value that an attribute has when its row is written."""
        if name in self.set[state]:
            return self.set[state][name]
        if name in state.dict:
            return state.dict[name]
        identity = identity_of(state)
        return identity.get(name, Absent.NOT_LOADED if state.has_identity else Absent.NOT_SET)

    def _key(self, state: State, column: ColumnElement[Any]) -> Any:
        """What others refer to *state* by."""
        name = column_name(state, column)
        value = self.value(state, name)
        if value is Absent.NOT_LOADED:
            self._fates.would_load(state, name)
        if value is Absent.NOT_SET or (value is None and not state.has_identity):
            return Absent.NOT_YET
        return value

    def primary_key(self, state: State) -> tuple[Any, ...] | None:
        """The primary key of the row of *state*, as far as it is known."""
        values = tuple(self.value(state, name) for name in primary_key_names(state.mapper))
        unknown = any(value is None or isinstance(value, (Absent, ClauseElement)) for value in values)
        return None if unknown else values


def _session_of(state: State) -> Session:
    assert state.session is not None, "what is flushed is in a session"
    return state.session


def _reverse(relationship: Relationship) -> Collection[Relationship]:
    """The relationships that are the other side of *relationship*.

    Private: the public name of one is what was written in ``back_populates``, which a ``backref`` does not have. A test
    fails if the name is gone.
    """
    return relationship._reverse_property
