"""An attribute's old and new value, and why there may be none. Reading them never loads anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from sqlalchemy.orm import InstanceState, PassiveFlag
from sqlalchemy.orm.attributes import History, get_history
from sqlalchemy.orm.base import LoaderCallableStatus

__all__ = ["Absent", "AttributeChange", "attribute_changes", "history_of"]

# What PASSIVE_NO_INITIALIZE is to type checkers: no value is loaded, and no empty collection is made.
_AS_IT_IS: Final[PassiveFlag] = PassiveFlag.PASSIVE_NO_INITIALIZE
_AS_IT_IS_WITH_BACKREFS: Final[PassiveFlag] = _AS_IT_IS | PassiveFlag.INCLUDE_PENDING_MUTATIONS


class Absent(Enum):
    """Why a record has no value."""

    NOT_LOADED = "not loaded"
    """The value is in the database, and nobody has loaded it."""
    NOT_SET = "not set"
    """There never was one."""
    NOT_YET = "not yet"
    """The database will make it, such as the primary key of a new row."""

    def __repr__(self) -> str:
        return f"<{self.value}>"


@dataclass(frozen=True, slots=True, repr=False)
class AttributeChange:
    """What became of one attribute since it was loaded or last flushed.

    Its ``repr`` has the name alone, so that a log line of it shows nobody's data.

    Attributes:
        name: the attribute; the column, for a row of an association table.
        old: the value in the database, or why there is none to tell. Of a collection, a tuple of what was removed.
        new: the value now. Of a collection, a tuple of what was added.
    """

    name: str
    old: Any
    new: Any

    def __repr__(self) -> str:
        return f"<AttributeChange {self.name}>"


def history_of(state: InstanceState[Any], name: str, *, with_backrefs: bool = False) -> History:
    """The history of the attribute *name*, as far as it is known without asking the database.

    Args:
        state: the object's.
        name: a mapped attribute.
        with_backrefs: also what backrefs have put into, or taken out of, a collection that is not loaded.
    """
    return get_history(state.obj(), name, _AS_IT_IS_WITH_BACKREFS if with_backrefs else _AS_IT_IS)


def attribute_changes(state: InstanceState[Any]) -> tuple[AttributeChange, ...]:
    """What has changed in an object since it was loaded or last flushed: its columns first, then its relationships."""
    changes: list[AttributeChange] = []
    for column in state.mapper.column_attrs:
        history = history_of(state, column.key)
        if history.has_changes():
            changes.append(AttributeChange(column.key, _old(state, column.key, history), _sole(history.added)))
    for relationship in state.mapper.relationships:
        history = history_of(state, relationship.key, with_backrefs=True)
        if not history.has_changes():
            continue
        if relationship.uselist:
            changed = AttributeChange(relationship.key, tuple(history.deleted or ()), tuple(history.added or ()))
        else:
            changed = AttributeChange(relationship.key, _old(state, relationship.key, history), _sole(history.added))
        changes.append(changed)
    return tuple(changes)


def _old(state: InstanceState[Any], name: str, history: History) -> Any:
    if history.deleted:
        return _sole(history.deleted)
    if not state.has_identity:
        return Absent.NOT_SET
    before = state.committed_state.get(name, LoaderCallableStatus.NO_VALUE)
    return Absent.NOT_LOADED if isinstance(before, LoaderCallableStatus) else before


def _sole(values: Iterable[Any] | None) -> Any:
    return next(iter(values or ()), None)
