"""Horizontal partitioning by rules of the user's own: functions that choose shards, and what looks after their answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Protocol

from sqlalchemy import ClauseElement
from sqlalchemy.orm import Mapper, ORMExecuteState

from ..exceptions import UnknownBindError

__all__ = ["ExecuteChooser", "IdentityChooser", "ShardChooser", "checked_shard", "checked_shards"]


class ShardChooser(Protocol):
    """Chooses the shard that an object is written to. Any callable of this form serves, such as a function."""

    def __call__(self, mapper: Mapper[Any] | None, instance: Any, clause: ClauseElement | None = None, /) -> str:
        """Choose one shard.

        Args:
            mapper: the class's mapper; None for a statement on tables alone.
            instance: the object that is about to be inserted; None for ``session.connection()`` and the like.
            clause: the statement, where there is one.

        Returns:
            The shard's name. The object keeps it: later changes of it go there.
        """
        ...


class IdentityChooser(Protocol):
    """Chooses the shards where a primary key may be, for objects that the session may hold already."""

    def __call__(self, mapper: Mapper[Any], primary_key: Any, /, **context: Any) -> Iterable[str]:
        """Choose shards.

        Args:
            mapper: the class's mapper.
            primary_key: the key that is looked up.
            **context: ``lazy_loaded_from``, ``execution_options`` and ``bind_arguments``, as SQLAlchemy documents.
        """
        ...


class ExecuteChooser(Protocol):
    """Chooses the shards that a statement runs on. Their rows are put together."""

    def __call__(self, state: ORMExecuteState, /) -> Iterable[str]:
        """Choose shards, by the statement and all that SQLAlchemy knows of it."""
        ...


def checked_shard(shard: object, shards: Collection[str], *, chooser: object, subject: object) -> str:
    """*shard*, as *chooser* named it for *subject*.

    Raises:
        UnknownBindError: it is none of *shards*.
    """
    if isinstance(shard, str) and shard in shards:
        return shard
    named = "named no shard" if shard is None else f"named the shard {shard!r}, which is unknown,"
    raise UnknownBindError(
        f"{_name_of(chooser)} {named} for {_described(subject)}, so nobody can tell where that is."
        f" The shards are {', '.join(map(repr, shards))}."
    )


def checked_shards(named: Iterable[object], shards: Collection[str], *, chooser: object, subject: object) -> list[str]:
    """What *chooser* named for *subject*.

    Raises:
        UnknownBindError: there is none, or one is none of *shards*.
    """
    chosen = [checked_shard(shard, shards, chooser=chooser, subject=subject) for shard in named or ()]
    if not chosen:
        checked_shard(None, shards, chooser=chooser, subject=subject)
    return chosen


def _name_of(chooser: object) -> str:
    named: Any = chooser if hasattr(chooser, "__qualname__") else type(chooser)
    return f"The chooser {named.__qualname__}"


def _described(subject: object) -> str:
    """A kind of thing, never its values."""
    if isinstance(subject, Mapper):
        return str(subject.class_.__qualname__)
    return f"a statement ({type(subject).__name__})" if isinstance(subject, ClauseElement) else "a connection"
