"""What models are asked through: queries, lookups, pages."""

from __future__ import annotations

from .keyset import KeysetPagination, paginate_by_key
from .lookups import first_or_404, get_or_404, one_or_404
from .mapped import mapped_classes
from .methods import ModelMethods
from .paginate import UnorderedPaginationWarning, paginate
from .pagination import Pagination
from .query import Query
from .query_property import QueryProperty

__all__ = [
    "KeysetPagination",
    "ModelMethods",
    "Pagination",
    "Query",
    "QueryProperty",
    "UnorderedPaginationWarning",
    "first_or_404",
    "get_or_404",
    "mapped_classes",
    "one_or_404",
    "paginate",
    "paginate_by_key",
]
