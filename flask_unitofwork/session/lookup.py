"""``session.get()`` with a statement that is made once for each mapped class, instead of once for each call.

What it costs to look up one row by its key is, for the greater part, the making of a statement that differs from the
last one in a value only. SQLAlchemy's own ``get`` serves whatever is less plain than a key of one column and a row that
is not loaded yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, bindparam, inspect, select
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm import Mapper

__all__ = ["PLAIN_KEYS", "Lookup", "lookup_for"]

PLAIN_KEYS: Final = frozenset({int, str, UUID})
"""The types of keys that stand for themselves. Others may be composites, or stand for several columns."""

# A class that a program makes while it runs is not kept for ever.
_CLASSES: Final = 512


@dataclass(frozen=True, slots=True)
class Lookup:
    """How rows of one mapped class are looked up by their key.

    Attributes:
        mapper: the class's.
        statement: selects the row.
        parameter: the name of the key in the statement.
    """

    mapper: Mapper[Any]
    statement: Select[Any]
    parameter: str


def lookup_for(entity: Any) -> Lookup | None:
    """How rows of *entity* are looked up; None where SQLAlchemy's own way is to be taken."""
    if not isinstance(entity, type):
        return None
    try:
        lookup = _lookup(entity)
    except NoInspectionAvailable:
        return None
    # A class may be mapped anew.
    return lookup if lookup is not None and getattr(entity, "__mapper__", None) is lookup.mapper else None


@lru_cache(_CLASSES)
def _lookup(entity: type[Any]) -> Lookup | None:
    mapper: Mapper[Any] = inspect(entity)
    if len(mapper.primary_key) != 1 or mapper.always_refresh:
        return None
    (column,) = mapper.primary_key
    # Named as SQLAlchemy names it, so that the statement is the same to whoever looks at it.
    parameter = bindparam("pk_1", type_=column.type)
    return Lookup(mapper, select(entity).where(column == parameter), parameter.key)
