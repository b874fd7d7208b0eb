"""What a result holds, as its caller wants it: one thing a row where one was selected, else the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .statement import needs_unique

if TYPE_CHECKING:
    from sqlalchemy import Result, Row

__all__ = ["Rows", "rows_of", "sole", "unrepeated"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """Rows that were fetched.

    Attributes:
        items: the rows, or what is in them if that is one thing.
        exact: whether these are as many as the database gave; False if repeated ones may have been dropped.
    """

    items: list[T]
    exact: bool


def rows_of(result: Result[*tuple[Any, ...]]) -> Rows[Any]:
    """Fetch all of *result*."""
    exact = not needs_unique(result)
    return Rows([sole(row) for row in unrepeated(result)], exact=exact)


def sole(row: Row[*tuple[Any, ...]]) -> Any:
    """What is in *row* if that is one thing, else the row."""
    # The row's length, not the result's keys: an alias without a name has none.
    return row[0] if len(row) == 1 else row


def unrepeated(result: Result[*tuple[Any, ...]]) -> Result[*tuple[Any, ...]]:
    """*result*, each object once where SQLAlchemy asks for that: it loads collections in the same rows."""
    return result.unique() if needs_unique(result) else result
