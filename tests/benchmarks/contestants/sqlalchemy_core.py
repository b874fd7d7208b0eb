"""SQLAlchemy without its ORM: a connection where one is needed, a transaction where something is written."""

from __future__ import annotations

from itertools import groupby

from flask import Flask
from sqlalchemy import Connection, Engine, bindparam, create_engine, insert, select, update

from .flask_routes import add_routes
from .schema import author, book, entry, world
from .terms import POOL_SIZE, sqlalchemy_url
from .views import AuthorAnswer, Row

__all__ = ["open_app"]


def open_app(url: str) -> Flask:
    app = Flask(__name__)
    add_routes(app, CoreViews(create_engine(sqlalchemy_url(url), pool_size=POOL_SIZE, max_overflow=0)))
    return app


class CoreViews:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def row(self, key: int) -> Row:
        with self._engine.connect() as connection:
            return _one(connection, key)

    def rows(self, keys: list[int]) -> list[Row]:
        with self._engine.connect() as connection:
            return [_one(connection, key) for key in keys]

    def page(self, above: int) -> list[Row]:
        statement = select(world).where(world.c.id > above).order_by(world.c.id).limit(100)
        with self._engine.connect() as connection:
            return [{"id": row.id, "number": row.number} for row in connection.execute(statement)]

    def authors(self, above: int) -> list[AuthorAnswer]:
        chosen = select(author).where(author.c.id > above).order_by(author.c.id).limit(20).subquery()
        statement = (
            select(chosen.c.id, chosen.c.name, book.c.title)
            .outerjoin_from(chosen, book, book.c.author_id == chosen.c.id)
            .order_by(chosen.c.id, book.c.id)
        )
        with self._engine.connect() as connection:
            found = connection.execute(statement).all()
        return [
            {"id": key, "name": name, "books": [row.title for row in rows if row.title is not None]}
            for (key, name), rows in groupby(found, lambda row: (row.id, row.name))
        ]

    def create(self, text: str) -> str:
        with self._engine.begin() as connection:
            connection.execute(insert(entry).values(text=text))
        return text

    def created(self, text: str) -> int:
        with self._engine.begin() as connection:
            given: int = connection.execute(insert(entry).values(text=text).returning(entry.c.id)).scalar_one()
        return given

    def updates(self, keys: list[int]) -> list[Row]:
        statement = update(world).where(world.c.id == bindparam("key")).values(number=bindparam("new"))
        with self._engine.begin() as connection:
            rows = [_one(connection, key) for key in keys]
            for row in rows:
                row["number"] += 1
            connection.execute(statement, [{"key": row["id"], "new": row["number"]} for row in rows])
        return rows


def _one(connection: Connection, key: int) -> Row:
    row = connection.execute(select(world).where(world.c.id == key)).one()
    return {"id": row.id, "number": row.number}
