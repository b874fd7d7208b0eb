"""SQLite for the web: WAL, enforced foreign keys, a busy timeout, and transactions that are real."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from sqlalchemy import URL, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from ..config import is_sqlite_uri
from ..exceptions import ConfigurationError
from .fork import protect
from .memory import BackingFile, is_in_memory, is_shared_cache
from .plan import EnginePlan
from .pool import BoundedQueuePool
from .sqlite_deadline import DEADLINE, Deadline
from .sqlite_fork import protect_file
from .sqlite_transactions import begin_transactions
from .streamed import watch_streams

__all__ = ["build"]

BUSY_SECONDS: Final = 5.0
WAL_ATTEMPTS: Final = 10


def build(plan: EnginePlan) -> Engine:
    """An engine for *plan*, with the defaults of this module where the user decided nothing else."""
    if is_in_memory(plan.url):
        engine = _in_memory(plan)
    elif is_shared_cache(plan.url):
        engine = plan.create_engine(poolclass=BoundedQueuePool, connect_args={"check_same_thread": False})
        protect(engine)
    else:
        engine = plan.create_engine()
        _make_folder_on_connect(engine, plan)
        protect_file(engine, _file(engine.url))
    _configure_on_connect(engine, plan)
    watch_streams(engine)
    begin_transactions(engine)
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
            record.info[DEADLINE] = Deadline(connection, plan.statement_timeout)


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
