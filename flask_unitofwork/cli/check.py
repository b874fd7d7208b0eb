"""Whether a database answers, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import Pool, QueuePool

from .address import without_secrets

__all__ = ["Answer", "ask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one question.

    Attributes:
        ok: whether the database answered.
        text: what it is and how it does, or why there was no answer.
    """

    ok: bool
    text: str


def ask(engine: Engine) -> Answer:
    """Connect to *engine*'s database and have it answer ``SELECT 1``."""
    try:
        with engine.connect() as connection:
            connection.execute(select(1))  # what the first statement of a connection has to set up is not its latency
            begun = perf_counter()
            connection.execute(select(1))
            milliseconds = (perf_counter() - begun) * 1000
            server = _server(connection)
    except Exception as error:  # noqa: BLE001  whatever is wrong with one database, the others are still asked
        reason = str(error.orig if isinstance(error, DBAPIError) else error) or type(error).__name__
        return Answer(ok=False, text=without_secrets(reason, engine.url))
    return Answer(ok=True, text=f"{server}, driver {engine.driver}, {_pool(engine.pool)}, {milliseconds:.1f} ms")


def _server(connection: Connection) -> str:
    dialect = connection.dialect
    name = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
    version = ".".join(map(str, dialect.server_version_info or ("of unknown version",)))
    return f"{name} {version}"


def _pool(pool: Pool) -> str:
    if isinstance(pool, QueuePool):  # or a subclass of ours: what SQLAlchemy's documentation says of it is true
        return f"QueuePool with {pool.checkedout()} of {pool.size()} in use"
    return type(pool).__name__
