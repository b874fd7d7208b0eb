"""What a flush really writes, row by row, in the form in which it was foretold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Delete, Engine, Insert, Table, Update, event
from sqlalchemy.orm import Session

from flask_unitofwork import Absent
from flask_unitofwork.states import PendingChange, PendingChanges

__all__ = ["Row", "foretold", "is_as_foretold", "written_by_flush"]

ASSOCIATIONS = {"order_label"}
VERSIONS = {"version"}


@dataclass(frozen=True)
class Row:
    """A row that is written: by its key if it exists, with what is written."""

    action: str
    table: str
    key: tuple[Any, ...] | None
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.action, self.table, tuple(sorted(self.values))

    def fits(self, other: Row) -> bool:
        """Whether *other*, which was foretold, is this row. A key that was not known fits any."""
        same_row = self.action == "insert" or other.key in (None, self.key)
        return (
            same_row
            and self.shape == other.shape
            and all(
                (value is not None if other.values[name] is Absent.NOT_YET else bool(value == other.values[name]))
                for name, value in self.values.items()
            )
        )


def foretold(changes: PendingChanges) -> list[Row]:
    return [_row_of(change) for change in changes]


def _row_of(change: PendingChange) -> Row:
    if change.table in ASSOCIATIONS:
        values = {one.name: one.old if change.action.value == "delete" else one.new for one in change.attributes}
    else:
        values = {one.name: one.new for one in change.attributes}
    return Row(change.action.value, change.table, change.primary_key, values)


def written_by_flush(session: Session, engine: Engine) -> list[Row]:
    """Flush *session*, and tell what it has written."""
    rows: list[Row] = []

    def note(_connection: Connection, clause: Any, many: Any, one: Mapping[str, Any], _options: object) -> None:
        if isinstance(clause, (Insert, Update, Delete)):
            assert isinstance(clause.table, Table)
            rows.extend(_rows(clause, clause.table, many or [one]))

    event.listen(engine, "before_execute", note)
    try:
        session.flush()
    finally:
        event.remove(engine, "before_execute", note)
    return rows


def _rows(statement: Insert | Update | Delete, table: Table, parameters: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    for given in parameters:
        columns = {column.key: given[column.key] for column in table.c if column.key in given}
        if table.name in ASSOCIATIONS:
            yield Row(statement.__visit_name__, table.name, None, columns)
        elif isinstance(statement, Insert):
            child = table.name == "express"  # its key is the one that the row it extends was given
            values = {
                name: value
                for name, value in columns.items()
                if value is not None and name not in VERSIONS and not (child and name == "id")
            }
            yield Row("insert", table.name, None, values)
        elif isinstance(statement, Update):
            key = tuple(given[f"{table.name}_{column.name}"] for column in table.primary_key)
            yield Row("update", table.name, key, {name: v for name, v in columns.items() if name not in VERSIONS})
        else:
            yield Row("delete", table.name, tuple(given[column.key] for column in table.primary_key))


def is_as_foretold(rows: list[Row], expected: list[Row], *, ordered: bool) -> bool:
    """Whether the flush has written what was foretold, in that order.

    Args:
        rows: what it has written.
        expected: what was foretold.
        ordered: otherwise the classes depend on one another in a circle, and SQLAlchemy leaves some of the order open.
    """
    if not ordered:
        return _same(rows, expected)
    ours, theirs = _grouped(rows), _grouped(expected)
    return len(ours) == len(theirs) and all(
        _same(one, other) if one[0].table in ASSOCIATIONS else _same_in_order(one, other)
        for one, other in zip(ours, theirs, strict=True)
    )


def _grouped(rows: list[Row]) -> list[list[Row]]:
    """Rows of an association table have no order among themselves."""
    return [list(group) for _, group in groupby(rows, key=lambda row: (row.action, row.table))]


def _same_in_order(rows: list[Row], expected: list[Row]) -> bool:
    return len(rows) == len(expected) and all(row.fits(other) for row, other in zip(rows, expected, strict=True))


def _same(rows: list[Row], expected: list[Row]) -> bool:
    # Those of which most is known first: a key that was not known fits any.
    left = sorted(expected, key=lambda row: list(row.values.values()).count(Absent.NOT_YET))
    for row in rows:
        match = next((other for other in left if row.fits(other)), None)
        if match is None:
            return False
        left.remove(match)
    return not left
