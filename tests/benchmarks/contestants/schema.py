"""The tables: TechEmpower's ``world``, authors with books, and entries that requests add."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Text

__all__ = ["author", "book", "entry", "metadata", "world"]

metadata: Final = MetaData()

world = Table(
    "world",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
)
author = Table(
    "author",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
)
book = Table(
    "book",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("author_id", ForeignKey("author.id"), nullable=False, index=True),
    Column("title", Text, nullable=False),
)
entry = Table(
    "entry",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("text", Text, nullable=False),
)
