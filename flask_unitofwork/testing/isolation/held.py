"""The driver's connection that a test has for itself, in a transaction that is never committed.

Note: what the server is told later
    A round trip is a tenth of a small test. So nobody waits for the answer to BEGIN before there is something else to say,
    and what can wait, like the release of a savepoint after a commit, goes with the next message. The last of it is never
    sent, because the test is over. Nothing of this can fail but by the loss of the connection.
"""

from __future__ import annotations

from os import getpid
from typing import Any
from weakref import ref

from sqlalchemy import Engine
from sqlalchemy.pool import PoolProxiedConnection

from ...exceptions import IsolationError
from .database import Database

__all__ = ["HeldConnection"]


class HeldConnection:
    """A connection of an engine's, from its first use to the end of the test.

    Args:
        engine: whose own pool it comes from.
        database: what kind it is.

    Attributes:
        problem: why it cannot be used any more; None as long as it can.
        is_over: the test is over.
    """

    def __init__(self, engine: Engine, database: Database) -> None:
        # What looks like a connection is kept for the next test, and must not keep the engine.
        self._engine = ref(engine)
        self._pool = engine.pool
        self._database = database
        self._proxied: PoolProxiedConnection | None = None
        self._process = getpid()
        self._is_beginning = False
        self._put_off = ""
        self.problem: str | None = None
        self.is_over = False

    @property
    def is_connected(self) -> bool:
        """Whether it was used."""
        return self._proxied is not None

    @property
    def driver(self) -> Any:
        """The driver's connection. `connect` comes first."""
        assert self._proxied is not None
        return self._proxied.dbapi_connection

    @property
    def is_behind(self) -> bool:
        """Whether `catch_up` has something to do. Never in a process that was forked: it is the test's own to do."""
        return (self._is_beginning or self._put_off != "") and self._process == getpid()

    def connect(self, savepoint: str | None) -> None:
        """Begin, with *savepoint* as the first. `catch_up` comes before anything else."""
        proxied = self._pool.connect()
        try:
            self._database.begin(proxied.dbapi_connection, savepoint)
        except BaseException:
            proxied.invalidate()
            raise
        self._proxied = proxied
        self._is_beginning = True

    def catch_up(self) -> None:
        """Wait for the beginning, and say what was put off.

        Raises:
            Exception: the driver's error. Where it is of the beginning, the next `connect` begins anew.
        """
        if self._is_beginning:
            self._is_beginning = False
            try:
                self._database.wait_for_beginning(self.driver)
            except BaseException:
                proxied, self._proxied = self._proxied, None
                assert proxied is not None
                proxied.invalidate()
                raise
        if self._put_off:
            statements, self._put_off = self._put_off, ""
            self._database.send(self.driver, statements)

    def end(self) -> None:
        """Roll everything back, and give the connection back to its pool."""
        self.is_over = True
        self._is_beginning, self._put_off = False, ""
        proxied, self._proxied = self._proxied, None
        if proxied is None:
            return
        try:
            self._database.end(proxied.dbapi_connection)
        except Exception as error:  # noqa: BLE001  it is lost, and what was in it is rolled back with it
            proxied.invalidate(error)
        else:
            proxied.close()
        engine = self._engine()
        if engine is None or engine.pool is not self._pool:
            self._pool.dispose()  # as somebody has done meanwhile, when this connection was in use

    def send(self, statements: str) -> None:
        """Send one or more statements that have no parameters and return nothing."""
        put_off, self._put_off = self._put_off, ""
        self._database.send(self.driver, f"{put_off}; {statements}" if put_off else statements)

    def put_off(self, statements: str) -> None:
        """Send those statements with what comes next. They cannot fail on a connection that lives.

        Raises:
            Exception: the driver's error: it does not.
        """
        self._database.check_alive(self.driver)
        self._put_off = f"{self._put_off}; {statements}" if self._put_off else statements

    def check(self) -> None:
        """Refuse to go on where nothing good can come of it.

        Raises:
            IsolationError: the test is over, or its transaction is; or this is another process.
        """
        if self.is_over:
            raise IsolationError(
                "A connection of an isolated test was used after the test: what it had read or written has been rolled"
                " back. Make sessions in the test that uses them, and close those that a fixture keeps"
                " (session.close(), uow.registry.remove()) before the next test."
            )
        if self.problem is not None:
            raise IsolationError(self.problem)
        if self._process != getpid():
            raise IsolationError(
                "A process that was forked in an isolated test has used the test's database. It cannot share the test's"
                " connection, so it would see nothing of the test, and nothing of it would be rolled back. Serve the app by"
                " a thread: with LiveServer(app) as server: …; or mark the test with uow_real_commits."
            )

    def check_transaction(self, statement: str) -> None:
        """Look whether the test's transaction is still there.

        Raises:
            IsolationError: *statement* has ended it.
        """
        driver = self.driver
        if driver is None or not self._database.is_in_transaction(driver):
            self.problem = (
                f"This statement has ended the transaction that the test would be rolled back with: {statement}. What the"
                " test had written is lost, or is in the database for good. Mark the test with uow_real_commits."
            )
            raise IsolationError(self.problem)
