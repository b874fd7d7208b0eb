"""Which columns always have values that can be read, whatever the database gives back.

A value may be no member of an ``Enum``, no document that a ``json_deserializer`` knows, nothing that a type of the user's
own expects. And the driver cannot read all that the database can write: PostgreSQL's ``infinity`` is no date of Python's.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Boolean, Date, DateTime, Enum, Float, Integer, LargeBinary, Numeric, String, Time, Uuid
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.functions import AnsiFunction, now

__all__ = ["is_always_readable"]

_PLAIN: Final = (Boolean, Float, Integer, LargeBinary, Numeric, String)
_TIMES: Final = (Date, DateTime, Time)
_SQLALCHEMY: Final = "sqlalchemy"


def is_always_readable(column: Any, dialect: Dialect) -> bool:
    """Whether each value that the database may have in *column* can be read.

    Args:
        column: of a table, or an expression.
        dialect: of the database, for types that differ from one to the other.
    """
    type_ = column.type.dialect_impl(dialect)
    if type(type_).__module__.partition(".")[0] != _SQLALCHEMY or isinstance(type_, Enum):
        return False
    if isinstance(type_, Uuid):
        return type_.native_uuid and dialect.supports_native_uuid
    return isinstance(type_, _PLAIN) or (isinstance(type_, _TIMES) and _is_now(column))


def _is_now(column: Any) -> bool:
    """Whether the database fills *column* with the present time, such as by ``func.now()``, and does so alone."""
    fills = (getattr(column, name, None) for name in ("server_default", "onupdate"))
    values = [getattr(fill, "arg", None) for fill in fills if fill is not None]
    return bool(values) and all(isinstance(value, now | AnsiFunction) for value in values)
