"""Horizontal partitioning: the rows of one table in several databases, by SQLAlchemy's sharding extension.

Note: shards are names
    SQLAlchemy's session is given an engine for each shard when it is made. In an app that is the name of a database, and
    which engine or connection it stands for is asked when a statement runs: so a test's isolation reaches shards as it
    reaches everything else.

Note: what is not sharded
    A model or table that the app's own routing has an answer for, such as a bind key, lives there as in any other
    session. SQLAlchemy is told that this database is its only shard.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, cast

from sqlalchemy import ClauseElement, Connection, Engine
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.ext import horizontal_shard
from sqlalchemy.orm import Mapper, ORMExecuteState, Query

from ..exceptions import UnknownBindError
from .attachment import Attachment
from .routing import mapper_of
from .session import Session
from .shard_choosers import ExecuteChooser, IdentityChooser, ShardChooser, checked_shard, checked_shards

__all__ = ["ShardedSession"]

_SHARD: Final = "shard_id"


class ShardedSession(Session, horizontal_shard.ShardedSession):
    """A :class:`Session` for rows of one table in several databases: SQLAlchemy's ShardedSession in a unit of work.

    In an app, ``UNITOFWORK_SESSION_OPTIONS`` says so: ``"class_"``, the choosers, and ``"shards"``, which are names in
    ``UNITOFWORK_DATABASES``.

    Args:
        shard_chooser: chooses the shard that an object is written to.
        identity_chooser: chooses the shards where a primary key may be.
        execute_chooser: chooses the shards that a statement runs on.
        shards: the shards' names, in an app; engines by name, without one.
        query_cls: the class of ``session.query()``.
        **options: those of any session.

    Raises:
        sqlalchemy.exc.ArgumentError: a chooser is missing.
    """

    _one_place = False

    def __init__(
        self,
        shard_chooser: ShardChooser,
        identity_chooser: IdentityChooser | None = None,
        execute_chooser: ExecuteChooser | None = None,
        shards: Mapping[str, Engine] | Collection[str] | None = None,
        query_cls: type[Query[Any]] = horizontal_shard.ShardedQuery,
        **options: Any,
    ) -> None:
        self._shards: tuple[str, ...] = tuple(shards or ())
        self._homes: set[str] = set()

        def choose_shard(mapper: Mapper[Any] | None, instance: Any, clause: ClauseElement | None = None) -> str:
            home = self._home_of(mapper, clause)
            if home is not None:
                return home
            named = shard_chooser(mapper, instance, clause)
            return checked_shard(named, self._shards, chooser=shard_chooser, subject=mapper)

        def choose_for_identity(mapper: Mapper[Any], primary_key: Any, **context: Any) -> Iterable[str]:
            home = self._home_of(mapper, None)
            if home is not None or identity_chooser is None:
                return filter(None, [home])
            named = identity_chooser(mapper, primary_key, **context)
            return checked_shards(named, self._shards, chooser=identity_chooser, subject=mapper)

        def choose_for_statement(state: ORMExecuteState) -> Iterable[str]:
            home = self._home_of(state.bind_mapper, state.statement)
            if home is not None or execute_chooser is None:
                return filter(None, [home])
            named = execute_chooser(state)
            return checked_shards(named, self._shards, chooser=execute_chooser, subject=state.statement)

        placeholders: Any = shards if isinstance(shards, Mapping) else {name: name for name in self._shards}
        super().__init__(
            choose_shard,
            # SQLAlchemy refuses a session without these two.
            None if identity_chooser is None else choose_for_identity,
            None if execute_chooser is None else choose_for_statement,
            placeholders,
            query_cls,
            **options,
        )

    def bind_shard(self, shard_id: str, bind: Any) -> None:
        """Add a shard, as SQLAlchemy documents; in an app, *bind* is the name of a database."""
        super().bind_shard(shard_id, bind)
        if shard_id not in self._shards:
            self._shards = (*self._shards, shard_id)

    def connection_callable(  # pyright: ignore[reportIncompatibleVariableOverride]  as SQLAlchemy's own sharded session
        self, mapper: Mapper[Any] | None = None, instance: Any = None, shard_id: str | None = None, **kw: Any
    ) -> Connection:
        """The connection that *instance* is flushed on. In a savepoint it is one that has joined the savepoint.

        SQLAlchemy asks the outermost transaction, so that what is flushed in a savepoint would not be rolled back with it.
        """
        savepoint = self.get_nested_transaction()
        if savepoint is None:
            return super().connection_callable(mapper, instance, shard_id, **kw)
        return savepoint.connection(mapper, shard_id=shard_id, instance=instance)

    def get_bind(
        self,
        mapper: Any = None,
        *,
        clause: ClauseElement | None = None,
        bind: Engine | Connection | None = None,
        **kw: Any,
    ) -> Engine | Connection:
        """The engine or connection for a statement: that of the shard which is named, or which the choosers name.

        Raises:
            UnknownBindError: a chooser, or ``shard_id``, names no shard.
            OutsideScopeError: the session belongs to another thread (in debug and testing).
            sqlalchemy.exc.UnboundExecutionError: nothing tells the shard, as for ``session.connection()``.
        """
        shard = kw.get(_SHARD)
        if shard is not None and shard not in self._shards and shard not in self._homes:
            raise UnknownBindError(
                f"There is no shard {shard!r}. The shards are {', '.join(map(repr, self._shards))}."
                " Write one of these names, or add it to the shards."
            )
        found: Engine | Connection | str = super().get_bind(mapper, clause=clause, bind=bind, **kw)
        if isinstance(found, str):  # a placeholder that no app has put an engine in the place of
            raise UnboundExecutionError(
                f"The shard {found!r} is the name of an app's database, and this session belongs to no app."
                " Write uow.session; or, to use it on its own, ShardedSession(shards={…}) with engines."
            )
        return found

    def _routed(
        self, attachment: Attachment, mapper: Any, clause: ClauseElement | None, arguments: Mapping[str, Any]
    ) -> Engine | Connection:
        if mapper is not None:
            mapper = mapper_of(mapper)
        elif arguments.get(_SHARD) is None:
            lives_in = self._home_of(None, clause) or attachment.bind
            if lives_in is None:
                raise UnboundExecutionError(
                    "Nothing here tells the shard: there is no mapped class."
                    ' Write bind_arguments={"shard_id": "…"} with one of '
                    f"{', '.join(map(repr, self._shards))}."
                )
            return attachment.router.source[lives_in]
        found = horizontal_shard.ShardedSession.get_bind(self, mapper, clause=clause, **arguments)
        return attachment.router.named(found)

    def _home_of(self, mapper: Mapper[Any] | None, clause: Any) -> str | None:
        """The one database of what is not sharded; None for what is."""
        if self._attachment is None:
            return None
        home = self._attachment.router.choose(mapper, clause)
        if home is not None and home not in self._homes:
            horizontal_shard.ShardedSession.bind_shard(self, home, cast(Any, home))
            self._homes.add(home)
        return home
