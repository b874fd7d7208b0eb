"""The engines of one app, by name."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NoReturn, TypeVar
from uuid import uuid4

from sqlalchemy import Engine
from sqlalchemy.pool import Pool

from ..config import DatabaseSettings, Settings
from ..exceptions import ConfigurationError, UnknownBindError
from . import mysql, postgresql, sqlite
from .commits import watch_commits
from .fork import protect
from .lone_writes import write_alone
from .plan import EnginePlan
from .transactions import forget_intents
from .two_phase import check_two_phase, commit_in_two_phases
from .written import watch_writes

__all__ = ["Engines"]

_T = TypeVar("_T")


def _build(plan: EnginePlan) -> Engine:
    """An engine for a kind of database that this package has no defaults for."""
    engine = plan.create_engine()
    protect(engine)
    return engine


# SQLAlchemy's name of a kind of database → what builds an engine with defaults for the web.
_BUILDERS: Final[Mapping[str, Callable[[EnginePlan], Engine]]] = {
    "sqlite": sqlite.build,
    "postgresql": postgresql.build,
    "mysql": mysql.build,
    "mariadb": mysql.build,
}


class Engines(Mapping[str, Engine]):
    """The engines of one app, by name. Creating them opens no connection.

    Args:
        settings: the app's settings.
        application_name: who PostgreSQL is told is connected (``pg_stat_activity``).

    Raises:
        ConfigurationError: a driver is not installed, an option is not SQLAlchemy's, or a replica is of another kind
            than its primary, or cannot prepare a transaction though ``UNITOFWORK_TWO_PHASE`` asks for it.

    Example:
        >>> settings = Settings.from_config({"UNITOFWORK_DATABASES": "sqlite://"}, instance_path=".")
        >>> engines = Engines(settings)
        >>> with engines["default"].connect() as connection:
        ...     connection.exec_driver_sql("SELECT 6 * 7").scalar_one()
        42
        >>> engines.dispose()
    """

    def __init__(self, settings: Settings, *, application_name: str = "flask_unitofwork") -> None:
        for database in settings.databases.values():
            _check_replicas(database)
            if settings.two_phase:
                check_two_phase(database)
        self._engines: dict[str, Engine] = {}
        self._own_pools: Mapping[Engine, Pool] | None = None
        self._epochs: list[str] = []
        for name, database in settings.databases.items():
            plan = EnginePlan.of(database, settings, application_name=application_name)
            self._engines[name] = _BUILDERS.get(plan.url.get_backend_name(), _build)(plan)
            watch_writes(self._engines[name])
            watch_commits(self._engines[name], name)
            if settings.two_phase:
                commit_in_two_phases(self._engines[name], name, application_name)
            write_alone(self._engines[name], name)
            forget_intents(self._engines[name])

    def __getitem__(self, name: str) -> Engine:
        """The engine of the database *name*.

        Raises:
            UnknownBindError: no database has that name.
        """
        try:
            return self._engines[name]
        except KeyError:
            self._unknown(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._engines)

    def __len__(self) -> int:
        return len(self._engines)

    # Mapping's own expect a KeyError from __getitem__.
    def __contains__(self, name: object) -> bool:
        return name in self._engines

    def get(self, name: str, default: _T | None = None) -> Engine | _T | None:  # type: ignore[override]
        """The engine of the database *name*, or *default*."""
        return self._engines.get(name, default)

    def dispose(self) -> None:
        """Close the idle connections of all pools, and empty in-memory databases.

        Connections in use are closed when they are given back. The engines can be used again.
        """
        for engine in self._engines.values():
            engine.dispose()

    @property
    def has_other_pools(self) -> bool:
        """Whether the engines take their connections from elsewhere than from their own pools."""
        return self._own_pools is not None

    @property
    def epoch(self) -> str:
        """Names the stretch of time in which what is committed lasts: an isolated test, or a part of one; else empty."""
        return self._epochs[-1] if self._epochs else ""

    @contextmanager
    def for_a_while(self) -> Generator[None]:
        """In the block, what is committed lasts no longer than the block."""
        self._epochs.append(uuid4().hex)
        try:
            yield
        finally:
            self._epochs.pop()

    @contextmanager
    def with_other_pools(
        self, pool_for: Callable[[str, Engine], Pool], give_back: Callable[[Engine], object]
    ) -> Generator[None]:
        """In the block, let engines take their connections from other pools than their own, as isolated tests do.

        Whoever has an engine already is served by the other pool, too.

        Args:
            pool_for: gives the other pool, by an engine and its name.
            give_back: is told of an engine that was disposed of meanwhile, and its other pool with it.
        """
        own = {engine: engine.pool for engine in self._engines.values()}
        other: dict[Engine, Pool] = {}
        self._own_pools = own
        try:
            for name, engine in self._engines.items():
                other[engine] = engine.pool = pool_for(name, engine)
            with self.for_a_while():
                yield
        finally:
            self._own_pools = None
            for engine, pool in own.items():
                was_disposed = engine in other and engine.pool is not other[engine]
                engine.pool = pool
                if was_disposed:
                    give_back(engine)
                    # Somebody has closed all of the engine's connections, and these are among them.
                    engine.dispose()

    def _unknown(self, name: str) -> NoReturn:
        known = ", ".join(map(repr, self._engines))
        raise UnknownBindError(
            f"There is no database {name!r}; UNITOFWORK_DATABASES has {known}."
            f' Write one of these names, or add {{{name!r}: "<its URL>"}} to UNITOFWORK_DATABASES.'
        )


def _check_replicas(database: DatabaseSettings) -> None:
    """Replicas are checked with their primary; their engines are made by what routes reads to them."""
    kind = database.url.get_backend_name()
    for place, replica in enumerate(database.replicas):
        if replica.get_backend_name() != kind:
            raise ConfigurationError(
                f'UNITOFWORK_DATABASES[{database.name!r}]["replicas"][{place}] is a {replica.get_backend_name()}'
                f" database, but its primary is {kind}: a replica is a copy that the primary's own server feeds."
                " To use another database beside this one, give it a name of its own in UNITOFWORK_DATABASES."
            )
