"""The mapped classes of a MetaData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Table

from ..database.mappers import all_mappers

if TYPE_CHECKING:
    from sqlalchemy import MetaData

__all__ = ["mapped_classes"]


def mapped_classes(metadata: MetaData) -> list[type[Any]]:
    """Give the classes that are mapped to tables of *metadata*, however they were mapped, by name.

    Example:
        >>> from sqlalchemy import Column, Integer, MetaData
        >>> from sqlalchemy.orm import DeclarativeBase
        >>> class Base(DeclarativeBase):
        ...     metadata = MetaData()
        >>> class Author(Base):
        ...     __tablename__ = "authors"
        ...     id = Column(Integer, primary_key=True)
        >>> mapped_classes(Base.metadata) == [Author]
        True
    """
    classes = {
        mapper.class_
        for mapper in all_mappers()
        if any(isinstance(table, Table) and table.metadata is metadata for table in mapper.tables)
    }
    return sorted(classes, key=lambda one: (one.__name__, one.__module__, one.__qualname__))
