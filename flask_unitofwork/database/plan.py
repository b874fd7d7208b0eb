"""What is known of an engine before it is created, and its creation.

Who wins, from weakest to strongest: this package's defaults for the kind of database, ``UNITOFWORK_ENGINE_OPTIONS``,
the database's own options in ``UNITOFWORK_DATABASES``. ``connect_args`` are merged key by key in the same order, and
what the URL's query says counts as the user's word too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import Pool, QueuePool

from ..config import POOL_TIMEOUT_SECONDS, DatabaseSettings, Settings
from ..exceptions import ConfigurationError
from .leases import LeasingPool
from .pool import BoundedQueuePool

__all__ = ["EnginePlan"]

# SQLAlchemy's name of the kind of database → this package's extra, and a URL that works with that extra.
_EXTRAS: Final[Mapping[str, tuple[str, str]]] = {
    "postgresql": ("postgresql", "postgresql+psycopg://"),
    "mysql": ("mysql", "mysql+pymysql://"),
    "mariadb": ("mysql", "mariadb+pymysql://"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePlan:
    """What is known of an engine before it is created.

    Attributes:
        name: the bind's name, for messages.
        url: where the database is.
        options: what the user gives ``create_engine``, without ``connect_args``.
        connect_args: what the user gives the driver's ``connect``.
        statement_timeout: seconds that one statement may take; None for no limit.
        lock_timeout: seconds that one statement may wait for a lock; None for the database's own limit.
        two_phase: whether commits have two phases.
        application_name: who the database is told is connected.
        instance_path: the folder that relative SQLite paths are under; None if there is none.
        pool_timeout: seconds that a thread waits for a connection.
        pool_max_waiting: how many threads may wait for a connection at a time; None for no limit.
    """

    name: str
    url: URL
    options: Mapping[str, Any]
    connect_args: Mapping[str, Any]
    statement_timeout: float | None
    lock_timeout: float | None
    application_name: str
    two_phase: bool = False
    instance_path: Path | None = None
    pool_timeout: float = POOL_TIMEOUT_SECONDS
    pool_max_waiting: int | None = None

    @classmethod
    def of(cls, database: DatabaseSettings, settings: Settings, *, application_name: str) -> EnginePlan:
        """The plan for *database*'s primary."""
        options = {**settings.engine_options, **database.options}
        connect_args = {
            **settings.engine_options.get("connect_args", {}),
            **database.options.get("connect_args", {}),
        }
        options.pop("connect_args", None)
        return cls(
            name=database.name,
            url=database.url,
            options=options,
            connect_args=connect_args,
            statement_timeout=settings.statement_timeout,
            lock_timeout=settings.lock_timeout,
            application_name=application_name,
            two_phase=settings.two_phase,
            instance_path=settings.instance_path,
            pool_timeout=settings.pool_timeout,
            pool_max_waiting=settings.pool_max_waiting,
        )

    @property
    def connects_itself(self) -> bool:
        """Whether the user makes the connections, so that ``connect_args`` reach nobody."""
        return "creator" in self.options or "pool" in self.options

    def decided(self, argument: str) -> Any:
        """What the user gives the driver's ``connect`` as *argument*, by ``connect_args`` or the URL; None if nothing."""
        return self.connect_args.get(argument, self.url.query.get(argument))

    def create_engine(
        self,
        *,
        url: URL | None = None,
        connect_args: Mapping[str, Any] | None = None,
        imposed: Mapping[str, Any] | None = None,
        **defaults: Any,
    ) -> Engine:
        """The engine, with *defaults* and *connect_args* where the user decided nothing else.

        Args:
            url: where to connect, if it is not `url`.
            connect_args: defaults for the driver's ``connect``.
            imposed: arguments for the driver's ``connect`` that already contain what the user decided.
            defaults: defaults for :func:`sqlalchemy.create_engine`.

        Raises:
            ConfigurationError: the driver is not installed or is asynchronous, or an option is not SQLAlchemy's.
        """
        undecided = {name: value for name, value in (connect_args or {}).items() if self.decided(name) is None}
        setting = f"UNITOFWORK_DATABASES[{self.name!r}]"
        try:
            # A pool made by the user has its own options and connects in its own way.
            if "pool" in self.options:
                options = dict(self.options)
            else:
                options = {**defaults, **self._queueing(url or self.url, defaults.get("poolclass")), **self.options}
            options["connect_args"] = {**undecided, **self.connect_args, **(imposed or {})}
            engine = create_engine(url or self.url, **options)
        except ImportError as error:
            raise ConfigurationError(f"{setting}: {self._missing_driver(error)}") from error
        except NoSuchModuleError as error:
            raise ConfigurationError(
                f"{setting}: SQLAlchemy knows no database {self.url.drivername!r}."
                ' A URL begins with "sqlite://", "postgresql+psycopg://" or "mysql+pymysql://", for instance.'
            ) from error
        except (ArgumentError, TypeError) as error:
            raise ConfigurationError(f"{setting}: create_engine refuses these options: {error}") from error
        if engine.dialect.is_async:
            raise ConfigurationError(
                f"{setting}: {self.url.drivername!r} is an asynchronous driver, and sessions here are synchronous"
                " (async views included). Write the URL with a synchronous driver,"
                ' such as "postgresql+psycopg://" or "mysql+pymysql://".'
            )
        return engine

    def _queueing(self, url: URL, default: type[Pool] | None) -> dict[str, Any]:
        """The pool's class and its options, as far as they say who waits for a connection. Not every pool has a queue."""
        pool: type[Pool] | None = self.options.get("poolclass", default)
        if pool is None:
            dialect: Any = url.get_dialect()  # every dialect has the method; its type's declaration forgets it
            usual: type[Pool] = dialect.get_pool_class(url)
            pool = LeasingPool if usual is QueuePool else usual
        if not issubclass(pool, QueuePool):
            return {}
        options: dict[str, Any] = {"poolclass": pool, "pool_timeout": self.pool_timeout}
        if issubclass(pool, BoundedQueuePool):
            options["pool_max_waiting"] = self.pool_max_waiting
        return options

    def _missing_driver(self, error: ImportError) -> str:
        reason = f"the driver of {self.url.drivername!r} is not installed ({error})."
        kind = self.url.get_backend_name()
        if kind not in _EXTRAS:
            return f"{reason} Install it."
        extra, scheme = _EXTRAS[kind]
        return f'{reason} Run pip install "flask-unitofwork[{extra}]" and begin the URL with "{scheme}".'
