"""Pages by number: LIMIT and OFFSET, and a count of all rows unless it is not wanted.

Note "order": without ORDER BY a database may give the same row on two pages and another on none. A select of one
mapped class is then ordered by its primary key; for any other, nobody but its author knows an order, so there is a
:class:`UnorderedPaginationWarning`. An order that is given stays as it is: end it with a unique column.

Note "one row more": each page fetches one row more than it shows. So it knows whether another follows without
counting, and where none does, it knows the total too and leaves out the count.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar, TypeVarTuple, cast

from flask import abort
from sqlalchemy import func, select
from sqlalchemy import inspect as sa_inspect

from ..exceptions import PaginationError
from .arguments import MAX_PER_PAGE, page_number, page_size
from .pagination import Pagination, page_count
from .results import Rows, rows_of
from .statement import AnySelect, Shape, entities, primary_key, shape_of, sole_entity

if TYPE_CHECKING:
    from sqlalchemy.orm import Query, Session

__all__ = ["UnorderedPaginationWarning", "paginate", "paginate_query"]

T = TypeVar("T")
T2 = TypeVar("T2")
Ts = TypeVarTuple("Ts")

# The largest OFFSET that every database takes.
_LAST_ROW: Final = 2**63 - 1


class UnorderedPaginationWarning(UserWarning):
    """A select without ORDER BY is cut into pages: a row may be on two of them, or on none."""


def paginate(
    session: Session,
    statement: AnySelect,
    *,
    page: int | None = None,
    per_page: int | None = None,
    max_per_page: int | None = MAX_PER_PAGE,
    count: bool = True,
    clamp: bool = False,
) -> Pagination[Any]:
    """Give one page of *statement*'s rows.

    Args:
        session: runs the statements.
        statement: what to cut into pages. Its own LIMIT and OFFSET hold: the pages are of those rows.
        page: the page's number, from 1; left out, the request's argument ``page``, else 1.
        per_page: rows a page; left out, the request's argument ``per_page``, else 20.
        max_per_page: rows a page at most, whoever asks; None for no limit.
        count: False to never count: ``total`` and ``pages`` are then None.
        clamp: True to give the nearest page there is instead of a 404. Without a count the last page is not known,
            so beyond the end that is page 1.

    Returns:
        The page. Page 1 may be empty.

    Raises:
        NotFound: the request's ``page`` or ``per_page`` is no whole number from 1, or the page is beyond the end.
        PaginationError: code gave such a number, or the select is of a kind that cannot be cut into pages.
    """
    number, size = page_number(page, clamp=clamp), page_size(per_page, max_per_page, clamp=clamp)
    return _page(_SelectedRows(session, statement), number, size, count=count, clamp=clamp)


def paginate_query(
    query: Query[T],
    *,
    page: int | None,
    per_page: int | None,
    max_per_page: int | None,
    count: bool,
    clamp: bool,
) -> Pagination[T]:
    """Give one page of *query*'s rows; see :func:`paginate`."""
    number, size = page_number(page, clamp=clamp), page_size(per_page, max_per_page, clamp=clamp)
    return _page(_QueriedRows(query), number, size, count=count, clamp=clamp)


class _Source(Protocol[T]):
    """Where the rows come from."""

    def cut(self, start: int, stop: int) -> Rows[T]: ...

    def count(self) -> int: ...


class _SelectedRows:
    """The rows of a select."""

    def __init__(self, session: Session, statement: AnySelect) -> None:
        self._session = session
        self._shape = _cuttable(statement)
        self._statement = _ordered(statement, self._shape)

    def cut(self, start: int, stop: int) -> Rows[Any]:
        window = _window(self._shape, start, stop)
        return (
            Rows([], exact=True) if window is None else rows_of(self._session.execute(self._statement.slice(*window)))
        )

    def count(self) -> int:
        counting = (
            select(func.count())
            .select_from(self._statement.order_by(None).subquery())
            # Options and execution options of a subquery are not heard; those that choose rows have to be.
            .options(*self._shape.criteria)
            .execution_options(**self._statement.get_execution_options())
        )
        # A bind chooser that goes by the mapped class sees none in a count.
        chosen = entities(self._statement)
        mapper = {"mapper": sa_inspect(chosen[0]).mapper} if chosen else {}
        return self._session.execute(counting, bind_arguments=mapper).scalar_one()


class _QueriedRows(Generic[T]):
    """The rows of a legacy query."""

    def __init__(self, query: Query[T]) -> None:
        self._shape = _cuttable(query)
        self._query = _ordered(query, self._shape)

    def cut(self, start: int, stop: int) -> Rows[T]:
        window = _window(self._shape, start, stop)
        # A query drops repeated entities and does not tell.
        return Rows([], exact=True) if window is None else Rows(self._query.slice(*window).all(), exact=False)

    def count(self) -> int:
        # A query that has a limit takes no other order, not even none.
        return (self._query if self._shape.is_cut else self._query.order_by(None)).count()


def _page(source: _Source[T], number: int, size: int, *, count: bool, clamp: bool) -> Pagination[T]:
    rows, total = _cut(source, number, size), None
    if not rows.items and number > 1:
        if not clamp:
            abort(404)
        total = source.count() if count else None
        number = max(1, page_count(total or 0, size))
        rows = _cut(source, number, size)
    more = len(rows.items) > size  # note "one row more"
    items = rows.items[:size]
    if count and total is None:
        total = source.count() if more or not rows.exact else (number - 1) * size + len(items)
    has_next = more if total is None else number < page_count(total, size)
    return Pagination(items=items, page=number, per_page=size, total=total, has_next=has_next)


def _cut(source: _Source[T], number: int, size: int) -> Rows[T]:
    start = (number - 1) * size
    return source.cut(start, start + size + 1)


def _window(shape: Shape, start: int, stop: int) -> tuple[int, int] | None:
    """The rows from *start* to *stop* as far as the select's own limit lets them be; None if there can be none."""
    if shape.limit is not None:
        stop = min(stop, shape.limit)
    return (start, stop) if start < stop and shape.offset + stop <= _LAST_ROW else None


def _cuttable(statement: object) -> Shape:
    shape = shape_of(statement)
    if shape.fetch:
        raise PaginationError("A select with FETCH cannot be cut into pages. Write limit() instead of fetch().")
    return shape


_Statement = TypeVar("_Statement", bound="AnySelect | Query[Any]")


def _ordered(statement: _Statement, shape: Shape) -> _Statement:
    """*statement* with an order: see the module's note."""
    if shape.order_by:
        return statement
    entity = None if shape.group_by or shape.distinct_on or shape.is_cut else sole_entity(statement)
    if entity is None:
        warnings.warn(
            "This select has no ORDER BY, so a row may be on two pages or on none."
            " Write .order_by(…), ending with a unique column.",
            UnorderedPaginationWarning,
            stacklevel=5,  # whoever called the method that calls paginate() or paginate_query()
        )
        return statement
    return cast(_Statement, statement.order_by(*primary_key(entity)))
