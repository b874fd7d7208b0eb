"""The mapped classes of a MetaData."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table
from sqlalchemy.orm.mapper import _all_registries

if TYPE_CHECKING:
    from sqlalchemy import MetaData
    from sqlalchemy.orm import registry

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
        for registry in all_registries()
        for mapper in registry.mappers
        if any(isinstance(table, Table) and table.metadata is metadata for table in mapper.tables)
    }
    return sorted(classes, key=lambda one: (one.__name__, one.__module__, one.__qualname__))


def all_registries() -> Iterable[registry]:
    """Every registry that is alive.

    Private: a MetaData does not know its registries, and a registry is not told by its MetaData. SQLAlchemy's public
    ways begin at a base class, which an app need not have (imperative mapping) and may have several of. A test fails
    if the name is gone.
    """
    return _all_registries()
