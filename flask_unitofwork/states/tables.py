"""The tables of a class hierarchy in the order in which the flush writes to them, and what is mapped to each."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import Column, ForeignKey, Table
from sqlalchemy.orm import Mapper
from sqlalchemy.schema import sort_tables
from sqlalchemy.sql import visitors

__all__ = ["columns_of", "primary_key_names", "sorted_tables", "table_name"]


def sorted_tables(base: Mapper[Any]) -> list[Table]:
    """The tables of *base* and its subclasses: those first that others extend or refer to."""
    owners: dict[Table, Mapper[Any]] = {}
    for mapper in base.self_and_descendants:
        for table in mapper.tables:
            if isinstance(table, Table):
                owners.setdefault(table, mapper)
    if len(owners) == 1:
        return list(owners)

    def is_beside_inheritance(key: ForeignKey) -> bool:
        """Whether a foreign key has nothing to do with which table extends which."""
        parent, referred = owners.get(key.parent.table), owners.get(key.column.table)
        if parent is None or referred is None or referred is parent or referred.inherit_condition is None:
            return False
        columns = _columns_in(referred) | _columns_in(parent)
        return key.parent not in columns and (parent.inherit_condition is None or key.column not in columns)

    extends = [
        (above, table) for table, mapper in owners.items() if mapper.inherits for above in mapper.inherits.tables
    ]
    skip: Any = is_beside_inheritance  # it is given each foreign key, not the constraint that it is declared to be
    return sort_tables(owners, skip_fn=skip, extra_dependencies=cast("list[tuple[Table, Table]]", extends))


def columns_of(mapper: Mapper[Any], table: Table) -> dict[str, Column[Any]]:
    """What is mapped to *table*, by attribute."""
    return {
        attribute.key: column
        for attribute in mapper.column_attrs
        for column in attribute.columns
        if isinstance(column, Column) and column.table is table
    }


def primary_key_names(mapper: Mapper[Any]) -> list[str]:
    """The attributes of the primary key, in its order."""
    return [mapper.get_property_by_column(column).key for column in mapper.primary_key]


def table_name(table: Table) -> str:
    """The table's name, with its schema if it has one."""
    return table.fullname


def _columns_in(mapper: Mapper[Any]) -> set[Column[Any]]:
    condition = mapper.inherit_condition
    return set() if condition is None else {one for one in visitors.iterate(condition) if isinstance(one, Column)}
