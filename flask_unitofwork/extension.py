"""`UnitOfWork`: what an app imports. It wires the layers to apps and decides nothing itself."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, cast, overload

from flask import Flask
from sqlalchemy import Engine, MetaData
from sqlalchemy.orm import sessionmaker

from .cli import shell_context, uow_commands
from .config import DEFAULT_BIND, HELD_CONNECTION_SECONDS, Settings
from .database import Engines
from .database.commit_records import create_commit_records, drop_commit_records
from .database.intent import IsolationLevel
from .database.schema import create_all, drop_all
from .exceptions import AlreadyInitializedError, CacheError, ConfigurationError, DemarcationError
from .models import ModelMethods, mapped_classes
from .session import Router, Session, session_factory
from .states import Inspection, PendingChanges, inspect_object, pending_changes
from .transaction import (
    Durable,
    Hook,
    IdleWatch,
    ReadOnly,
    RequiredTransaction,
    Savepoint,
    Transaction,
    TransactionOptions,
    Unit,
    place_here,
)
from .web import (
    APP_STATE,
    EXTENSION,
    AppState,
    Cache,
    Dispatch,
    IndependentTransaction,
    Registry,
    Scope,
    ScopeFunction,
    Units,
    answer_exhaustion,
    app_initialized,
    below_400,
    explicit_commit,
    holder_here,
    is_answer,
    join_nested_contexts,
)

__all__ = ["UnitOfWork"]

F = TypeVar("F", bound=Callable[[], object])
D = TypeVar("D", bound=Callable[..., Any])
V = TypeVar("V")


class UnitOfWork(ModelMethods):
    """Gives every request of an app one unit of work.

    Args:
        app: an app to initialise at once. With an app factory leave it out and call :meth:`init_app` there.
        metadata: the tables that :meth:`create_all`, the ``flask uow`` commands and the test plugin work on.
        scopefunc: names scopes of your own, such as threads; see :class:`ScopeFunction`.

    Example:
        >>> from flask import Flask
        >>> from sqlalchemy import select, text
        >>> uow = UnitOfWork()
        >>> app = Flask(__name__)
        >>> app.config["UNITOFWORK_DATABASES"] = "sqlite://"
        >>> uow.init_app(app)
        >>> @app.get("/answer")
        ... def answer():
        ...     return str(uow.session.scalar(text("SELECT 6 * 7")))
        >>> app.test_client().get("/answer").text
        '42'
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        metadata: MetaData | None = None,
        scopefunc: ScopeFunction | None = None,
    ) -> None:
        self._metadata = metadata
        self._apps: weakref.WeakSet[Flask] = weakref.WeakSet()
        self._units = Units(self, self._hook_scope, apps=lambda: self._apps, scopefunc=scopefunc)
        self.registry = Registry(self._units)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the app's ``UNITOFWORK_`` settings, make its engines, and settle its requests from now on.

        No connection is made yet. Where this raises, nothing of the app has been changed.

        Args:
            app: the app; its configuration must be complete.

        Raises:
            AlreadyInitializedError: the app has a UnitOfWork already.
            ConfigurationError: a setting is missing, unknown or wrong, or a database driver is not installed.
        """
        if EXTENSION in app.extensions:
            raise AlreadyInitializedError(
                f"The app {app.import_name!r} already has a UnitOfWork, and one app has one."
                " Import that one and use it; it may be initialised on many apps."
            )
        settings = Settings.from_config(app.config, instance_path=app.instance_path)
        engines = Engines(settings, application_name=app.name)
        router = Router(engines, settings.bind_choosers)
        sessions = session_factory(settings)
        idle_watch = _idle_watch(app, settings, engines)
        state = AppState(
            settings,
            engines,
            router,
            sessions,
            settings.commit_policy or below_400,
            idle_watch=idle_watch,
            cache=_cache(settings, engines, sessions),
        )

        app.extensions[EXTENSION] = self
        app.extensions[APP_STATE] = state
        self._apps.add(app)
        if settings.attempts > 1:
            self._units.anything_repeats = True
        weakref.finalize(app, engines.dispose)
        Dispatch(app, state, self._units).install()
        answer_exhaustion(app, idle_watch, retry_after=settings.pool_retry_after)
        app.cli.add_command(uow_commands)
        app.shell_context_processor(self._shell_context)
        if settings.nested_context == "join":
            join_nested_contexts(app)
        app_initialized.send(app)

    # -- the unit in progress ------------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The session of the current scope, made when it is first used.

        Raises:
            OutsideScopeError: there is no request, app context or ``scope()`` block here.
        """
        return self._units.current().session

    @property
    def current(self) -> Unit:
        """The unit of work in progress.

        Raises:
            OutsideScopeError: there is no request, app context or ``scope()`` block here.
        """
        return self._units.current()

    def doom(self, reason: str) -> None:
        """See to it that the unit is rolled back, whatever the response. The response stays as it is.

        Args:
            reason: in words, for whoever asks later why nothing was committed.
        """
        self._units.current().doom(f"uow.doom({reason!r}) asked for it at {place_here()}")

    # -- object states -------------------------------------------------------------------------------------------

    def inspect(self, obj: object) -> Inspection:
        """Look at *obj*: its state, what has changed in it, what is not loaded. Of any session, or of none.

        Nothing is loaded or flushed. The record's ``repr`` tells names and the primary key, and no other values.

        Raises:
            sqlalchemy.orm.exc.UnmappedInstanceError: it is no object of a mapped class.

        Example:
            ::

                app.logger.info("saving %r", uow.inspect(order))  # saving <Order (7,): persistent, changed status>
        """
        return inspect_object(obj)

    def pending_changes(self) -> PendingChanges:
        """Tell what the next flush of the current session would do, in its order.

        Nothing is flushed, loaded or changed. What listeners of the flush add is not foretold, and neither are the values
        of defaults, ``onupdate`` and version counters. Where the flush would have to load something first, the result
        says what (`PendingChanges.unloaded`).

        Raises:
            OutsideScopeError: there is no request, app context or ``scope()`` block here.

        Example:
            ::

                app.logger.info("%r", uow.pending_changes())  # <PendingChanges: <update order (7,): status>>
        """
        unit = self._units.current()
        return pending_changes(unit.session) if unit.has_session else PendingChanges()

    # -- demarcation ---------------------------------------------------------------------------------------------

    def scope(self, app: Flask | None = None, *, reads: Literal["autocommit", "transaction"] = "transaction") -> Scope:
        """A unit of work of its own, anywhere: in a thread, a job, a script, or inside another unit.

        A context manager and a decorator. Committed when it ends well, rolled back when an exception leaves it.

        Args:
            app: the app to work for. By default the current one; where there is no app context, the only one.
            reads: ``"autocommit"`` for read mode: no transaction until something else than a read runs.

        Raises:
            DemarcationError: *reads* is neither of the two.
            OutsideScopeError: on entering it, where the app is not obvious.

        Example:
            ::

                with uow.scope(app) as session:
                    session.add(Product(name="Tea"))
        """
        if app is not None and not isinstance(cast(object, app), Flask):
            raise DemarcationError(
                f"scope() takes a Flask app, and was given an object of type {type(app).__name__}."
                " As a decorator it is written with parentheses: @uow.scope()"
            )
        if reads not in ("autocommit", "transaction"):
            raise DemarcationError(f'reads must be "autocommit" or "transaction"; it is {reads!r}.')
        return Scope(self._units, lambda: self._apps, app, TransactionOptions(), reads=reads == "autocommit")

    def transaction(
        self,
        *,
        isolation_level: IsolationLevel | None = None,
        read_only: bool = False,
        timeout: float | None = None,
        attempts: int = 1,
        bind: str | None = None,
    ) -> Transaction:
        """Join the transaction in progress, else begin one. The outermost commits, or rolls back.

        A context manager and a decorator. A request that is committed by its success counts as the outermost.

        Args:
            isolation_level: one of SQL's four; by default the database's own. A database may give more than is asked.
            read_only: the database refuses writes.
            timeout: seconds that each statement may take; the database enforces it.
            attempts: how often the work may run, where the database asks for it to run again. For decorated functions
                and views only, and without effect inside another transaction.
            bind: the name of the database for models, tables and statements that name none.

        Raises:
            DemarcationError: at once, where an argument is wrong; on entering it, where the transaction in progress is
                another one than is asked for.

        Example:
            ::

                @app.post("/transfers")
                @uow.transaction(isolation_level="SERIALIZABLE", attempts=5)
                def transfer():
                    ...
        """
        options = self._options(
            isolation_level=isolation_level, read_only=read_only, timeout=timeout, attempts=attempts, bind=bind
        )
        return Transaction(self._units.current, is_answer, options)

    def read_only(
        self,
        *,
        isolation_level: IsolationLevel | None = None,
        timeout: float | None = None,
        attempts: int = 1,
        bind: str | None = None,
    ) -> ReadOnly:
        """A transaction in which nothing can be written: the database itself refuses, and a flush raises.

        A context manager and a decorator. Inside a transaction that may write, it is a part of that one which may not.
        The arguments are those of :meth:`transaction`.

        Raises:
            ReadOnlyError: in the block, by a statement that writes.
        """
        options = self._options(
            isolation_level=isolation_level, read_only=True, timeout=timeout, attempts=attempts, bind=bind
        )
        return ReadOnly(self._units.current, is_answer, options)

    def transaction_required(self) -> RequiredTransaction:
        """Join the transaction in progress; an error where there is none. A context manager and a decorator.

        Raises:
            DemarcationError: on entering it outside of a transaction.
        """
        return RequiredTransaction(self._units.current, is_answer, TransactionOptions(read_only=None))

    def independent_transaction(
        self,
        *,
        isolation_level: IsolationLevel | None = None,
        read_only: bool = False,
        timeout: float | None = None,
        attempts: int = 1,
        bind: str | None = None,
    ) -> IndependentTransaction:
        """A transaction with its own session and connection, committed whatever becomes of the one in progress.

        A context manager and a decorator, for what must be kept in any case, such as an audit trail. It cannot see what
        the other has not committed, and waits for its locks: on SQLite, which has one writer, it cannot write once the
        other has taken its turn, which one that means to write does with its first statement. The arguments are those of
        :meth:`transaction`.

        Raises:
            OutsideScopeError: on entering it outside of a request or app context.
            DemarcationError: at a statement that writes on SQLite, where the other one has its turn.

        Example:
            ::

                with uow.independent_transaction() as session:
                    session.add(Attempt(user=user))
        """
        options = self._options(
            isolation_level=isolation_level, read_only=read_only, timeout=timeout, attempts=attempts, bind=bind
        )
        return IndependentTransaction(self._units, lambda: self._apps, None, options)

    @overload
    def durable(self, function: D) -> D: ...

    @overload
    def durable(
        self,
        *,
        isolation_level: IsolationLevel | None = None,
        timeout: float | None = None,
        attempts: int = 1,
        bind: str | None = None,
    ) -> Durable: ...

    def durable(self, function: Callable[..., Any] | None = None, **options: Any) -> Any:
        """When the decorated function returns, its work is committed. An error inside a transaction. A decorator only.

        Write ``@uow.durable``, or ``@uow.durable(attempts=3)`` with arguments of :meth:`transaction`.

        Raises:
            DemarcationError: when it is called inside a transaction.

        Example:
            ::

                @uow.durable
                def close_the_books(day):
                    ...
        """
        durable = Durable(self._units.current, is_answer, self._options(**options))
        return durable if function is None else durable(function)

    def _options(self, **options: Any) -> TransactionOptions:
        checked = TransactionOptions(**options)
        if checked.attempts > 1:
            self._units.anything_repeats = True
        return checked

    def savepoint(self) -> Savepoint:
        """Part of the work that may fail while the rest goes on. A context manager only.

        Example:
            ::

                try:
                    with uow.savepoint():
                        uow.session.add(Subscriber(email=email))
                except IntegrityError:
                    pass  # subscribed already
        """
        return Savepoint(self._units.current, is_answer)

    def explicit_commit(self, view: V) -> V:
        """Turn commit on success off for a view: only what its code commits is kept. A decorator."""
        return explicit_commit(view)

    # -- hooks ---------------------------------------------------------------------------------------------------

    def before_commit(self, function: F) -> F:
        """Run *function* before the unit is committed. It may still write, or doom; an exception rolls back."""
        unit = self._units.current()
        unit.hooks.before_commit.append(Hook(function, savepoint=unit.savepoint))
        return function

    def on_commit(self, function: F, *, robust: bool = True) -> F:
        """Run *function* after the unit was committed, before the response leaves; never if it is not.

        It gets a session of its own, which is committed after it.

        Args:
            function: called without arguments.
            robust: log its failure and go on. Otherwise the failure is raised after all hooks ran; the commit stands.
        """
        unit = self._units.current()
        unit.hooks.after_commit.append(Hook(function, robust=robust, savepoint=unit.savepoint))
        return function

    def on_rollback(self, function: F) -> F:
        """Run *function* after the unit was rolled back. It gets a session of its own, which is committed after it."""
        unit = self._units.current()
        unit.hooks.after_rollback.append(Hook(function, savepoint=unit.savepoint))
        return function

    # -- cached results ------------------------------------------------------------------------------------------

    def invalidate_tables(self, *tables: Any) -> None:
        """Say that *tables* were written where the extension cannot see it: what is cached of them is stale.

        In a transaction, the current unit counts as having written them: they are invalidated after its commit, and not if
        it is rolled back. Anywhere else they are invalidated at once.

        Args:
            *tables: mapped classes, tables or names of tables; none of them for everything.

        Raises:
            CacheError: one of them is no table, or the app has no ``UNITOFWORK_CACHE_REGIONS``.
            OutsideScopeError: there is no app context here.
        """
        cache = self._units.app_state(self._units.current_app()).cache
        if cache is None:
            raise CacheError(
                "This app caches nothing, so there is nothing to invalidate. Write"
                ' app.config["UNITOFWORK_CACHE_REGIONS"] = {"default": region} before init_app, with a region of'
                " dogpile.cache."
            )
        unit = self._units.peek()
        cache.invalidate(tables, unit.session if unit is not None and unit.has_session else None)

    # -- databases -----------------------------------------------------------------------------------------------

    @property
    def engines(self) -> Mapping[str, Engine]:
        """The engines of the current app, by name."""
        return self._engines()

    @property
    def engine(self) -> Engine:
        """The default engine of the current app."""
        return self._engines()[DEFAULT_BIND]

    def get_engine(self, name: str = DEFAULT_BIND) -> Engine:
        """An engine of the current app.

        Raises:
            UnknownBindError: there is no database of that name.
        """
        return self._engines()[name]

    @property
    def metadata(self) -> MetaData:
        """The tables that :meth:`create_all`, the ``flask uow`` commands and the test plugin work on.

        Raises:
            ConfigurationError: the UnitOfWork was made without any.
        """
        if self._metadata is None:
            raise ConfigurationError(
                "This UnitOfWork has no metadata, so it does not know your tables."
                " Write UnitOfWork(metadata=Base.metadata), with Base your models' declarative base."
            )
        return self._metadata

    def create_all(self) -> None:
        """Create the tables that do not exist yet, each on the database of its bind key.

        With ``UNITOFWORK_TWO_PHASE`` also ``unitofwork_commits``, on each database.

        Raises:
            UnknownBindError: a bind key names no database; nothing has been created then.
        """
        create_all(self.metadata, self._engines(), models=mapped_classes(self.metadata))
        if self._settings().two_phase:
            create_commit_records(self._engines().values())
        self._invalidate_everything()

    def drop_all(self) -> None:
        """Drop all tables, each on the database of its bind key.

        Raises:
            UnknownBindError: a bind key names no database; nothing has been dropped then.
        """
        drop_all(self.metadata, self._engines(), models=mapped_classes(self.metadata))
        if self._settings().two_phase:
            drop_commit_records(self._engines().values())
        self._invalidate_everything()

    def dispose(self) -> None:
        """Close the pooled connections of the current app. In-memory databases are empty after that."""
        self._engines().dispose()
        self._invalidate_everything()

    def _invalidate_everything(self) -> None:
        cache = self._units.app_state(self._units.current_app()).cache
        if cache is not None:
            cache.invalidate()

    def _hook_scope(self, app: Flask) -> Scope:
        return Scope(self._units, lambda: self._apps, app, TransactionOptions())

    def _shell_context(self) -> dict[str, object]:
        return shell_context(self, () if self._metadata is None else mapped_classes(self._metadata))

    def _engines(self) -> Engines:
        return self._units.app_state(self._units.current_app()).engines

    def _settings(self) -> Settings:
        return self._units.app_state(self._units.current_app()).settings


def _cache(settings: Settings, engines: Engines, sessions: sessionmaker[Session]) -> Cache | None:
    """What keeps results of queries, where the settings ask for it.

    Raises:
        ConfigurationError: dogpile.cache is not installed, or a region is wrong.
    """
    if not settings.cache_regions:
        return None
    try:
        from .caching.cache import ResultCache
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "UNITOFWORK_CACHE_REGIONS needs dogpile.cache, which is not installed. Write"
            ' pip install "flask-unitofwork[cache]".'
        ) from error
    return ResultCache(settings, engines, sessions)


def _idle_watch(app: Flask, settings: Settings, engines: Engines) -> IdleWatch | None:
    """What watches for connections that are held without SQL: from now on if the settings ask for it."""
    limit = settings.held_connection_limit
    if limit == 0:
        return None
    watch = IdleWatch(
        HELD_CONNECTION_SECONDS if limit is None else limit,
        holder_here,
        own={app.import_name.partition(".")[0]},
        ends=Dispatch.ends,
    )
    if limit is not None:
        watch.start(engines)
    return watch
