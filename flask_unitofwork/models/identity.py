"""Primary keys as a URL gives them: text, numbers of any size, nothing at all.

A key that its column could not hold is the key of no row. Asked nevertheless, some databases refuse the statement
(PostgreSQL reading ``abc`` or 2³¹ as an integer), some drivers raise (SQLite's above 2⁶³), and some find the wrong
row (MySQL reads ``5abc`` as 5). So such keys are told apart before the database is asked: its refusal would also be
the end of the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Integer, SmallInteger, String, Uuid
from sqlalchemy.orm import class_mapper

from .numerals import whole_number

if TYPE_CHECKING:
    from sqlalchemy.orm import Session
    from sqlalchemy.types import TypeEngine

__all__ = ["possible_identity"]

_MAX_SMALL: Final = 2**15 - 1
_MAX_INT: Final = 2**31 - 1
_MAX_BIG: Final = 2**63 - 1


def possible_identity(session: Session, model: type[Any], ident: Any, bind_arguments: Mapping[str, Any]) -> Any | None:
    """Give *ident* as ``session.get`` wants it: text read as the number or UUID that the key is.

    Args:
        session: where the row will be looked up.
        model: the mapped class.
        ident: a value, a sequence of them for a composite key, or a mapping by attribute.
        bind_arguments: the ``bind_arguments`` that the lookup will have.

    Returns:
        The identity; None if no row can have it. One with too few or too many parts is given back as it is, so that
        SQLAlchemy says what is wrong with it.
    """
    mapper = class_mapper(model)
    parts = _parts(ident, [mapper.get_property_by_column(column).key for column in mapper.primary_key])
    if len(parts) != len(mapper.primary_key):
        return ident
    if all(part is None for part in parts):
        return None
    try:
        typed = tuple(_typed(column.type, part) for column, part in zip(mapper.primary_key, parts, strict=True))
    except ValueError:
        return None
    columns = [column.type for column in mapper.primary_key]
    if any(_may_be_refused(type_, part) for type_, part in zip(columns, typed, strict=True)):
        # Only now: to ask for the bind costs time, and nearly every key is beyond doubt.
        arguments: dict[str, Any] = {"mapper": mapper, **bind_arguments}
        backend = session.get_bind(**arguments).dialect.name
        if any(_is_refused(type_, part, backend) for type_, part in zip(columns, typed, strict=True)):
            return None
    return typed


def _parts(ident: Any, names: Sequence[str]) -> Sequence[Any]:
    if isinstance(ident, Mapping):
        return [ident[name] for name in names] if set(ident) == set(names) else ()
    if isinstance(ident, Sequence) and not isinstance(ident, (str, bytes)):
        return ident
    return [ident]


def _typed(type_: TypeEngine[Any], value: Any) -> Any:
    """*value* as a column of *type_* has it.

    Raises:
        ValueError: it is text that no such column has.
    """
    if not isinstance(value, str):
        return value
    if isinstance(type_, Integer):
        number = whole_number(value)
        if number is None:
            raise ValueError(value)
        return number
    if isinstance(type_, Uuid):
        return UUID(value) if type_.as_uuid else str(UUID(value))
    return value


def _may_be_refused(type_: TypeEngine[Any], value: Any) -> bool:
    if isinstance(type_, Integer):
        return isinstance(value, int) and not -_MAX_SMALL <= value <= _MAX_SMALL
    return isinstance(type_, String) and isinstance(value, str) and "\0" in value


def _is_refused(type_: TypeEngine[Any], value: Any, backend: str) -> bool:
    if not isinstance(type_, Integer):
        return isinstance(value, str) and "\0" in value and backend == "postgresql"
    if backend in {"mysql", "mariadb"}:  # compares numbers of any size
        return False
    largest = _MAX_BIG
    if backend == "postgresql" and not isinstance(type_, BigInteger):
        largest = _MAX_SMALL if isinstance(type_, SmallInteger) else _MAX_INT
    return not -largest - 1 <= value <= largest
