"""The mappers of a program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm.mapper import _all_registries

if TYPE_CHECKING:
    from sqlalchemy.orm import Mapper, registry

__all__ = ["all_mappers", "all_registries"]


def all_mappers() -> Iterator[Mapper[Any]]:
    """Every mapper that is alive, however its class was mapped."""
    for registry in all_registries():
        yield from registry.mappers


def all_registries() -> Iterable[registry]:
    """Every registry that is alive.

    Private: a MetaData does not know its registries, and a registry is not told by its MetaData. SQLAlchemy's public
    ways begin at a base class, which an app need not have (imperative mapping) and may have several of. A test fails
    if the name is gone.
    """
    return _all_registries()
