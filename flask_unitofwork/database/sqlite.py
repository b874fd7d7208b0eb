"""SQLite for the web: WAL, enforced foreign keys, a busy timeout, and transactions that are real.

Transactions
    Python's driver begins a transaction before INSERT, UPDATE and DELETE only: a SAVEPOINT is outside, DDL commits by
    itself, and a rollback leaves both behind. And it begins a *deferred* one, which takes the write lock when it
    first writes: if another connection has written since the transaction's first read, that fails at once, however
    long ``busy_timeout`` is. So here a transaction begins with BEGIN IMMEDIATE before the first statement that is not
    a mere read, and waits for its turn. Whether one has begun is asked of the connection each time, so there is no
    state that could be wrong. Reads outside need no BEGIN: each sees what is committed when it runs.
    A unit that means to write (`Intent`) begins with its first statement: what it has read cannot change before it
    writes. So does one that asks for REPEATABLE READ or more. One that only reads begins with its first statement too,
    but without waiting for anybody: it sees one state of the database until it ends.

Lost transactions
    SQLite ends a transaction by itself when a statement in it is interrupted or the disk is full, and where
    ``ON CONFLICT ROLLBACK`` says so. Going on would begin another and commit half of the work. So the connection is
    invalidated then, as if it had been lost: SQLAlchemy refuses to go on until the transaction is rolled back.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import unquote

from sqlalchemy import URL, Connection, Engine, ExceptionContext, event
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from ..config import is_sqlite_uri
from ..exceptions import ConfigurationError, DemarcationError
from .executions import Info, before_each_execution
from .fork import protect
from .intent import AROUND, INTENT, NO_INTENT, Intent
from .memory import BackingFile, is_in_memory, is_shared_cache
from .plan import EnginePlan
from .sqlite_fork import note_use, protect_file
from .statements import Effect, effect_of

__all__ = ["begin_as", "build", "permit_writes", "refuse_writes"]

BUSY_SECONDS: Final = 5.0
WAL_ATTEMPTS: Final = 10
# How often SQLite asks whether the time is up: often enough for milliseconds, too seldom to be noticed.
INSTRUCTIONS_BETWEEN_LOOKS: Final = 1000

_IN_TRANSACTION: Final = "unitofwork_in_transaction"
_DEADLINE: Final = "unitofwork_deadline"
_QUERY_ONLY: Final = "unitofwork_query_only"

# The levels at which what has been read does not change.
_STABLE: Final = frozenset({"REPEATABLE READ", "SERIALIZABLE"})


def build(plan: EnginePlan) -> Engine:
    """An engine for *plan*, with the defaults of this module where the user decided nothing else."""
    if is_in_memory(plan.url):
        engine = _in_memory(plan)
    elif is_shared_cache(plan.url):
        engine = plan.create_engine(poolclass=QueuePool, connect_args={"check_same_thread": False})
        protect(engine)
    else:
        engine = plan.create_engine()
        _make_folder_on_connect(engine, plan)
        protect_file(engine, _file(engine.url))
    _configure_on_connect(engine, plan)
    _begin_transactions(engine)
    return engine


def _in_memory(plan: EnginePlan) -> Engine:
    if "poolclass" in plan.options or plan.connects_itself:
        engine = plan.create_engine()
        protect(engine)
        return engine
    file = BackingFile()
    try:
        engine = plan.create_engine(url=file.url(plan.url))
    except ConfigurationError:
        file.delete()
        raise
    file.belong_to(engine)
    protect_file(engine, file.path)
    return engine


# -- connecting ------------------------------------------------------------------------------------------------------


def _make_folder_on_connect(engine: Engine, plan: EnginePlan) -> None:
    """Make the folders of a database under the instance folder, which does not exist until somebody makes it.

    Other folders are not made: an absolute path that leads nowhere is a mistake to be told.
    """
    folder = _file(engine.url).parent
    if plan.instance_path is None or not folder.is_relative_to(plan.instance_path):
        return

    @event.listens_for(engine, "do_connect")
    def make_folder(*_: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)


def _file(url: URL) -> Path:
    name = url.database or ""
    return Path(unquote(name.removeprefix("file:"))) if is_sqlite_uri(url) else Path(name)


def _configure_on_connect(engine: Engine, plan: EnginePlan) -> None:
    # A backing file in memory need not survive the power.
    synchronous = "OFF" if is_in_memory(plan.url) else "NORMAL"
    # Connections that the user makes have the user's own timeout, unless the app's configuration has one.
    busy = plan.lock_timeout or (None if plan.connects_itself else BUSY_SECONDS)
    if plan.decided("timeout") is not None:
        busy = None

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        with _autocommit(connection):
            if busy is not None:
                connection.execute(f"PRAGMA busy_timeout = {max(1, round(busy * 1000))}")
            connection.execute("PRAGMA foreign_keys = ON")
            # Without WAL, NORMAL could lose the database with the power.
            if _enter_wal(connection):
                connection.execute(f"PRAGMA synchronous = {synchronous}")
        if plan.statement_timeout is not None:
            record.info[_DEADLINE] = _Deadline(connection, plan.statement_timeout)


@contextmanager
def _autocommit(connection: Any) -> Generator[None]:
    """Outside any transaction: with ``autocommit=False`` (Python 3.12) there is one from the start, unlike PRAGMA."""
    own = getattr(connection, "autocommit", None)
    if own is not False:
        yield
        return
    connection.autocommit = True
    try:
        yield
    finally:
        connection.autocommit = own


def _enter_wal(connection: sqlite3.Connection) -> bool:
    """Put the database in WAL mode, in which it stays; False where it cannot be, such as in a read-only file.

    The switch needs the database for itself and does not wait for it: two connections that open a new file at once
    would fail. So who is refused waits for the other's lock, and looks again.
    """
    for _ in range(WAL_ATTEMPTS):
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except connection.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                return False  # what is wrong, if it matters, the first statement will say
        else:
            return bool(mode == "wal")
        try:
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        except connection.OperationalError:
            return False
    return False


# -- transactions ----------------------------------------------------------------------------------------------------


def _begin_transactions(engine: Engine) -> None:
    """Begin transactions as the note "Transactions" says, and watch over them as "Lost transactions" says."""

    # It is no statement to those who listen to statements, and what BEGIN raises, the statement itself has raised.
    def before(info: Info, cursor: Any, statement: str, context: ExecutionContext) -> None:
        note_use(info)
        deadline: _Deadline | None = info.get(_DEADLINE)
        if deadline is not None:
            deadline.restart()
        connection: sqlite3.Connection = cursor.connection
        if not connection.in_transaction:
            mode = _begins(connection, statement, context, info.get(INTENT, NO_INTENT))
            if mode is not None:
                if mode != "DEFERRED":
                    _check_turn(info.get(AROUND, ()), engine)
                cursor.execute(f"BEGIN {mode}")
        info[_IN_TRANSACTION] = connection.in_transaction

    before_each_execution(engine, before)
    event.listen(engine, "checkin", _forget)
    event.listen(engine, "handle_error", _notice_lost_transaction)


def _begins(connection: sqlite3.Connection, statement: str, context: ExecutionContext, intent: Intent) -> str | None:
    """How *statement* begins a transaction (``"IMMEDIATE"``, for instance); None if it needs none."""
    if connection.isolation_level is None or getattr(connection, "autocommit", None) is True:
        return None  # the user's choice: the driver is in autocommit
    effect = effect_of(statement, context)
    if intent.read_only:
        return "DEFERRED" if effect in {Effect.READ, Effect.SAVEPOINT} else None
    if effect is Effect.READ and not intent.writes and intent.isolation_level not in _STABLE:
        return None
    if effect in {Effect.READ, Effect.LOCK, Effect.WRITE, Effect.SAVEPOINT}:
        return str(connection.isolation_level) or "IMMEDIATE"  # "" is the driver's default
    return None


def _check_turn(around: Collection[Connection], engine: Engine) -> None:
    """Refuse to wait for the turn to write where it is one of *around* that has it.

    Raises:
        DemarcationError: it would wait for itself.
    """
    for other in around:
        if other.closed or other.invalidated or other.engine.pool is not engine.pool:
            continue
        if _driver(other).in_transaction and not other.info[INTENT].read_only:
            raise DemarcationError(
                "SQLite has one writer at a time, and that is the transaction around this one, which waits for this one to"
                " end: neither could go on. Write here before the other's first statement; or register a hook for after it"
                " (uow.on_commit, uow.on_rollback); or keep what is independent in a database of its own (bind)."
            )


def begin_as(connection: Connection, intent: Intent) -> None:
    """Let the transaction that begins on *connection* be as *intent* says. How it begins is for the first statement."""
    if intent.read_only:
        refuse_writes(connection)
    if intent.timeout is not None:
        deadline: _Deadline | None = connection.info.get(_DEADLINE)
        if deadline is None:
            deadline = connection.info[_DEADLINE] = _Deadline(connection.connection.driver_connection, None)
        deadline.seconds = intent.timeout


def refuse_writes(connection: Connection) -> None:
    """Let SQLite refuse writes on *connection*."""
    _driver(connection).execute("PRAGMA query_only = ON")
    connection.info[_QUERY_ONLY] = True


def permit_writes(connection: Connection) -> None:
    """Undo `refuse_writes`."""
    _driver(connection).execute("PRAGMA query_only = OFF")
    connection.info.pop(_QUERY_ONLY, None)


def _driver(connection: Connection) -> sqlite3.Connection:
    driver_connection: Any = connection.connection.driver_connection
    return cast(sqlite3.Connection, driver_connection)


def _forget(connection: sqlite3.Connection | None, record: ConnectionPoolEntry) -> None:
    """The connection goes back to its pool: what a unit asked of it is over."""
    deadline: _Deadline | None = record.info.get(_DEADLINE)
    if deadline is not None:
        deadline.seconds = deadline.usual_seconds
    if record.info.pop(_QUERY_ONLY, False) and connection is not None:
        connection.execute("PRAGMA query_only = OFF")


def _notice_lost_transaction(failure: ExceptionContext) -> None:
    connection = failure.connection
    if connection is None or connection.closed or connection.invalidated:
        return
    driver_connection = connection.connection.driver_connection
    if connection.info.get(_IN_TRANSACTION) and driver_connection and not driver_connection.in_transaction:
        failure.is_disconnect = True
        # The others in the pool are as good as before.
        failure.invalidate_pool_on_disconnect = False


class _Deadline:
    """When the statement that runs on a connection has to end.

    Args:
        connection: whose statements it is for.
        seconds: how long each may take, unless a unit asks for something else; None for no limit.
    """

    __slots__ = ("_at", "seconds", "usual_seconds")

    def __init__(self, connection: Any, seconds: float | None) -> None:
        self.seconds = self.usual_seconds = float("inf") if seconds is None else seconds
        self._at = float("inf")
        connection.set_progress_handler(self.is_over, INSTRUCTIONS_BETWEEN_LOOKS)

    def restart(self) -> None:
        self._at = time.monotonic() + self.seconds

    def is_over(self) -> bool:
        return time.monotonic() > self._at
