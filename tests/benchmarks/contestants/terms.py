"""The terms that are equal for all contestants."""

from __future__ import annotations

from typing import Final

from sqlalchemy import URL, make_url

__all__ = ["POOL_SIZE", "postgresql_url", "sqlalchemy_url"]

# Connections a contestant may have. Pony has no such limit: it gives each thread a connection of its own.
POOL_SIZE: Final = 5


def sqlalchemy_url(url: str) -> URL:
    """The ``postgresql://`` URL *url* as SQLAlchemy wants it, with the driver that most contestants use."""
    return make_url(url).set(drivername="postgresql+psycopg")


def postgresql_url(url: URL) -> str:
    """The SQLAlchemy URL *url* as PostgreSQL's own client library wants it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
