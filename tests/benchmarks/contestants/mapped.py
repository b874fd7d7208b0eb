"""The tables as classes, for the contestants that use SQLAlchemy's ORM."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, relationship

from . import schema

__all__ = ["Author", "Base", "Book", "Entry", "World"]


class Base(DeclarativeBase):
    metadata = schema.metadata


class World(Base):
    __table__ = schema.world

    id: Mapped[int]
    number: Mapped[int]


class Author(Base):
    __table__ = schema.author

    id: Mapped[int]
    name: Mapped[str]
    books: Mapped[list[Book]] = relationship(order_by=schema.book.c.id)


class Book(Base):
    __table__ = schema.book

    id: Mapped[int]
    author_id: Mapped[int]
    title: Mapped[str]


class Entry(Base):
    __table__ = schema.entry

    id: Mapped[int]
    text: Mapped[str]
