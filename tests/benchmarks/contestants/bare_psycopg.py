"""psycopg and its pool, with nothing around them: what no integration can beat.

Statements that need no transaction run in autocommit.
"""

from __future__ import annotations

import atexit
from itertools import groupby
from typing import Any, Final, cast

from flask import Flask
from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from .flask_routes import add_routes
from .terms import POOL_SIZE
from .views import AuthorAnswer, Row

__all__ = ["open_app"]

ONE: Final = "SELECT id, number FROM world WHERE id = %s"
AUTHORS: Final = """
    SELECT author.id, author.name, book.title
    FROM (SELECT * FROM author WHERE id > %s ORDER BY id LIMIT 20) AS author
    LEFT JOIN book ON book.author_id = author.id ORDER BY author.id, book.id
"""

Pool = ConnectionPool[Connection[DictRow]]


def open_app(url: str) -> Flask:
    pool: Pool = ConnectionPool(
        url,
        min_size=POOL_SIZE,
        max_size=POOL_SIZE,
        connection_class=Connection[DictRow],
        kwargs={"autocommit": True, "row_factory": dict_row},
        open=True,
    )
    pool.wait()
    atexit.register(pool.close)
    app = Flask(__name__)
    add_routes(app, PsycopgViews(pool))
    return app


class PsycopgViews:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def row(self, key: int) -> Row:
        with self._pool.connection() as connection:
            return _one(connection, key)

    def rows(self, keys: list[int]) -> list[Row]:
        with self._pool.connection() as connection:
            return [_one(connection, key) for key in keys]

    def page(self, above: int) -> list[Row]:
        with self._pool.connection() as connection:
            found = connection.execute("SELECT id, number FROM world WHERE id > %s ORDER BY id LIMIT 100", [above])
            return cast("list[Row]", found.fetchall())

    def authors(self, above: int) -> list[AuthorAnswer]:
        with self._pool.connection() as connection:
            found = connection.execute(AUTHORS, [above]).fetchall()
        return [
            {"id": key, "name": name, "books": [row["title"] for row in rows if row["title"] is not None]}
            for (key, name), rows in groupby(found, _author)
        ]

    def create(self, text: str) -> str:
        with self._pool.connection() as connection:
            connection.execute("INSERT INTO entry (text) VALUES (%s)", [text])
        return text

    def created(self, text: str) -> int:
        with self._pool.connection() as connection:
            found = connection.execute("INSERT INTO entry (text) VALUES (%s) RETURNING id", [text]).fetchone()
        return cast("dict[str, int]", found)["id"]

    def updates(self, keys: list[int]) -> list[Row]:
        with self._pool.connection() as connection, connection.transaction():
            rows = [_one(connection, key) for key in keys]
            for row in rows:
                row["number"] += 1
            connection.cursor().executemany("UPDATE world SET number = %(number)s WHERE id = %(id)s", rows)
        return rows


def _one(connection: Connection[DictRow], key: int) -> Row:
    return cast("Row", connection.execute(ONE, [key]).fetchone())


def _author(row: dict[str, Any]) -> tuple[int, str]:
    return row["id"], row["name"]
