"""Where faults are met: listeners that let an app's databases fail.

Note: where a fault happens
    Where the database's own would: a statement's while it is executed, a commit's where COMMIT is sent, a checkout's
    where the pool gives out a connection. So SQLAlchemy wraps it, tells its listeners, and drops a connection that is
    lost, and the unit of work does about it what it does in production. In an isolated test it is the app's connection
    that is lost, and not the test's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from threading import local
from typing import Any, NoReturn

from sqlalchemy import Connection, Engine, ExceptionContext, event, exc
from sqlalchemy.engine.interfaces import Dialect, ExecutionContext
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from ..database.commits import INSTEAD_OF_COMMIT
from ..database.statements import Effect, effect_of
from ..database.transactions import withdraw_lone_write
from ..session import Session
from ..web import AppState
from .driver_errors import fail, refuse
from .fault import Fault, Moment

__all__ = ["Provocation"]

Take = Callable[[Moment, str, str | None], Fault | None]
"""Gives the fault that happens now: to a commit, a flush, a statement or a checkout; on the database of that name; with
the statement's text, if there is one."""


class _Here(local):
    """What the thread in progress is doing."""

    flushing = False


class Provocation:
    """Lets an app's databases fail.

    Args:
        state: the app's.
        take: gives the fault that happens now.
    """

    def __init__(self, state: AppState, take: Take) -> None:
        self._state = state
        self._take = take
        self._here = _Here()
        self._lost: BaseException | None = None

    @contextmanager
    def listening(self) -> Generator[None]:
        """Provoke the faults while the block is open."""
        with ExitStack() as end:

            def listen(target: Any, name: str, listener: Any, **options: bool) -> None:
                event.listen(target, name, listener, **options)
                end.callback(event.remove, target, name, listener)

            listen(Session, "before_flush", self._flush_begins)
            listen(Session, "after_flush", self._flush_ended)
            listen(Session, "after_soft_rollback", self._rolled_back)
            for name, engine in self._state.engines.items():
                self._listen_to_engine(name, engine, listen)
            yield

    def _listen_to_engine(self, bind: str, engine: Engine, listen: Any) -> None:
        def execute(
            connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, _many: bool
        ) -> tuple[str, Any]:
            withdraw_lone_write(connection)  # a commit can fail only where there is one
            if context is not None:
                self._statement(bind, connection, cursor, statement, context)
            return statement, parameters

        def commit(connection: Connection) -> None:
            fault = self._take("commit", bind, None)
            if fault is not None:
                connection.info[INSTEAD_OF_COMMIT] = lambda proxied: self._fail_commit(fault, engine, proxied)

        def checkout(_connection: object, _record: ConnectionPoolEntry, _proxied: object) -> None:
            fault = self._take("checkout", bind, None)
            if fault is not None:
                raise self._refusal(fault, engine)

        def prepare(connection: Connection, _xid: object) -> None:
            fault = self._take("commit", bind, None)
            if fault is not None:
                self._fail_prepare(fault, connection)

        listen(engine, "before_cursor_execute", execute, retval=True)
        listen(engine, "commit", commit)
        listen(engine, "prepare_twophase", prepare)
        listen(engine, "checkout", checkout)
        listen(engine, "handle_error", self._tell_of_loss)

    def _flush_begins(self, _session: object, _context: object, _instances: object) -> None:
        self._here.flushing = True

    def _flush_ended(self, _session: object, _context: object) -> None:
        self._here.flushing = False

    def _rolled_back(self, _session: object, _transaction: object) -> None:
        self._here.flushing = False

    # -- failing -------------------------------------------------------------------------------------------------

    def _statement(
        self, bind: str, connection: Connection, cursor: Any, statement: str, context: ExecutionContext
    ) -> None:
        effect = effect_of(statement, context)
        if effect in (Effect.CONTROL, Effect.SAVEPOINT):
            return
        fault = self._take("flush", bind, statement) if self._here.flushing and effect is Effect.WRITE else None
        fault = fault or self._take("statement", bind, statement)
        if fault is not None:
            self._fail(fault, connection.engine, cursor)

    def _fail_commit(self, fault: Fault, engine: Engine, proxied: PoolProxiedConnection) -> None:
        cursor = proxied.cursor()
        try:
            self._fail(fault, engine, cursor)
        finally:
            if proxied.is_valid:
                cursor.close()

    def _fail_prepare(self, fault: Fault, connection: Connection) -> NoReturn:
        """The first of two phases fails; SQLAlchemy would not wrap what is raised there by a listener."""
        proxied = connection.connection
        try:
            self._fail_commit(fault, connection.engine, proxied)
        except connection.dialect.loaded_dbapi.Error as error:
            origin: Any = error
            lost = error is self._lost or connection.dialect.is_disconnect(origin, proxied, None)
            self._lost = None
            if lost:
                connection.invalidate(error)
            raise _wrapped(error, connection.dialect, is_disconnect=lost) from error
        raise AssertionError("a fault fails")

    def _fail(self, fault: Fault, engine: Engine, cursor: Any) -> NoReturn:
        if isinstance(fault.what, Exception):
            raise fault.what
        name: Any = fault.what
        try:
            fail(name, engine.dialect, cursor, for_real=not self._state.engines.has_other_pools)
        except Exception as error:
            error.add_note(fault.note)
            if name == "disconnect":
                self._lost = error
            raise

    def _refusal(self, fault: Fault, engine: Engine) -> Exception:
        if isinstance(fault.what, Exception):
            return fault.what
        name: Any = fault.what
        error = refuse(name, engine.dialect)
        error.add_note(fault.note)
        return error

    def _tell_of_loss(self, failure: ExceptionContext) -> None:
        """Not every driver tells from the error that the connection is lost: some look at the connection."""
        if self._lost is not None and failure.original_exception is self._lost:
            self._lost = None
            failure.is_disconnect = True


def _wrapped(origin: BaseException, dialect: Dialect, *, is_disconnect: bool) -> BaseException:
    """What SQLAlchemy makes of *origin*, which is the driver's."""
    driver: Any = dialect.loaded_dbapi
    error: Any = origin
    wrapped: BaseException = exc.DBAPIError.instance(
        None, None, error, driver.Error, connection_invalidated=is_disconnect, dialect=dialect
    )
    return wrapped
