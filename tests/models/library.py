"""Models for tests: a small library, and one table with a column of every kind that is ordered by."""

from __future__ import annotations

import enum
import uuid
from datetime import date, datetime, time
from decimal import Decimal

from sqlalchemy import Enum, Float, ForeignKey, LargeBinary, MetaData, Numeric, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    metadata = MetaData()


class Author(Base):
    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    email: Mapped[str | None] = mapped_column(String(40), unique=True)
    born: Mapped[int | None]

    books: Mapped[list[Book]] = relationship(back_populates="author", order_by="Book.id")


class Book(Base):
    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(40))
    author_id: Mapped[int] = mapped_column(ForeignKey(Author.id))

    author: Mapped[Author] = relationship(back_populates="books")


class Loan(Base):
    """A composite key, and one of text."""

    __tablename__ = "loans"

    book_id: Mapped[int] = mapped_column(primary_key=True)
    reader: Mapped[str] = mapped_column(String(40), primary_key=True)


class Parcel(Base):
    __tablename__ = "parcels"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


class Mood(enum.Enum):
    # Neither the names' order nor the values' is the order of their numbers.
    CALM = "zzz"
    BRISK = "mmm"
    ANGRY = "aaa"


class Reading(Base):
    """A column of every kind that is ordered by."""

    __tablename__ = "readings"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int | None]
    rank: Mapped[int]
    shelf: Mapped[int]
    name: Mapped[str | None] = mapped_column(String(20))
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    # Single precision where the database has it.
    weight: Mapped[float | None] = mapped_column(Float(24))
    at: Mapped[datetime | None]
    day: Mapped[date | None]
    hour: Mapped[time | None]
    flag: Mapped[bool | None]
    token: Mapped[uuid.UUID | None]
    mood: Mapped[Mood | None] = mapped_column(Enum(Mood))
    blob: Mapped[bytes | None] = mapped_column(LargeBinary(20))
