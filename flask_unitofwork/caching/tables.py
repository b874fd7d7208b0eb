"""Which tables a statement reads or writes, as far as it tells.

A table is known by its name alone: the same rows may be reached by several ``Table`` objects, with and without a schema,
and by a schema that is chosen when a statement runs. To take two tables for one costs a query; to take one for two would
keep what is stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnClause, MetaData, Table, TableClause, TextClause, TextualSelect, UpdateBase, inspect
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ClauseElement

from ..exceptions import CacheError

__all__ = ["EVERYTHING", "INVALIDATES", "invalidates", "metadata_in", "names_of", "read_by", "unreadable", "written_by"]

EVERYTHING: Final = "*"
"""In the place of a table's name: any of them."""

INVALIDATES: Final = "unitofwork_invalidates"
"""The execution option for the tables that a statement writes, where it does not tell itself."""

# A piece of SQL without one of these words names no table.
_SOURCES: Final = re.compile(r"\b(?:SELECT|FROM|JOIN|TABLE|VALUES|WITH)\b", re.IGNORECASE)

# What a foreign key does to the rows that have it.
_ACTIONS: Final = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})

_Dependants = dict[tuple[str, str], frozenset[str]]

# By metadata: how many tables it had, and what was found out then.
_dependants: Final[WeakKeyDictionary[MetaData, tuple[int, _Dependants]]] = WeakKeyDictionary()


def invalidates(*tables: Any) -> dict[str, Any]:
    """Execution options for a statement that does not tell which tables it writes, such as ``text()``.

    Without them, such a statement invalidates everything.

    Args:
        *tables: mapped classes, tables or names of tables. None of them: the statement writes nothing that is cached.

    Raises:
        CacheError: one of them is neither.

    Example:
        ::

            uow.session.execute(text("CALL restock()"), execution_options=invalidates(Product))
    """
    return {INVALIDATES: names_of(tables)}


def names_of(tables: Iterable[Any]) -> frozenset[str]:
    """The names of *tables*: mapped classes, tables or names.

    Raises:
        CacheError: one of them is neither.
    """
    return frozenset(name for table in tables for name in _names(table))


def _names(table: Any) -> Iterator[str]:
    if isinstance(table, str) and table:
        yield table.lower()
    elif isinstance(table, TableClause):
        yield table.name.lower()
    else:
        try:
            mapper: Any = inspect(table)
        except NoInspectionAvailable:
            mapper = None
        if not isinstance(mapper, Mapper):
            raise CacheError(
                "Tables are named by a mapped class, a table or a table's name, and this is an object of type"
                f' {type(table).__name__}. Write Product, Product.__table__ or "products".'
            )
        for one in mapper.tables:
            yield from _names(one)


def read_by(statement: ClauseElement) -> frozenset[str]:
    """The names of the tables in *statement*: in its joins, subqueries, CTEs and aliases, too."""
    return frozenset(part.name.lower() for part in visitors.iterate(statement) if isinstance(part, TableClause))


def metadata_in(statement: ClauseElement) -> set[MetaData]:
    """What the tables in *statement* belong to."""
    return {part.metadata for part in visitors.iterate(statement) if isinstance(part, Table)}


def unreadable(statement: ClauseElement) -> str | None:
    """The part of *statement* in which a table may be that nobody can see, such as ``text()``; None where there is none."""
    for part in visitors.iterate(statement):
        if isinstance(part, TextualSelect):
            return str(part.element)
        if isinstance(part, TextClause) and _SOURCES.search(part.text):
            return part.text
        if isinstance(part, ColumnClause) and part.is_literal and _SOURCES.search(part.name):
            return part.name
    return None


def written_by(statement: Any, *, several: bool = False) -> frozenset[str]:
    """The names of the tables that *statement* writes, and of those that the database changes with them by foreign keys.

    Args:
        statement: an INSERT, UPDATE or DELETE, or one that has such a thing in it.
        several: an UPDATE may change any table in it, as MySQL's may.
    """
    found: set[str] = set()
    for part in visitors.iterate(statement):
        if not isinstance(part, UpdateBase):
            continue
        table: Any = part.table
        found |= read_by(table)
        if several and part.is_update:
            found |= _tables_of_columns(part)
        if isinstance(table, Table) and not part.is_insert:
            found |= _changed_with(table, "onupdate" if part.is_update else "ondelete")
    return frozenset(found)


def _tables_of_columns(statement: ClauseElement) -> set[str]:
    """The names of the tables whose columns are in *statement*: an UPDATE does not list its tables."""
    tables = (getattr(part, "table", None) for part in visitors.iterate(statement) if isinstance(part, ColumnClause))
    return {table.name.lower() for table in tables if isinstance(table, TableClause)}


def _changed_with(table: Table, event: str) -> frozenset[str]:
    """The tables whose rows a database changes or deletes with those of *table*, by its foreign keys."""
    metadata = table.metadata
    size, known = _dependants.get(metadata, (0, {}))
    if size != len(metadata.tables):
        known = {}
        _dependants[metadata] = len(metadata.tables), known
    key = table.fullname, event
    if key not in known:
        known[key] = frozenset(_follow(table, event))
    return known[key]


def _follow(table: Table, event: str) -> set[str]:
    found: set[str] = set()
    waiting = [(table, event)]
    seen = {(table.fullname, event)}
    while waiting:
        changed, by = waiting.pop()
        for other in changed.metadata.tables.values():
            for key in other.foreign_keys:
                action = (getattr(key, by) or "").upper()
                if action not in _ACTIONS or key.target_fullname.rpartition(".")[0] != changed.fullname:
                    continue
                found.add(other.name.lower())
                # Rows that are deleted take others with them; rows that are changed may change others.
                then = "ondelete" if by == "ondelete" and action == "CASCADE" else "onupdate"
                if (other.fullname, then) not in seen:
                    seen.add((other.fullname, then))
                    waiting.append((other, then))
    return found
