"""The rows after a place in an order, as SQL that an index can serve.

Note "stretches": ``a > x OR a IS NULL`` is no range of any index, so a database would walk the index from its
beginning or sort all that is left. Where the first column may be NULL, its NULLs and its values are therefore read
one after the other, each with a statement of its own, and the second only if the first has not filled the page.

Note "bounds": where columns of one direction follow one another, PostgreSQL and SQLite compare them as one row value,
which is one range of an index. MySQL and MariaDB find the ranges in the spelled-out comparison themselves. Where a
comparison is an OR, its first column is bounded beside it, so that an index has a place to begin at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, false, literal, or_, tuple_

from .sort_key import AsStored, KeyColumn

__all__ = ["Stretch", "stretches"]

_HAS_ROW_VALUES: Final = frozenset({"cockroachdb", "postgresql", "sqlite"})


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the rows: all before those of the next part.

    Attributes:
        condition: which rows; None for all.
        order_by: their order.
    """

    condition: ColumnElement[bool] | None
    order_by: list[ColumnElement[Any]]


def stretches(key: Sequence[KeyColumn], values: Sequence[Any]) -> list[Stretch]:
    """Give the rows after a place, in one part or two: note "stretches".

    Args:
        key: the order.
        values: the place, a value for each column; empty for the place before the first row.
    """
    first, *rest = key
    order = [clause for column in key for clause in column.order_by(confined=column is first)]
    nulls, others = first.compared.is_(None), first.compared.is_not(None)
    if not first.nullable:
        conditions = [_after(key, values, nulls=True) if values else None]
    elif not values:
        conditions = [None] if first.has_natural_nulls else [nulls, others] if first.nulls_first else [others, nulls]
    elif values[0] is None:
        conditions = [and_(nulls, _after(rest, values[1:], nulls=True)), *([others] if first.nulls_first else [])]
    else:
        conditions = [_after(key, values, nulls=False), *([] if first.nulls_first else [nulls])]
    return [Stretch(condition, order) for condition in conditions]


def _after(key: Sequence[KeyColumn], values: Sequence[Any], *, nulls: bool) -> ColumnElement[bool]:
    """The rows after a place.

    Args:
        key: the order.
        values: the place, a value for each column.
        nulls: whether NULLs of the first column are among them, where they come last.
    """
    if not key:
        return false()
    first, length = key[0], _row_value_length(key, values, nulls=nulls)
    rest = _after(key[length:], values[length:], nulls=True)
    if values[0] is None:
        others = first.compared.is_not(None) if first.nulls_first else false()
        return or_(others, and_(first.compared.is_(None), rest))
    ours, place = _row_value(key[:length], values[:length])
    beyond = ours < place if first.descending else ours > place
    if nulls and first.nullable and not first.nulls_first:
        return or_(beyond, first.compared.is_(None), and_(ours == place, rest))
    if length == len(key):
        return beyond
    bound = ours <= place if first.descending else ours >= place
    return and_(bound, or_(beyond, and_(ours == place, rest)))


def _row_value_length(key: Sequence[KeyColumn], values: Sequence[Any], *, nulls: bool) -> int:
    """How many columns from the first on are compared as one: note "bounds"."""
    first = key[0]
    # A row value that begins with NULL is neither larger nor smaller than another: right where NULLs are not wanted.
    if first.backend not in _HAS_ROW_VALUES or values[0] is None or (nulls and first.nullable):
        return 1
    length = 1
    for column, value in zip(key[1:], values[1:], strict=True):
        if column.nullable or value is None or column.descending != first.descending:
            break
        length += 1
    return length


def _row_value(key: Sequence[KeyColumn], values: Sequence[Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    places = [literal(value, AsStored()) for value in values]
    if len(key) == 1:
        return key[0].compared, places[0]
    return tuple_(*(column.compared for column in key)), tuple_(*places)
