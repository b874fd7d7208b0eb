"""Tables and the databases they live in: which bind a table belongs to, and making and dropping tables there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, MetaData, Table
from sqlalchemy.orm import Mapper, class_mapper, configure_mappers
from sqlalchemy.sql.selectable import FromClause

from ..config import DEFAULT_BIND

__all__ = ["create_all", "drop_all", "model_bind_key", "table_bind_key", "tables_by_bind"]


_keys: Final[WeakKeyDictionary[Mapper[Any], str | None]] = WeakKeyDictionary()


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


def create_all(metadata: MetaData, engines: Mapping[str, Engine], *, models: Iterable[type] = ()) -> None:
    """Create the tables of *metadata* that do not exist yet, each on the database of its bind key.

    Args:
        metadata: the tables.
        engines: the databases by name; tables without a bind key go to ``"default"``.
        models: mapped classes whose ``__bind_key__`` says where their tables live, where ``table.info`` does not.

    Raises:
        UnknownBindError: a bind key names no database. Nothing has been created then.
    """
    _on_each_bind(metadata, engines, models, metadata.create_all)


def drop_all(metadata: MetaData, engines: Mapping[str, Engine], *, models: Iterable[type] = ()) -> None:
    """Drop the tables of *metadata*, each on the database of its bind key. The arguments are those of `create_all`."""
    _on_each_bind(metadata, engines, models, metadata.drop_all)


def tables_by_bind(metadata: MetaData, models: Iterable[type] = ()) -> dict[str, list[Table]]:
    """The tables of *metadata* by the name of the database that each lives in. The arguments are those of `create_all`."""
    configure_mappers()
    mappers: list[Mapper[object]] = [class_mapper(model) for model in models]
    of_models = {table: model_bind_key(mapper) for mapper in mappers for table in mapper.tables}
    tables: dict[str, list[Table]] = {}
    for table in metadata.tables.values():
        key = table_bind_key(table) or of_models.get(table) or DEFAULT_BIND
        tables.setdefault(key, []).append(table)
    return tables


def _on_each_bind(
    metadata: MetaData, engines: Mapping[str, Engine], models: Iterable[type], act: Callable[..., None]
) -> None:
    tables = tables_by_bind(metadata, models)
    # Every engine is looked up before any statement runs, so that an unknown bind key leaves nothing half made.
    for engine, own in [(engines[key], own) for key, own in tables.items()]:
        act(engine, tables=own)
