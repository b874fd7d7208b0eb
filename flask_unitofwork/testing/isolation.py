"""Tests that leave nothing behind: everything a test writes is rolled back when it ends.

Note: how isolation works
    While a test is isolated, the app's sessions get one connection per database instead of its engine. On it a
    transaction has begun, and a savepoint in it; SQLAlchemy's sessions then commit and roll back savepoints of their
    own (``join_transaction_mode="conditional_savepoint"``). Views, commits, rollbacks and failed flushes
    behave as they do in production, and the transaction around them is rolled back with the test. There is one
    connection, so sessions that are in use at the same moment (in threads, or one inside another) are not independent.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from threading import Lock

from flask import Flask
from sqlalchemy import Connection

from ..database import Engines
from ..exceptions import NotInitializedError
from ..web import APP_STATE, AppState

__all__ = ["isolated"]


class IsolatedBinds:
    """Gives sessions a connection in a transaction that is never committed, one for each database.

    Args:
        engines: the databases. One that is never used is never connected to.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._connections: dict[str, Connection] = {}
        self._end = ExitStack()
        self._beginning = Lock()

    def __getitem__(self, name: str) -> Connection:
        """The test's connection to the database *name*."""
        # Two threads of a test may be the first to ask; both must get the same connection.
        with self._beginning:
            if name not in self._connections:
                self._connections[name] = self._begin(name)
            return self._connections[name]

    def end(self) -> None:
        """Roll everything back."""
        self._end.close()

    def _begin(self, name: str) -> Connection:
        connection = self._end.enter_context(self._engines[name].connect())
        transaction = connection.begin()
        self._end.callback(transaction.rollback)
        connection.begin_nested()
        return connection


@contextmanager
def isolated(app: Flask) -> Generator[None]:
    """Roll back, at the end of the block, whatever the app's sessions wrote in it.

    Args:
        app: an app with a UnitOfWork.

    Raises:
        NotInitializedError: it has none.

    Example:
        ::

            with isolated(app):
                app.test_client().post("/orders", json=order)
    """
    state: AppState | None = app.extensions.get(APP_STATE)
    if state is None:
        raise NotInitializedError(
            f"The app {app.import_name!r} has no UnitOfWork, so there is nothing to isolate. Write uow.init_app(app)."
        )
    binds = IsolatedBinds(state.engines)
    before, state.router.source = state.router.source, binds
    try:
        yield
    finally:
        state.router.source = before
        binds.end()
