"""COMMIT whose answer was lost: the one moment at which nobody knows whether the work was done.

Note: what is asked before COMMIT
    Only the server can tell afterwards, and only about a transaction whose id is known. So a unit that has written
    on PostgreSQL asks for its id right before COMMIT: one more round trip beside those for BEGIN, each statement and
    COMMIT. For that, no lost answer makes work be done twice, or be lost, or be called lost when it is not. Who only
    reads asks nothing: it has nothing to lose. (But who writes by a function, ``SELECT book_seat(7)``, looks like a
    reader here, and its lost COMMIT like any lost connection.)

Note: what counts as the unit's
    Connections that code takes from an engine itself are left to SQLAlchemy. A unit says which are its own
    (`forget_commits`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final
from weakref import ref

from sqlalchemy import Connection, Engine, ExceptionContext, event
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.pool import PoolProxiedConnection

from ..exceptions import UnknownCommitError
from .intent import INTENT, NO_INTENT
from .postgresql_outcome import Fate, TransactionMark, fate_of, mark_of, tells_fates
from .written import has_written

__all__ = [
    "INSTEAD_OF_COMMIT",
    "SIMULATES_COMMITS",
    "commit_watched",
    "forget_commits",
    "has_committed",
    "is_answer",
    "lost_alone",
    "note_commit",
    "outcome_is_unknown",
    "watch_commits",
]

logger = logging.getLogger("flask_unitofwork")

# Whose COMMIT goes over no wire that could be cut.
_IN_PROCESS: Final = frozenset({"sqlite"})

# Where a connection has the unit's Connection that uses it, or has used it last.
_USER: Final = "unitofwork_user"

INSTEAD_OF_COMMIT: Final = "unitofwork_instead_of_commit"
"""Where a connection has what raises, instead of its next COMMIT, what the driver would: a test makes that one fail."""

SIMULATES_COMMITS: Final = "_unitofwork_simulates_commits"
"""The attribute of a class of connections whose COMMIT is no database's."""

_FATE: Final = "_unitofwork_fate"
"""A Connection's attribute for what became of its unit's COMMIT. It is asked for when the connection is closed, too."""


def has_committed(connection: Connection) -> bool:
    """Whether the unit's COMMIT on *connection*, which may be closed by now, succeeded, and the unit was not read-only."""
    return _fate(connection) is Fate.COMMITTED


def outcome_is_unknown(connection: Connection) -> bool:
    """Whether the unit's COMMIT on *connection*, which may be closed by now, may or may not have happened."""
    return _fate(connection) is Fate.UNKNOWN


@contextmanager
def lost_alone(connection: Connection, name: str) -> Generator[None]:
    """Execute, in the block, a statement of the unit on *connection* that is committed by itself.

    Args:
        connection: the unit's.
        name: the bind's name, for messages.

    Raises:
        UnknownCommitError: the connection was lost before the database answered.
    """
    try:
        yield
    except BaseException as error:
        if is_answer(error, connection.dialect, connection.connection):
            raise
        note_commit(connection, committed=None)
        driver: Any = connection.dialect.loaded_dbapi
        if not isinstance(error, driver.Error):
            raise  # somebody wants out
        raise UnknownCommitError(_message(name, was_asked=False)) from error
    note_commit(connection)


def forget_commits(connection: Connection) -> None:
    """A unit begins on *connection*: what became of others on it is not its own, and its own COMMIT is watched."""
    connection.info[_USER] = ref(connection)
    _note(connection, None)


def watch_commits(engine: Engine, name: str) -> None:
    """From now on find out what became of each unit's COMMIT on *engine* whose answer is lost.

    Where the server says that it happened, it did, and nobody notices. Where it did not, SQLAlchemy raises what it
    always does when a connection is lost. Where nobody knows, `UnknownCommitError` is raised.

    Why the dialect's method is replaced: SQLAlchemy's "commit" event comes before COMMIT and cannot see its failure,
    and an engine with a listener of it runs every statement slower.

    Args:
        engine: not yet in use.
        name: the bind's name, for messages.
    """
    dialect = engine.dialect
    commit = dialect.do_commit

    def send(proxied: PoolProxiedConnection) -> None:
        fail: Callable[[PoolProxiedConnection], None] | None = proxied.info.pop(INSTEAD_OF_COMMIT, None)
        if fail is not None:
            fail(proxied)
        commit(proxied)

    def do_commit(proxied: PoolProxiedConnection) -> None:
        connection = _unit_connection(proxied)
        if connection is None or has_committed(connection):
            send(proxied)
        else:
            commit_watched(connection, proxied, lambda: send(proxied), name)

    replaced: Any = dialect
    replaced.do_commit = do_commit
    event.listen(engine, "handle_error", _drop_connection)


