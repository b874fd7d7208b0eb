"""The views of all contestants that use SQLAlchemy's ORM: the same but for where the session comes from."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session, selectinload

from .mapped import Author, Entry, World
from .views import AuthorAnswer, Row

__all__ = ["HasSession", "SessionViews"]


class HasSession(Protocol):
    """``db`` or ``uow``."""

    @property
    def session(self) -> Session | scoped_session[Any]:
        """The session of this request."""
        ...


class SessionViews:
    """Views that commit what they have written."""

    def __init__(self, db: HasSession) -> None:
        self._db = db

    def row(self, key: int) -> Row:
        return _row(self._db.session.get_one(World, key))

    def rows(self, keys: list[int]) -> list[Row]:
        return [_row(self._db.session.get_one(World, key)) for key in keys]

    def page(self, above: int) -> list[Row]:
        statement = select(World).where(World.id > above).order_by(World.id).limit(100)
        return [_row(world) for world in self._db.session.scalars(statement)]

    def authors(self, above: int) -> list[AuthorAnswer]:
        statement = select(Author).where(Author.id > above).order_by(Author.id).limit(20)
        return [
            {"id": author.id, "name": author.name, "books": [book.title for book in author.books]}
            for author in self._db.session.scalars(statement.options(selectinload(Author.books)))
        ]

    def create(self, text: str) -> str:
        return self._new(text).text

    def created(self, text: str) -> int:
        return self._new(text).id

    def _new(self, text: str) -> Entry:
        entry = Entry(text=text)
        self._db.session.add(entry)
        # It expires the entry, which is then read again: so it goes in the quickstart of Flask-SQLAlchemy.
        self.commit()
        return entry

    def updates(self, keys: list[int]) -> list[Row]:
        worlds = [self._db.session.get_one(World, key) for key in keys]
        for world in worlds:
            world.number += 1
        # Before the commit: it expires the objects, and each would be read again.
        rows = [_row(world) for world in worlds]
        self.commit()
        return rows

    def commit(self) -> None:
        self._db.session.commit()


def _row(world: World) -> Row:
    return {"id": world.id, "number": world.number}
