"""Pages by key: each goes on from the last row's sort key, so the thousandth costs as much as the first.

What number a page has and how many there are is not known, and no row is missed or shown twice because others came or
went in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, TypeVarTuple

from flask import abort
from sqlalchemy import Select, inspect

from ..exceptions import PaginationError
from .arguments import MAX_PER_PAGE, page_size, request_argument
from .bookmark import EDGE, read_bookmark, write_bookmark
from .position import stretches
from .results import sole, unrepeated
from .sort_key import KeyColumn, sort_key
from .statement import AnySelect, Shape, entities, shape_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["KeysetPagination", "paginate_by_key"]

T = TypeVar("T")
T2 = TypeVar("T2")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysetPagination(Generic[T]):
    """One page of a select's rows, and the bookmarks of its neighbours. Iterating over it gives its items.

    Attributes:
        items: the rows of this page: objects for a select of one entity or column, else :class:`~sqlalchemy.Row`.
        per_page: rows on a full page.
        next: what ``after`` has to be for the next page; None on the last.
        previous: what ``before`` has to be for the previous page; None on the first. Where a page was reached with
            ``after``, the row before it was there a moment ago, and is taken to be there still.
    """

    items: list[T]
    per_page: int
    next: str | None
    previous: str | None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    @property
    def has_next(self) -> bool:
        """Whether there is a page after this one."""
        return self.next is not None

    @property
    def has_prev(self) -> bool:
        """Whether there is a page before this one."""
        return self.previous is not None


def paginate_by_key(
    session: Session,
    statement: AnySelect,
    *,
    after: str | None = None,
    before: str | None = None,
    per_page: int | None = None,
    max_per_page: int | None = MAX_PER_PAGE,
) -> KeysetPagination[Any]:
    """Give the page of *statement*'s rows that comes after, or before, a bookmark.

    The rows are ordered by the select's ORDER BY and then by the primary key, in the direction of its last column. An
    index on just those columns makes every page cost the same.

    Args:
        session: runs the statements: one, or two where the first column of the order may be NULL.
        statement: what to cut into pages. It must have no LIMIT and no OFFSET.
        after: the bookmark that the page follows; left out with *before*, the request's arguments ``after`` and
            ``before``, else the first page.
        before: the bookmark that the page precedes.
        per_page: rows a page; left out, the request's argument ``per_page``, else 20.
        max_per_page: rows a page at most, whoever asks; None for no limit.

    Returns:
        The page. It may be empty.

    Raises:
        NotFound: the request's bookmark was altered, is of another order, or there are two; or its ``per_page`` is no
            whole number from 1.
        PaginationError: code gave such a value; or the select cannot be continued from a key.
    """
    size = page_size(per_page, max_per_page, clamp=False)
    select, shape = _continuable(statement)
    key = sort_key(select, shape, _backend(session, select))
    place = _place(after, before, key)
    return _page(_rows(session, select, shape, key, place, size + 1), place, size)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins.

    Attributes:
        order: tells one order from another.
        values: the sort key of the row beside the page; None for either end of all rows.
        backward: whether the page comes before it.
    """

    order: str
    values: Sequence[Any]
    backward: bool


@dataclass(frozen=True, slots=True)
class _KeyedRow:
    item: Any
    key: tuple[Any, ...]


def _continuable(statement: AnySelect) -> tuple[Select[*tuple[Any, ...]], Shape]:
    shape = shape_of(statement)
    if isinstance(statement, Select) and not shape.is_cut and not shape.distinct_on:
        return statement, shape
    raise PaginationError(
        "Pages by key need a plain select(), without LIMIT, OFFSET, FETCH, DISTINCT ON or UNION: the key is compared"
        " in its WHERE. Select from it: select(aliased(Model, statement.subquery())).order_by(…)."
    )


def _backend(session: Session, statement: Select[*tuple[Any, ...]]) -> str:
    chosen = entities(statement)
    return session.get_bind(inspect(chosen[0]).mapper if chosen else None, clause=statement).dialect.name


def _place(after: str | None, before: str | None, key: Sequence[KeyColumn]) -> _Place:
    by_request = after is None and before is None
    if by_request:
        after, before = request_argument("after"), request_argument("before")
    bookmark = before if after is None else after
    order = " ".join([key[0].backend, *map(str, key)])
    problem = ""
    values = EDGE
    if after is not None and before is not None:
        problem = "a page comes after a bookmark or before one, not both"
    elif bookmark is not None:
        try:
            values = read_bookmark(bookmark, order)
        except ValueError as error:
            problem = str(error)
    if problem or len(values) not in {0, len(key)}:
        if by_request:
            abort(404)
        raise PaginationError(
            f"There is no such page: {problem or 'the bookmark is of another order'}."
            " If the bookmark comes from the URL, leave after= and before= out to have it read from the request."
        )
    return _Place(order, values, before is not None)


def _rows(
    session: Session,
    statement: Select[*tuple[Any, ...]],
    shape: Shape,
    key: Sequence[KeyColumn],
    place: _Place,
    wanted: int,
) -> list[_KeyedRow]:
    """Up to *wanted* rows from the place on, in the direction of the page."""
    directed = [column.reversed for column in key] if place.backward else key
    statement = statement.add_columns(*(column.selected.label(f"_key_{n}") for n, column in enumerate(key)))
    restrict = statement.having if shape.group_by else statement.where
    rows: list[_KeyedRow] = []
    for stretch in stretches(directed, place.values):
        part = statement if stretch.condition is None else restrict(stretch.condition)
        part = part.order_by(None).order_by(*stretch.order_by).limit(wanted - len(rows))
        rows += _fetch(session, part, len(key))
        if len(rows) >= wanted:
            break
    return rows


def _fetch(session: Session, statement: Select[*tuple[Any, ...]], key_length: int) -> Iterator[_KeyedRow]:
    # Frozen, to be read twice: a Row cannot be cut in two and stay a Row.
    frozen = unrepeated(session.execute(statement)).freeze()
    rows = frozen().all()
    selected = len(rows[0]) - key_length if rows else 0
    items = frozen().columns(*range(selected)) if rows else ()
    return (_KeyedRow(sole(item), tuple(row[selected:])) for item, row in zip(items, rows, strict=True))


def _page(rows: list[_KeyedRow], place: _Place, size: int) -> KeysetPagination[Any]:
    more = len(rows) > size
    if more and rows[size].key == rows[size - 1].key:
        raise PaginationError(
            f"Two rows have the sort key {rows[size].key!r}, and a page ends between them: one would be lost."
            " End .order_by(…) with a column that is unique."
        )
    rows = rows[:size]
    if place.backward:
        rows.reverse()
    came_from = bool(place.values)
    has_next, has_previous = (came_from, more) if place.backward else (more, came_from)
    return KeysetPagination(
        items=[row.item for row in rows],
        per_page=size,
        next=write_bookmark(rows[-1].key if rows else EDGE, place.order) if has_next else None,
        previous=write_bookmark(rows[0].key if rows else EDGE, place.order) if has_previous else None,
    )
