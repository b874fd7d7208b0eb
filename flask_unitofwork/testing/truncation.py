"""Emptying tables after a test whose commits were real.

Note: which tables
    The database is asked which tables have rows, whoever wrote them: a view, a trigger, another process. Only those are
    emptied. On PostgreSQL a table is also emptied, and its numbers begin at 1 again, where it gave numbers to rows that
    are gone by now.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

from flask import Flask
from sqlalchemy import Connection, Engine, Table, exists, inspect, literal, select, text, union_all
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import sort_tables

from ..database.commit_records import COMMIT_RECORDS
from ..database.schema import tables_by_bind
from ..models import mapped_classes
from ..transaction import Recovery
from .apps import state_of_app, unit_of_work

__all__ = ["empty_tables", "finish_prepared", "tables_to_empty"]

# How long a connection that the test left open may keep its locks.
PATIENCE_SECONDS: Final = 5

_STILL_LOCKED: Final = (
    "The tables are emptied after a test with real commits, and could not be. If it says that somebody holds a lock:"
    " end the threads and processes that the test started, and close the sessions that it opened, before it returns."
)

# The tables with a column whose sequence has given a number.
_COUNTED: Final = text("""
    SELECT DISTINCT owner.oid
    FROM pg_depend
    JOIN pg_class AS sequence ON sequence.oid = pg_depend.objid
    JOIN pg_class AS owner ON owner.oid = pg_depend.refobjid
    WHERE pg_depend.deptype IN ('a', 'i')
        AND CASE sequence.relkind WHEN 'S' THEN pg_sequence_last_value(sequence.oid) END IS NOT NULL
""")


def tables_to_empty(app: Flask) -> dict[str, list[Table]]:
    """The tables of the app's metadata, by the name of the database that each lives in; and those of its own commits.

    Raises:
        ConfigurationError: the UnitOfWork has no metadata, so the tables are not known.
    """
    metadata = unit_of_work(app).metadata
    tables = {name: list(own) for name, own in tables_by_bind(metadata, mapped_classes(metadata)).items()}
    settings = state_of_app(app).settings
    for name in settings.databases if settings.two_phase else ():
        tables.setdefault(name, []).append(COMMIT_RECORDS)
    return tables


def finish_prepared(app: Flask) -> None:
    """Finish what a test has left prepared, with its locks, in a commit of two phases.

    Args:
        app: the app that has prepared it.
    """
    state = state_of_app(app)
    if not state.settings.two_phase:
        return
    recovery = Recovery(state.engines, app.name)
    for unit in recovery.look():
        if unit.decider is not None:
            recovery.finish(unit)


def empty_tables(app: Flask, tables: Mapping[str, Sequence[Table]]) -> None:
    """Delete all rows from *tables*.

    Args:
        app: the app whose databases they live in.
        tables: those of each database, by its name.

    Raises:
        sqlalchemy.exc.DBAPIError: a table could not be emptied; a note says why that may be.
    """
    state = state_of_app(app)
    engines = state.engines
    for name, own in tables.items():
        engine = engines[name]
        try:
            with engine.connect() as connection:
                found = _existing(connection, own)
            _WAYS.get(engine.dialect.name, _empty)(engine, found)
        except DBAPIError as error:
            error.add_note(_STILL_LOCKED)
            raise
    if state.cache is not None:
        state.cache.invalidate()


def _existing(connection: Connection, tables: Iterable[Table]) -> list[Table]:
    """Those that are there, and are tables: a class may be mapped to a view. Who refers to others comes first."""
    inspector = inspect(connection)
    names: dict[str | None, set[str]] = {}
    found: list[Table] = []
    for table in reversed(sort_tables(tables)):
        if table.schema not in names:
            names[table.schema] = set(inspector.get_table_names(table.schema))
        if table.name in names[table.schema]:
            found.append(table)
    return found


def _with_rows(connection: Connection, tables: Sequence[Table]) -> list[Table]:
    """Those of *tables* that have rows, found out in one round trip."""
    if not tables:
        return []
    questions = [
        select(literal(place)).where(exists(select(1).select_from(table))) for place, table in enumerate(tables)
    ]
    return [tables[place] for place in sorted(connection.scalars(union_all(*questions)))]


# -- one way a kind of database --------------------------------------------------------------------------------------


def _empty_postgresql(engine: Engine, tables: Sequence[Table]) -> None:
    quoted = engine.dialect.identifier_preparer.format_table
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE_SECONDS}s'"))
        counted = set(connection.scalars(_COUNTED))
        oids = text("SELECT to_regclass(:name)::oid")
        used = [*_with_rows(connection, tables)]
        if counted:
            used += [
                table
                for table in tables
                if table not in used and connection.scalar(oids, {"name": quoted(table)}) in counted
            ]
        if used:
            names = ", ".join(map(quoted, used))
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))


def _empty_mysql(engine: Engine, tables: Sequence[Table]) -> None:
    with engine.connect() as connection:
        connection.execute(text(f"SET SESSION innodb_lock_wait_timeout = {PATIENCE_SECONDS}, foreign_key_checks = 0"))
        try:
            for table in _with_rows(connection, tables):
                connection.execute(table.delete())
            connection.commit()
        finally:
            connection.invalidate()  # its settings go with it


def _empty_sqlite(engine: Engine, tables: Sequence[Table]) -> None:
    with engine.connect() as connection, _without_foreign_keys(connection):
        used = _with_rows(connection, tables)
        for table in used:
            connection.execute(table.delete())
        if inspect(connection).has_table("sqlite_sequence"):
            connection.execute(text("DELETE FROM sqlite_sequence"))
        connection.commit()


def _empty(engine: Engine, tables: Sequence[Table]) -> None:
    with engine.begin() as connection:
        for table in _with_rows(connection, tables):
            connection.execute(table.delete())


@contextmanager
def _without_foreign_keys(connection: Connection) -> Generator[None]:
    """Tables may refer to one another in a circle. SQLite takes the pragma only outside of a transaction."""
    driver = cast(Any, connection.connection.driver_connection)
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        connection.rollback()
        driver.execute("PRAGMA foreign_keys = ON")


_WAYS: Final[Mapping[str, Callable[[Engine, Sequence[Table]], None]]] = {
    "postgresql": _empty_postgresql,
    "mysql": _empty_mysql,
    "mariadb": _empty_mysql,
    "sqlite": _empty_sqlite,
}
