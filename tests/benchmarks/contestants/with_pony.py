"""Pony with its own Flask integration: a database session around each request, committed at its teardown.

Pony speaks to PostgreSQL through psycopg2, and has a connection for each thread instead of a pool.
"""

# Pony has no types, and its entities inherit from what an untyped object has.
# mypy: disable-error-code="import-untyped,misc"

from __future__ import annotations

from typing import Any

from flask import Flask
from pony.flask import Pony
from pony.orm import Database, PrimaryKey, Required, Set

from .flask_routes import add_routes
from .views import AuthorAnswer, Row

__all__ = ["open_app"]

db: Any = Database()


class World(db.Entity):
    _table_ = "world"

    id = PrimaryKey(int)
    number = Required(int)


class Author(db.Entity):
    _table_ = "author"

    id = PrimaryKey(int)
    name = Required(str)
    books = Set("Book")


class Book(db.Entity):
    _table_ = "book"

    id = PrimaryKey(int)
    author = Required(Author, column="author_id")
    title = Required(str)


class Entry(db.Entity):
    _table_ = "entry"

    id = PrimaryKey(int, auto=True)
    text = Required(str)


def open_app(url: str) -> Flask:
    db.bind(provider="postgres", dsn=url)
    db.generate_mapping(create_tables=False)
    app = Flask(__name__)
    Pony(app)
    add_routes(app, PonyViews())
    return app


class PonyViews:
    def row(self, key: int) -> Row:
        return _row(db.World[key])

    def rows(self, keys: list[int]) -> list[Row]:
        return [_row(db.World[key]) for key in keys]

    def page(self, above: int) -> list[Row]:
        found = World.select(lambda world: world.id > above).order_by(World.id).limit(100)
        return [_row(world) for world in found]

    def authors(self, above: int) -> list[AuthorAnswer]:
        found = Author.select(lambda author: author.id > above).order_by(Author.id).prefetch(Author.books).limit(20)
        return [
            {
                "id": author.id,
                "name": author.name,
                "books": [book.title for book in sorted(author.books, key=lambda book: book.id)],
            }
            for author in found
        ]

    def create(self, text: str) -> str:
        given: str = Entry(text=text).text
        return given

    def created(self, text: str) -> int:
        entry = Entry(text=text)
        entry.flush()
        given: int = entry.id
        return given

    def updates(self, keys: list[int]) -> list[Row]:
        worlds = [db.World[key] for key in keys]
        for world in worlds:
            world.number += 1
        return [_row(world) for world in worlds]


def _row(world: Any) -> Row:
    return {"id": world.id, "number": world.number}
