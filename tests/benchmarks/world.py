"""The data that all contestants work on."""

from __future__ import annotations

from typing import Final, LiteralString

import psycopg
from sqlalchemy import create_engine

from .contestants.schema import metadata
from .contestants.terms import sqlalchemy_url
from .work import WORLDS

__all__ = ["build_world"]

AUTHORS: Final = 600
BOOKS_EACH: Final = 5

_ROWS: Final[tuple[LiteralString, ...]] = (
    "INSERT INTO world SELECT id, id * 7919 %% 10007 FROM generate_series(1, %(worlds)s) AS id",
    "INSERT INTO author SELECT id, 'Author ' || id FROM generate_series(1, %(authors)s) AS id",
    "INSERT INTO book SELECT id, (id - 1) / %(each)s + 1, 'Book ' || id FROM generate_series(1, %(books)s) AS id",
    "ANALYZE",
)


def build_world(url: str) -> None:
    """Make the tables in the empty database at *url*, and fill them."""
    engine = create_engine(sqlalchemy_url(url))
    metadata.create_all(engine)
    engine.dispose()
    values = {"worlds": WORLDS, "authors": AUTHORS, "books": AUTHORS * BOOKS_EACH, "each": BOOKS_EACH}
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _ROWS:
            connection.execute(statement, values if "%" in statement else None)
