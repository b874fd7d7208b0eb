"""The query that ``Model.query`` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy.orm
from flask import abort
from sqlalchemy.exc import InvalidRequestError, MultipleResultsFound, NoResultFound

from .arguments import MAX_PER_PAGE
from .lookups import get_or_404
from .paginate import paginate_query
from .statement import sole_entity

if TYPE_CHECKING:
    from sqlalchemy.orm.interfaces import ORMOption

    from .pagination import Pagination

__all__ = ["Query"]

T = TypeVar("T")


class Query(sqlalchemy.orm.Query[T]):
    """SQLAlchemy's query, with methods that answer 404 and one that gives pages."""

    def get_or_404(self, ident: Any, description: str | None = None) -> T:
        """Give the object with the primary key *ident*; see :meth:`flask_unitofwork.UnitOfWork.get_or_404`.

        The query may have options, execution options, ``populate_existing()`` and ``with_for_update()``.

        Args:
            ident: the key; a tuple or a dict by attribute for a composite one.
            description: text for the error page.

        Raises:
            NotFound: there is none.
            InvalidRequestError: the query filters, or is of something else than one mapped class.
        """
        self._no_criterion_assertion("get_or_404", order_by=False, distinct=False)
        model = sole_entity(self)
        if not isinstance(model, type):
            raise InvalidRequestError("get_or_404() needs a query of one mapped class, such as Model.query.")
        return get_or_404(
            self.session,
            model,
            ident,
            description=description,
            options=cast("tuple[ORMOption, ...]", self._with_options),
            populate_existing=self.load_options._populate_existing,
            with_for_update=self._for_update_arg,
            execution_options=self.get_execution_options(),
        )

    def first_or_404(self, description: str | None = None) -> T:
        """Give the first row.

        Args:
            description: text for the error page.

        Raises:
            NotFound: there is none.
        """
        found = self.first()
        if found is None:
            abort(404, description=description)
        return found

    def one_or_404(self, description: str | None = None) -> T:
        """Give the only row; see :meth:`flask_unitofwork.UnitOfWork.one_or_404`.

        Args:
            description: text for the error page.

        Raises:
            NotFound: there is none, or more than one.
        """
        try:
            return self.one()
        except (NoResultFound, MultipleResultsFound):
            abort(404, description=description)

    def paginate(
        self,
        *,
        page: int | None = None,
        per_page: int | None = None,
        max_per_page: int | None = MAX_PER_PAGE,
        count: bool = True,
        clamp: bool = False,
    ) -> Pagination[T]:
        """Give one page of the rows; see :meth:`flask_unitofwork.UnitOfWork.paginate`.

        Args:
            page: the page's number, from 1; left out, the request's argument ``page``, else 1.
            per_page: rows a page; left out, the request's argument ``per_page``, else 20.
            max_per_page: rows a page at most, whoever asks; None for no limit.
            count: False to never count: ``total`` and ``pages`` are then None.
            clamp: True to give the nearest page there is instead of a 404.

        Raises:
            NotFound: the request asks for what is no page, or the page is beyond the end.
            PaginationError: code does.
        """
        return paginate_query(self, page=page, per_page=per_page, max_per_page=max_per_page, count=count, clamp=clamp)
