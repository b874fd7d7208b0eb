"""What a UnitOfWork offers for models: the functions of this layer, with the current session filled in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, overload

from sqlalchemy import Executable, Row, Select
from sqlalchemy.sql.selectable import TypedReturnsRows

from .arguments import MAX_PER_PAGE
from .keyset import KeysetPagination, paginate_by_key
from .lookups import NO_OPTIONS, ForUpdate, first_or_404, get_or_404, one_or_404
from .paginate import paginate
from .query_property import QueryProperty

if TYPE_CHECKING:
    from sqlalchemy import CompoundSelect
    from sqlalchemy.orm import Query, Session
    from sqlalchemy.orm.interfaces import ORMOption
