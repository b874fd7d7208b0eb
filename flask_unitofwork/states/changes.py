"""What the next flush would do, as records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, overload

from .attributes import AttributeChange

__all__ = ["Action", "PendingChange", "PendingChanges", "Unloaded"]


class Action(Enum):
    """What is done to a row."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, repr=False)
class PendingChange:
    """One row that the next flush would write. An object whose class is mapped to several tables has one in each.

    Its ``repr`` has names and the primary key, and no other values, so that it can be written to a log.

    Attributes:
        action: what is done.
        table: the table's name, with its schema if it has one.
        obj: the object whose row it is; None for a row of an association table.
        primary_key: the row's, as far as it is known: None for a row whose key the database will make, and for a row
            of an association table.
        attributes: what is written. Of a row that is deleted, nothing; of one in an association table, its columns.
        relationship: the one that asks for it, such as ``"Order.lines"``, where nobody wrote it of the object itself.
    """

    action: Action
    table: str
    obj: object | None
    primary_key: tuple[Any, ...] | None
    attributes: tuple[AttributeChange, ...]
    relationship: str | None = None

    def __repr__(self) -> str:
        key = "" if self.primary_key is None else f" {self.primary_key!r}"
        names = "".join(f" {change.name}" for change in self.attributes)
        via = "" if self.relationship is None else f", by {self.relationship}"
        return f"<{self.action.value} {self.table}{key}{':' if names else ''}{names}{via}>"


@dataclass(frozen=True, slots=True, repr=False)
class Unloaded:
    """What the next flush would have to load before it can tell what it has to write.

    Attributes:
        obj: the object that it belongs to.
        attribute: its attribute, such as ``"Customer.orders"``.
    """

    obj: object
    attribute: str

    def __repr__(self) -> str:
        return f"<Unloaded {self.attribute}>"


@dataclass(frozen=True, slots=True, repr=False)
class PendingChanges(Sequence[PendingChange]):
    """What the next flush would do, in its order: a sequence of `PendingChange`.

    Attributes:
        unloaded: what the flush would load first. Where there is something, what is found there may be written, too.
    """

    rows: tuple[PendingChange, ...] = ()
    unloaded: tuple[Unloaded, ...] = ()

    @property
    def inserts(self) -> tuple[PendingChange, ...]:
        """The rows that would be new, in the order of the flush."""
        return self._only(Action.INSERT)

    @property
    def updates(self) -> tuple[PendingChange, ...]:
        """The rows that would change, in the order of the flush."""
        return self._only(Action.UPDATE)

    @property
    def deletes(self) -> tuple[PendingChange, ...]:
        """The rows that would go, in the order of the flush."""
        return self._only(Action.DELETE)

    @overload
    def __getitem__(self, index: int) -> PendingChange: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[PendingChange, ...]: ...

    def __getitem__(self, index: int | slice) -> PendingChange | tuple[PendingChange, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[PendingChange]:
        return iter(self.rows)

    def __repr__(self) -> str:
        after = [f"after loading {', '.join(one.attribute for one in self.unloaded)}"] if self.unloaded else []
        return f"<PendingChanges: {', '.join([*after, *map(repr, self.rows)]) or 'none'}>"

    def _only(self, action: Action) -> tuple[PendingChange, ...]:
        return tuple(row for row in self.rows if row.action is action)
