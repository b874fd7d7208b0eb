"""Bind keys: what models and tables say of the database that they live in."""

from __future__ import annotations

from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Table, event
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.selectable import FromClause

from .mappers import all_mappers

__all__ = ["model_bind_key", "table_bind_key"]

_keys: Final[WeakKeyDictionary[Mapper[Any], str | None]] = WeakKeyDictionary()
# What the models say of their tables, for statements that name the table and not the model.
_keys_of_models: Final[WeakKeyDictionary[Table, str]] = WeakKeyDictionary()


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
    """The bind key in ``table.info["bind_key"]``, else in its MetaData's ``info``, else that of a model that it belongs to."""
    if not isinstance(table, Table):
        return None
    key: str | None = table.info.get("bind_key")
    if key is None:
        key = table.metadata.info.get("bind_key")
    return _keys_of_models.get(table) if key is None else key


def _note_table(mapper: Mapper[Any], model: type[Any]) -> None:
    key: str | None = getattr(model, "__bind_key__", None)
    # A class that is mapped to a join says nothing of the tables in it.
    if key is not None and isinstance(mapper.local_table, Table):
        _keys_of_models[mapper.local_table] = key


event.listen(Mapper, "after_mapper_constructed", _note_table)
for _mapper in all_mappers():  # those that were there before this module
    _note_table(_mapper, _mapper.class_)
