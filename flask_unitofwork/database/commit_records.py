"""The table in which a database shows which units of work it has decided to commit.

Note: why a row decides
    After a crash, a prepared transaction must go the way of its siblings, and no database remembers those it has
    committed. So the unit's *decider*, the database it used first, gets a row in the very transaction that it commits
    there, before any other database is told to commit. The row is there: commit. It is not: nobody has committed, and
    nobody will, once a row that says "rolled back" stands in its place: the primary key lets one of the two be written.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

from sqlalchemy import Boolean, Column, Connection, Engine, MetaData, String, Table, delete, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from ..exceptions import ConfigurationError, DemarcationError

__all__ = [
    "COMMIT_RECORDS",
    "Decision",
    "create_commit_records",
    "decision_on",
    "drop_commit_records",
    "forget_decisions",
    "known_decisions",
    "record_commit",
    "record_rollback",
]

COMMIT_RECORDS: Final = Table(
    "unitofwork_commits",
    MetaData(),
    Column("unit", String(32), primary_key=True, comment="the app, and the unit of work"),
    Column("committed", Boolean, nullable=False, comment="False: it must not be committed any more"),
    Column("branches", String(1000), nullable=False, comment="the databases that took part"),
)
_unit, _committed, _branches = COMMIT_RECORDS.c


class Decision(Enum):
    """What was decided for a unit of work."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"


def create_commit_records(engines: Iterable[Engine]) -> None:
    """Create the table in each database where it does not exist yet."""
    for engine in engines:
        COMMIT_RECORDS.create(engine, checkfirst=True)


def drop_commit_records(engines: Iterable[Engine]) -> None:
    """Drop the table in each database that has it."""
    for engine in engines:
        COMMIT_RECORDS.drop(engine, checkfirst=True)


def record_commit(connection: Connection, unit: str, branches: Iterable[str]) -> None:
    """Record that *unit* is committed with the transaction in progress on *connection*.

    Raises:
        DemarcationError: it was decided meanwhile that it is rolled back.
        ConfigurationError: the table does not exist.
    """
    row = insert(COMMIT_RECORDS).values(unit=unit, committed=True, branches=" ".join(sorted(branches)))
    try:
        connection.execute(row)
    except IntegrityError as error:
        raise DemarcationError(
            "This unit of work was slow to commit, and `flask uow recover` has rolled it back: it took its process for"
            " dead. Run that command with a greater --older-than, or do the work again."
        ) from error
    except DBAPIError as error:
        if _is_missing(error):
            raise ConfigurationError(
                f"The table {COMMIT_RECORDS.name} is missing in"
                f" {connection.engine.url.render_as_string(hide_password=True)}: with UNITOFWORK_TWO_PHASE, a commit in"
                " several databases is recorded there. Run `flask uow create`, or create it with a migration."
            ) from error
        raise


def record_rollback(connection: Connection, unit: str) -> None:
    """Record that *unit* must not be committed any more.

    Raises:
        sqlalchemy.exc.IntegrityError: it has been decided already.
        sqlalchemy.exc.OperationalError: somebody is about to decide it.
    """
    connection.execute(insert(COMMIT_RECORDS).values(unit=unit, committed=False, branches=""))


def decision_on(connection: Connection, unit: str) -> Decision | None:
    """What was decided for *unit*, as far as this database shows."""
    committed = connection.scalar(select(_committed).where(_unit == unit))
    return None if committed is None else _decision(committed)


def known_decisions(connection: Connection, application: str) -> dict[str, tuple[Decision, list[str]]]:
    """All decisions on units of *application*, each with the databases that took part."""
    rows = connection.execute(select(COMMIT_RECORDS).where(_unit.startswith(f"{application}:", autoescape=True)))
    return {unit: (_decision(committed), branches.split()) for unit, committed, branches in rows}


def forget_decisions(connection: Connection, units: Iterable[str]) -> None:
    """Delete the decisions on *units*."""
    for unit in units:
        connection.execute(delete(COMMIT_RECORDS).where(_unit == unit))


def _decision(committed: bool) -> Decision:
    return Decision.COMMITTED if committed else Decision.ROLLED_BACK


_MISSING: Final = frozenset({"42P01", "42S02", 1146})  # PostgreSQL's and MySQL's codes for a table that does not exist


def _is_missing(error: DBAPIError) -> bool:
    """Whether *error* says that the table does not exist."""
    original: Any = error.orig
    code = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or next(iter(original.args), None)
    return code in _MISSING
