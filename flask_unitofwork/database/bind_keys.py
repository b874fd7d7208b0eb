"""Bind keys: what models and tables say of the database that they live in."""

from __future__ import annotations

from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Table, event
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.selectable import FromClause

from .mappers import all_mappers

__all__ = ["bind_key_in_statements", "model_bind_key", "table_bind_key"]

_keys: Final[WeakKeyDictionary[Mapper[Any], str | None]] = WeakKeyDictionary()
_mappers: Final[WeakKeyDictionary[Table, WeakSet[Mapper[Any]]]] = WeakKeyDictionary()


def model_bind_key(mapper: Mapper[Any]) -> str | None:
    """The bind key of a mapped class: its ``__bind_key__``, else its table's; None where it has neither.

    It is looked up once: each statement of the ORM asks for it.
    """
    try:
        return _keys[mapper]
    except KeyError:
        key: str | None = getattr(mapper.class_, "__bind_key__", None)
        return _keys.setdefault(mapper, table_bind_key(mapper.local_table) if key is None else key)


def table_bind_key(table: FromClause) -> str | None:
    """The bind key in ``table.info["bind_key"]``, else in its MetaData's ``info``; None where neither has one."""
    if not isinstance(table, Table):
        return None
    key: str | None = table.info.get("bind_key")
    return table.metadata.info.get("bind_key") if key is None else key


def bind_key_in_statements(table: Table) -> str | None:
    """The bind key of *table* where a statement names it and no model: its own, else that of the models it belongs to.

    None where these do not agree: one of several models may be a view of what lives elsewhere.
    """
    key = table_bind_key(table)
    if key is not None:
        return key
    said: set[str | None] = {getattr(mapper.class_, "__bind_key__", None) for mapper in _mappers.get(table, ())}
    return said.pop() if len(said) == 1 else None


def _note_mapper(mapper: Mapper[Any], _model: type[Any]) -> None:
    if isinstance(mapper.local_table, Table):
        _mappers.setdefault(mapper.local_table, WeakSet()).add(mapper)


event.listen(Mapper, "after_mapper_constructed", _note_mapper)
for _mapper in all_mappers():  # those that were there before this module
    _note_mapper(_mapper, _mapper.class_)
