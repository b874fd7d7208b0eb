"""Prepared transactions, seen from a connection that has nothing to do with them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, text

from .branch_names import BranchName
from .commit_records import Decision

__all__ = ["CAN_PREPARE", "PreparedBranch", "beside", "finish_prepared", "prepared_branches"]

CAN_PREPARE: Final = frozenset({"postgresql", "mysql", "mariadb"})
"""SQLAlchemy's names of the kinds of database whose prepared transactions can be found and finished here."""

_PREPARED: Final = text("SELECT gid, prepared, owner FROM pg_prepared_xacts WHERE database = current_database()")


class PreparedBranch(NamedTuple):
    """A prepared transaction.

    Attributes:
        name: its name.
        since: since when it has been prepared; where the database does not tell, when its unit began.
        role: the database's user who prepared it, where the database tells.
    """

    name: BranchName
    since: datetime
    role: str | None

    @property
    def age(self) -> float:
        """Seconds since it was prepared."""
        return (datetime.now(UTC) - self.since).total_seconds()


@contextmanager
def beside(engine: Engine) -> Generator[Connection]:
    """A connection to *engine*'s database in autocommit, beside the engine's pool.

    All of the pool's may be in use, by threads that wait for the same server, and those idle in it may be lost.
    """
    other = Engine(engine.pool.recreate(), engine.dialect, engine.url)
    try:
        with other.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")
    finally:
        other.dispose()


def prepared_branches(connection: Connection, application: str, database: str) -> list[PreparedBranch]:
    """The prepared transactions of *application* in *database*, to which *connection* is. Both are tokens."""
    if connection.dialect.name == "postgresql":
        found = [(gid, since, role) for gid, since, role in connection.execute(_PREPARED)]
    else:
        found = [(_xid(data, gtrid, bqual), None, None) for _, gtrid, bqual, data in _recover(connection)]
    branches: list[PreparedBranch] = []
    for gid, since, role in found:
        name = BranchName.parse(gid)
        if name is not None and (name.application, name.database) == (application, database):
            branches.append(PreparedBranch(name, since or name.began, role))
    return branches


def _recover(connection: Connection) -> list[tuple[int, int, int, bytes | str]]:
    return [tuple(row) for row in connection.exec_driver_sql("XA RECOVER")]


def _xid(data: bytes | str, gtrid_length: int, bqual_length: int) -> str:
    text_ = data.decode("ascii", "replace") if isinstance(data, bytes) else data
    # SQLAlchemy's, and so ours, have no second part.
    return "" if bqual_length else text_[:gtrid_length]


def finish_prepared(connection: Connection, name: BranchName, decision: Decision) -> None:
    """Commit, or roll back, the prepared transaction *name*, on a connection that `beside` gives.

    Raises:
        sqlalchemy.exc.DBAPIError: there is none of that name, or its process still holds it.
    """
    if decision is Decision.COMMITTED:
        connection.commit_prepared(str(name), recover=True)
    else:
        connection.rollback_prepared(str(name), recover=True)