def commit_watched(connection: Connection, proxied: PoolProxiedConnection, send: Callable[[], None], name: str) -> None:
    """Commit, by *send*, what a unit has done on *connection*, and find out what became of it if the answer is lost.

    Raises:
        UnknownCommitError: nobody knows what became of it.
        Exception: what *send* raised, where it did not happen.
    """
    dialect = connection.dialect
    read_only = connection.info.get(INTENT, NO_INTENT).read_only
    mark = None
    doubtful = has_written(connection) and dialect.name not in _IN_PROCESS
    if doubtful and tells_fates(dialect):
        # What a test simulates is not sent, so the server would say that it did not happen.
        mark = None if _is_simulated(proxied) else mark_of(proxied)
        doubtful = mark is not None
    try:
        send()
    except BaseException as error:
        if not doubtful or is_answer(error, dialect, proxied):
            raise
        _settle(error, connection, mark, name)
    if not read_only:
        note_commit(connection)


def _is_simulated(proxied: PoolProxiedConnection) -> bool:
    """Whether a test stands before the driver's connection, and COMMIT goes no further."""
    # By its type: it says of its class that it is a connection's.
    return getattr(type(proxied.dbapi_connection), SIMULATES_COMMITS, False)


def note_commit(connection: Connection, *, committed: bool | None = True) -> None:
    """The unit's COMMIT on *connection* has happened, or has not; None where nobody knows."""
    _note(connection, Fate.COMMITTED if committed else Fate.UNKNOWN if committed is None else None)


def _fate(connection: Connection) -> Fate | None:
    return getattr(connection, _FATE, None)


def _note(connection: Connection, fate: Fate | None) -> None:
    setattr(connection, _FATE, fate)


def _unit_connection(proxied: PoolProxiedConnection) -> Connection | None:
    """The Connection on which a unit uses *proxied*; None where it is not a unit that does."""
    user = proxied.info.get(_USER)
    connection: Connection | None = None if user is None else user()
    # Who has closed it uses it no more.
    return None if connection is None or connection.closed else connection


def is_answer(error: BaseException, dialect: Dialect, proxied: PoolProxiedConnection) -> bool:
    """Whether *error* is the database's word that it did not commit."""
    driver: Any = dialect.loaded_dbapi
    if not isinstance(error, driver.Error):
        return False
    origin: Any = error
    return not dialect.is_disconnect(origin, proxied, None)


def _settle(error: BaseException, connection: Connection, mark: TransactionMark | None, name: str) -> None:
    """COMMIT failed with *error*, which is no answer: return if it happened nevertheless, and raise if not."""
    _note(connection, Fate.UNKNOWN)
    driver: Any = connection.dialect.loaded_dbapi
    if not isinstance(error, driver.Error):
        # Somebody wants out: Ctrl-C, or a time limit of what runs the app. This is no time to ask questions.
        raise error
    fate = Fate.UNKNOWN if mark is None else fate_of(mark, connection.engine)
    if fate is Fate.UNKNOWN:
        raise UnknownCommitError(_message(name, was_asked=mark is not None)) from error
    _note(connection, None)
    if fate is Fate.ROLLED_BACK:
        raise error
    logger.warning("The answer to COMMIT on %r was lost; the database says that it was committed.", name)
    connection.invalidate(error)


def _message(name: str, *, was_asked: bool) -> str:
    asked = (
        "PostgreSQL could not be asked in time what became of it, or has crashed since"
        if was_asked
        else "This database cannot tell afterwards; PostgreSQL 15 and later usually can"
    )
    return (
        f"The connection to the database {name!r} was lost after COMMIT was sent and before its answer came, so nobody"
        " knows whether the work was committed: to repeat it may do it twice, to give it up may lose it."
        f" {asked}. Before you repeat the work, look in the database whether it is there,"
        " and give it something to look for, such as a unique key that the client chooses."
    )


def _drop_connection(failure: ExceptionContext) -> None:
    """The error is not the driver's, so SQLAlchemy does not see by itself that the connection is lost."""
    if isinstance(failure.original_exception, UnknownCommitError):
        failure.is_disconnect = True
