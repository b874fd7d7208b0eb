"""Making and dropping tables, each in the database that it lives in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import Engine, MetaData, Table
from sqlalchemy.orm import Mapper, class_mapper, configure_mappers

from ..config import DEFAULT_BIND
from .bind_keys import model_bind_key, table_bind_key

__all__ = ["create_all", "drop_all", "tables_by_bind"]


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
