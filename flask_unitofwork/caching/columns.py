"""What a result is asked for by: not pickled with it, and so taken from the statement that is answered.

Rows are asked for columns by their names and by what was selected, such as ``row._mapping[Product.name]``; and ``unique()``
takes two objects for one if they are the same object, though their class may have an ``__eq__`` and no hash.

Note: a private name of SQLAlchemy's
    By what ``unique()`` tells rows is an argument without a public name, ``_create_unique_filters``.
    ``tests/caching/test_columns.py`` fails if it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Executable, Select
from sqlalchemy.engine.result import ResultMetaData, SimpleResultMetaData
from sqlalchemy.orm import FromStatement

from .values import as_bytes

__all__ = ["metadata_of"]


def metadata_of(statement: Executable, kept: ResultMetaData) -> ResultMetaData:
    """The columns of the result of *statement*, of which the names are *kept*."""
    selected, known = _selected(statement), list(kept.keys)
    if len(known) != sum(column.name is not None for column in selected):
        return kept
    # An alias of a class has no name.
    names: list[Any] = [None if column.name is None else known.pop(0) for column in selected]
    filters = [column.unique_by for column in selected]
    return SimpleResultMetaData(
        names, extra=[(column.given,) for column in selected], _create_unique_filters=lambda _: filters
    )


class _Selected(NamedTuple):
    """A column that is selected: what it was selected by, its name, and what ``unique()`` tells its values by."""

    given: Any
    name: str | None
    unique_by: Callable[[Any], Any] | None


def _selected(statement: Any) -> Sequence[_Selected]:
    if isinstance(statement, (Select, FromStatement)):
        return [_Selected(one["expr"], one["name"], _filter_of(one)) for one in statement.column_descriptions]
    return [_Selected(one, one.name, _filter_of({"type": one.type})) for one in statement.exported_columns]


def _filter_of(column: Any) -> Callable[[Any], Any] | None:
    """By what ``unique()`` tells the values of *column*; None for by themselves."""
    entity = column.get("entity")
    if entity is not None and column["expr"] is entity:
        return id
    return None if getattr(column["type"], "hashable", True) else as_bytes
