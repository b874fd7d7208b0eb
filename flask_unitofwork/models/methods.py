"""What a UnitOfWork offers for models: the functions of this layer, on the current session."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, overload

from .arguments import MAX_PER_PAGE
from .keyset import KeysetPagination, paginate_by_key
from .lookups import first_or_404, get_or_404, one_or_404
from .paginate import paginate
from .pagination import Pagination
from .query_property import QueryProperty

if TYPE_CHECKING:
    import sqlalchemy.orm
    from sqlalchemy import CompoundSelect, Executable, Row, Select
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.selectable import TypedReturnsRows

    from .statement import AnySelect

__all__ = ["ModelMethods"]

T = TypeVar("T")
T2 = TypeVar("T2")
Ts = TypeVarTuple("Ts")
Q = TypeVar("Q", bound="sqlalchemy.orm.Query[Any]")


class ModelMethods(ABC):
    """Queries, lookups and pages for whoever has a current session."""

    @property
    @abstractmethod
    def session(self) -> Session:
        """The session that the methods use."""

    @overload
    def query_property(self) -> QueryProperty[None]: ...

    @overload
    def query_property(self, query_cls: type[Q]) -> QueryProperty[Q]: ...

    def query_property(self, query_cls: type[Any] | None = None) -> QueryProperty[Any]:
        """A class attribute for models: ``Product.query`` is then a query of products in the current session.

        Args:
            query_cls: the class of the queries, if it is not :class:`flask_unitofwork.Query`.

        Example:
            ::

                class Base(DeclarativeBase):
                    query = uow.query_property()
        """
        return QueryProperty(lambda: self.session, query_cls)

    def get_or_404(self, model: type[T], ident: Any, *, description: str | None = None, **options: Any) -> T:
        """The object with the primary key *ident*.

        A key that no row can have is a 404 like any other that no row has: None, ``"abc"`` for a number or a UUID, a
        number that the database cannot hold. Text that is a number or a UUID is read as one.

        Args:
            model: the mapped class.
            ident: the key; a tuple or a dict by attribute for a composite one.
            description: text for the error page.
            options: whatever else :meth:`sqlalchemy.orm.Session.get` takes, such as ``with_for_update``.

        Raises:
            NotFound: there is none.
        """
        return get_or_404(self.session, model, ident, description=description, **options)

    @overload
    def first_or_404(self, statement: TypedReturnsRows[T], *, description: str | None = None) -> T: ...

    @overload
    def first_or_404(
        self, statement: TypedReturnsRows[T, T2, *Ts], *, description: str | None = None
    ) -> Row[T, T2, *Ts]: ...

    @overload
    def first_or_404(self, statement: Executable, *, description: str | None = None) -> Any: ...

    def first_or_404(self, statement: Executable, *, description: str | None = None) -> Any:
        """The first row of a select: the object itself for a select of one entity or column, else a Row.

        Args:
            statement: a select, or any other statement that returns rows.
            description: text for the error page.

        Raises:
            NotFound: there is no row.
        """
        return first_or_404(self.session, statement, description=description)

    @overload
    def one_or_404(self, statement: TypedReturnsRows[T], *, description: str | None = None) -> T: ...

    @overload
    def one_or_404(
        self, statement: TypedReturnsRows[T, T2, *Ts], *, description: str | None = None
    ) -> Row[T, T2, *Ts]: ...

    @overload
    def one_or_404(self, statement: Executable, *, description: str | None = None) -> Any: ...

    def one_or_404(self, statement: Executable, *, description: str | None = None) -> Any:
        """The only row of a select. Several are a 404 too: what the URL names is not one thing.

        Args:
            statement: a select, or any other statement that returns rows.
            description: text for the error page.

        Raises:
            NotFound: there is no row, or more than one.
        """
        return one_or_404(self.session, statement, description=description)

    @overload
    def paginate(
        self,
        statement: Select[T] | CompoundSelect[T],
        *,
        page: int | None = None,
        per_page: int | None = None,
        max_per_page: int | None = MAX_PER_PAGE,
        count: bool = True,
        clamp: bool = False,
    ) -> Pagination[T]: ...

    @overload
    def paginate(
        self,
        statement: Select[T, T2, *Ts] | CompoundSelect[T, T2, *Ts],
        *,
        page: int | None = None,
        per_page: int | None = None,
        max_per_page: int | None = MAX_PER_PAGE,
        count: bool = True,
        clamp: bool = False,
    ) -> Pagination[Row[T, T2, *Ts]]: ...

    def paginate(self, statement: AnySelect, **options: Any) -> Pagination[Any]:
        """One page of a select's rows, by number.

        Args:
            statement: what to cut into pages. Its own LIMIT and OFFSET hold: the pages are of those rows.
            options: ``page``: the page's number, from 1; left out, the request's argument ``page``, else 1.
                ``per_page``: rows a page; left out, the request's argument ``per_page``, else 20. ``max_per_page``:
                rows a page at most, whoever asks (100), or None. ``count``: False to never count; ``total`` and
                ``pages`` are then None. ``clamp``: True to give the nearest page there is instead of a 404.

        Raises:
            NotFound: the request's ``page`` or ``per_page`` is no whole number from 1, or the page is beyond the end.
            PaginationError: code gave such a number, or the select is of a kind that cannot be cut into pages.
        """
        return paginate(self.session, statement, **options)

    @overload
    def paginate_by_key(
        self,
        statement: Select[T],
        *,
        after: str | None = None,
        before: str | None = None,
        per_page: int | None = None,
        max_per_page: int | None = MAX_PER_PAGE,
    ) -> KeysetPagination[T]: ...

    @overload
    def paginate_by_key(
        self,
        statement: Select[T, T2, *Ts],
        *,
        after: str | None = None,
        before: str | None = None,
        per_page: int | None = None,
        max_per_page: int | None = MAX_PER_PAGE,
    ) -> KeysetPagination[Row[T, T2, *Ts]]: ...

    def paginate_by_key(self, statement: Any, **options: Any) -> KeysetPagination[Any]:
        """The page of a select's rows after, or before, a bookmark. The thousandth costs as much as the first.

        The rows are ordered by the select's ORDER BY and then by the primary key.

        Args:
            statement: what to cut into pages. It must have no LIMIT and no OFFSET.
            options: ``after``: the bookmark that the page follows; ``before``: the bookmark that it precedes; left out,
                the request's arguments of these names, else the first page. ``per_page`` and ``max_per_page``: as for
                :meth:`paginate`.

        Raises:
            NotFound: the request's bookmark was altered or is of another order.
            PaginationError: code gave such a value; or the select cannot be continued from a key.
        """
        return paginate_by_key(self.session, statement, **options)
