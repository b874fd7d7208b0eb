"""Pages of a list, as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Select

from ..extensions import uow

__all__ = ["listing"]

T = TypeVar("T")


def listing(statement: Select[T], represent: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    """The page of *statement* that the request's ``page`` and ``per_page`` ask for."""
    page = uow.paginate(statement, max_per_page=100)
    return {
        "items": [represent(item) for item in page.items],
        "page": page.page,
        "pages": page.pages,
        "per_page": page.per_page,
        "total": page.total,
    }
