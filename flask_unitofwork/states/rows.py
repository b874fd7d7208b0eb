"""The rows that the next flush would write: its steps played through, with nothing sent and nothing set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Column, Table, inspect
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.base import LoaderCallableStatus

from .attributes import Absent, AttributeChange, history_of
from .changes import Action, PendingChange
from .fates import Fates
from .references import References
from .related import State
from .steps import Kind, Step
from .tables import columns_of, primary_key_names, sorted_tables, table_name

__all__ = ["Rows"]


class Rows:
    """Plays the steps of a flush through.

    Args:
        fates: what becomes of each object.

    Attributes:
        written: the rows, in their order.
    """

    def __init__(self, fates: Fates) -> None:
        self._fates = fates
        self._references = References(fates)
        self._switched: dict[State, State] = {}
        self.written: list[PendingChange] = []

    def play(self, step: Step, states: Sequence[State]) -> None:
        """Do what *step* does to *states*."""
        about = step.about
        if not isinstance(about, Mapper):
            self.written += self._references.relate(about, states, deleted=step.deleted)
        elif step.kind is Kind.SAVE:
            for batch in _batches(about, states):
                self._save(about, batch)
        elif step.kind is Kind.DELETE:
            self._delete(about, [state for state in states if not self._fates[state].only_listed])
        else:
            self._post_update(about, deleted=step.deleted)

    def _save(self, base: Mapper[Any], states: Sequence[State]) -> None:
        for state in states:
            self._switch(state)
        for table in sorted_tables(base):
            there = [state for state in states if table in state.mapper.tables]
            for state in there:
                if state.has_identity or state in self._switched:
                    self._update(state, table)
            for state in there:
                if not (state.has_identity or state in self._switched):
                    self._insert(state, table)

    def _switch(self, state: State) -> None:
        """Where a new object has the key of a deleted one, its row is updated instead."""
        key = self._references.primary_key(state)
        if state.has_identity or key is None:
            return
        session = state.session
        assert session is not None, "what is flushed is in a session"
        existing = session.identity_map.get(state.mapper.identity_key_from_primary_key(key))
        if existing is None:
            return
        other: State = inspect(existing)
        fate = self._fates.get(other)
        if fate is not None and fate.deleted:
            fate.only_listed = True
            self._switched[state] = other

    def _insert(self, state: State, table: Table) -> None:
        values = {name: self._references.value(state, name) for name in columns_of(state.mapper, table)}
        given = tuple(
            AttributeChange(name, Absent.NOT_SET, value)
            for name, value in values.items()
            if value is not None and value is not Absent.NOT_SET
        )
        self._write(Action.INSERT, table, state, self._references.primary_key(state), given)

    def _update(self, state: State, table: Table) -> None:
        mapper = state.mapper
        switched = self._switched.get(state)
        changed = tuple(self._changed(state, columns_of(mapper, table)))
        if changed or self._counts_version(state, table):
            self._write(Action.UPDATE, table, switched or state, (switched or state).identity, changed, obj=state)

    def _changed(self, state: State, columns: Mapping[str, Column[Any]]) -> Iterator[AttributeChange]:
        switched = self._switched.get(state)
        for name, column in columns.items():
            if name not in self._references.set[state] and name not in state.committed_state:
                continue
            if switched is not None and name in primary_key_names(state.mapper):
                continue
            old = state.committed_state.get(name, state.dict.get(name, Absent.NOT_LOADED))
            if isinstance(old, LoaderCallableStatus):
                old = Absent.NOT_LOADED if switched is None else switched.dict.get(name, Absent.NOT_LOADED)
                same = False
            else:
                same = _is_same(column, old, self._references.value(state, name))
            if not same:
                yield AttributeChange(name, old, self._references.value(state, name))

    def _counts_version(self, state: State, table: Table) -> bool:
        """Whether the row is updated for its version's sake: what has changed is in another table of the object."""
        version = state.mapper.version_id_col
        if version is None or version not in columns_of(state.mapper, table).values():
            return False
        return bool(self._references.set[state]) or any(
            history_of(state, attribute.key).added for attribute in state.mapper.column_attrs
        )

    def _post_update(self, base: Mapper[Any], *, deleted: bool) -> None:
        waiting = self._references.post_updates[base]
        states = _sorted(base, [state for state in waiting if self._fates[state].deleted == deleted])
        for table in sorted_tables(base):
            for state in states:
                columns = columns_of(state.mapper, table)
                later = {name: column for name, column in columns.items() if column in waiting[state]}
                changed = tuple(self._changed(state, later))
                if changed:
                    self._write(Action.UPDATE, table, state, self._references.primary_key(state), changed)

    def _delete(self, base: Mapper[Any], states: Sequence[State]) -> None:
        for table in reversed(sorted_tables(base)):
            for state in _sorted(base, states):
                if table in state.mapper.tables and not _goes_by_itself(base, table):
                    self._write(Action.DELETE, table, state, state.identity, ())

    def _write(
        self,
        action: Action,
        table: Table,
        state: State,
        key: tuple[Any, ...] | None,
        attributes: tuple[AttributeChange, ...],
        *,
        obj: State | None = None,
    ) -> None:
        state = obj or state
        self.written.append(
            PendingChange(action, table_name(table), state.obj(), key, attributes, self._fates[state].relationship)
        )


def _goes_by_itself(base: Mapper[Any], table: Table) -> bool:
    """Whether the database deletes the row of *table* with the one that it extends."""
    owner = next(mapper for mapper in base.self_and_descendants if table in mapper.tables)
    return owner.inherits is not None and bool(owner.passive_deletes)


def _batches(base: Mapper[Any], states: Sequence[State]) -> Iterator[Sequence[State]]:
    """*states* in the order in which they are saved: together, unless the mapper says one by one."""
    ordered = _sorted(base, states)
    if base.batch:
        yield ordered
    else:
        yield from ([state] for state in ordered)


def _sorted(base: Mapper[Any], states: Iterable[State]) -> list[State]:
    """Those without a row in the order in which they were added, then the others by primary key."""
    everyone = list(states)
    makers = [column.type.sort_key_function for column in base.primary_key]

    def sort_key(state: State) -> tuple[Any, ...]:
        identity: tuple[Any, ...] = state.identity or ()
        return tuple(value if make is None else make(value) for make, value in zip(makers, identity, strict=True))

    pending = sorted((one for one in everyone if one.key is None), key=lambda state: state.insert_order or 0)
    return [*pending, *sorted((one for one in everyone if one.key is not None), key=sort_key)]


def _is_same(column: Column[Any], old: Any, new: Any) -> bool:
    if isinstance(new, (Absent, ClauseElement)) or hasattr(new, "__clause_element__"):
        return False
    return column.type.compare_values(old, new) is True
