"""Commits in two phases: every database promises that it can commit, and then every one does.

SQLAlchemy's session begins, prepares and commits a branch on each of its connections. Added here is what makes that
recoverable: names that tell whose a branch is, one database that decides and records it, and answers that are lost.

Note: who decides
    The database that a unit used first commits first, and with that commit, which takes the unit's row in
    ``unitofwork_commits`` along, all of it is committed. SQLAlchemy commits in no particular order; so whichever branch
    is told to commit first sees to it that the deciding one has. From then on nothing is rolled back: a database that
    cannot be reached keeps its branch prepared, until ``flask uow recover`` commits it.

Note: what is not prepared
    A unit that has written in one database only, or none, commits as without two phases.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import Connection, Engine
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError, OperationalError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from ..config import DatabaseSettings
from ..exceptions import ConfigurationError, UnknownCommitError
from .branch_names import application_token, database_token
from .branches import Branch, Verdict, about_to_join
from .commit_records import Decision, decision_on, record_commit
from .commits import commit_watched, is_answer, note_commit
from .prepared import CAN_PREPARE, beside, finish_prepared, prepared_branches

__all__ = ["check_two_phase", "commit_in_two_phases", "has_two_phases"]

logger = logging.getLogger("flask_unitofwork")

PATIENCE_SECONDS: Final = 5.0
"""How long a lost answer is asked about. Somebody waits for the response meanwhile."""

_FIRST_PAUSE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 0.5

_prepared: Final[WeakSet[Dialect]] = WeakSet()

_LEFT: Final = "It stays prepared, and `flask uow recover` finishes it."


def check_two_phase(database: DatabaseSettings) -> None:
    """Refuse a database that cannot prepare a transaction.

    Raises:
        ConfigurationError: it is none of PostgreSQL, MySQL and MariaDB.
    """
    kind = database.url.get_backend_name()
    if kind not in CAN_PREPARE:
        raise ConfigurationError(
            f"UNITOFWORK_TWO_PHASE needs databases that can prepare a transaction, and {database.name!r} is a {kind}"
            " database. Move it to PostgreSQL, MySQL or MariaDB; or leave UNITOFWORK_TWO_PHASE out, and the databases are"
            " committed one after the other."
        )


def commit_in_two_phases(engine: Engine, name: str, application_name: str) -> None:
    """Let units commit in two phases on *engine*.

    Args:
        engine: not yet in use.
        name: the bind's name.
        application_name: the app's.
    """
    _Database(engine, name, application_name).take_over()


def has_two_phases(connection: Connection) -> bool:
    """Whether units commit in two phases on *connection*, which may be closed by now."""
    return connection.dialect in _prepared


class _Database:
    """One database of those that commit together. It takes the place of its dialect's methods for two phases.

    Why these are replaced: SQLAlchemy's events come before what they tell of, and cannot change a name or see a failure.
    """

    def __init__(self, engine: Engine, name: str, application_name: str) -> None:
        dialect: Any = engine.dialect
        self._engine = engine
        self._name = name
        self._application = application_token(application_name)
        self._token = database_token(name, engine.url)
        self._create_xid = dialect.create_xid
        self._begin = dialect.do_begin_twophase
        self._prepare = dialect.do_prepare_twophase
        self._commit = dialect.do_commit_twophase
        self._roll_back = dialect.do_rollback_twophase

    def take_over(self) -> None:
        dialect: Any = self._engine.dialect
        _prepared.add(dialect)
        dialect.create_xid = self.create_xid
        dialect.do_begin_twophase = self.begin
        dialect.do_prepare_twophase = self.prepare
        dialect.do_commit_twophase = self.commit
        dialect.do_rollback_twophase = self.roll_back

    def create_xid(self) -> Any:
        whole = about_to_join.get()
        if whole is None:
            return self._create_xid()  # of somebody who uses the engine without a unit of work
        about_to_join.set(None)
        return whole.join(self._application, self._token, self._engine, self._commit_prepared)

    def begin(self, connection: Connection, xid: Any) -> None:
        self._begin(connection, str(xid))
        if isinstance(xid, Branch):
            xid.begin_on(connection)

    # -- the first phase -------------------------------------------------------------------------------------------

    def prepare(self, connection: Connection, xid: Any) -> None:
        if not isinstance(xid, Branch):
            self._prepare(connection, xid)
            return
        participants = xid.whole.participants
        if xid not in participants:
            return
        if xid is xid.whole.decider:
            record_commit(connection, xid.name.record, [branch.name.database for branch in participants])
        try:
            self._prepare(connection, str(xid))
        except BaseException as error:
            # The driver takes it for prepared, and would roll back what is not there. (Of a lost connection, SQLAlchemy
            # knows. Should its branch be prepared: nobody has decided to commit it.)
            if _is_answer(connection, error):
                connection.invalidate(error)
            raise
        xid.is_prepared = True

    # -- the second phase ------------------------------------------------------------------------------------------

    def commit(self, connection: Connection, xid: Any, is_prepared: bool = True, recover: bool = False) -> None:
        if not isinstance(xid, Branch):
            self._commit(connection, xid, is_prepared, recover)
        elif not xid.is_prepared:
            proxied = connection.connection
            commit_watched(connection, proxied, lambda: self._commit_in_one_phase(connection, xid), self._name)
        else:
            try:
                decider = xid.whole.decider
                decider.commit(decider)
            except BaseException:
                if xid.whole.verdict is Verdict.OPEN:
                    self._roll_back_prepared(connection, xid)
                raise
            self._commit_prepared(xid)

    def _commit_in_one_phase(self, connection: Connection, xid: Branch) -> None:
        if connection.dialect.name == "postgresql":
            self._commit(connection, str(xid), False)
            return
        cursor = connection.connection.cursor()
        try:
            cursor.execute("XA END %s", (str(xid),))
            cursor.execute("XA COMMIT %s ONE PHASE", (str(xid),))
        finally:
            cursor.close()

    def _commit_prepared(self, branch: Branch) -> None:
        """Commit *branch*, of this database. It is the deciding one, or that has committed."""
        if branch.is_over:
            return
        connection, whole = branch.connection, branch.whole
        decides = branch is whole.decider
        try:
            self._commit(connection, str(branch), True)
        except BaseException as error:  # noqa: BLE001  it is raised again, or the commit has happened
            if decides:
                self._settle_decision(connection, branch, error)
            else:
                self._settle(connection, branch, error)
        branch.is_over = True
        whole.verdict = Verdict.COMMITTED
        note_commit(connection)

    def _settle_decision(self, connection: Connection, branch: Branch, error: BaseException) -> None:
        """The deciding commit failed with *error*: return if it happened nevertheless, and raise if not."""
        cause = _driver_s(error)
        if _is_answer(connection, error):
            raise _wrapped(error, cause) from cause
        branch.whole.verdict = Verdict.UNKNOWN
        note_commit(connection, committed=None)
        decision = _patiently(lambda: self._finish(branch)) if _is_driver_s(connection, cause) else None
        connection.invalidate(cause)
        if decision is Decision.COMMITTED:
            logger.warning("The answer to the commit in %r was lost; the database says that it happened.", self._name)
            return
        if decision is Decision.ROLLED_BACK:
            branch.whole.verdict = Verdict.OPEN
            note_commit(connection, committed=False)
            raise _wrapped(error, cause, lost=True) from cause
        if not _is_driver_s(connection, cause):
            raise error  # somebody wants out, and this is no time to ask questions
        raise UnknownCommitError(
            f"The connection to the database {self._name!r} was lost when it was told to commit what it had prepared, and it"
            " could not be asked in time what became of that. It decides for all databases of this unit of work: what"
            " they have prepared stays so, until `flask uow recover` finds out and finishes it. Before you repeat the"
            " work, run that command, and look whether the work is there."
        ) from cause

    def _finish(self, branch: Branch) -> Decision:
        """Commit *branch* if it has not happened, on another connection, and tell what was decided in the end."""
        with beside(self._engine) as connection:
            name = branch.name
            if any(one.name == name for one in prepared_branches(connection, name.application, name.database)):
                finish_prepared(connection, name, Decision.COMMITTED)
            if branch is not branch.whole.decider:
                return Decision.COMMITTED
            return decision_on(connection, name.record) or Decision.ROLLED_BACK

    def _settle(self, connection: Connection, branch: Branch, error: BaseException) -> None:
        """A commit failed with *error* after the deciding one. Nothing can be rolled back any more."""
        cause = _driver_s(error)
        if _is_answer(connection, error):
            note_commit(connection, committed=None)
            raise _wrapped(error, cause) from cause
        connection.invalidate(cause)
        if not _is_driver_s(connection, cause):
            raise error
        if _patiently(lambda: self._finish(branch)) is None:
            logger.error(
                "A unit of work is committed, but the database %r cannot be reached to commit its part (%s). %s",
                self._name,
                branch,
                _LEFT,
            )

    # -- instead of the second phase -------------------------------------------------------------------------------

    def roll_back(self, connection: Connection, xid: Any, is_prepared: bool = True, recover: bool = False) -> None:
        if not isinstance(xid, Branch):
            self._roll_back(connection, xid, is_prepared, recover)
        elif not xid.is_prepared:
            self._roll_back(connection, str(xid), False)
        elif xid.whole.verdict is Verdict.OPEN:
            self._roll_back_prepared(connection, xid)
        elif not xid.is_over:
            logger.error("The commit of a unit of work was broken off in %r (%s). %s", self._name, xid, _LEFT)
            connection.invalidate()

    def _roll_back_prepared(self, connection: Connection, branch: Branch) -> None:
        # Whatever goes wrong here must not keep the others from being rolled back.
        try:
            self._roll_back(connection, str(branch), True)
        except Exception as error:  # noqa: BLE001
            logger.warning(
                "What was prepared in %r (%s) could not be rolled back: %s. %s", self._name, branch, error, _LEFT
            )
            connection.invalidate(_driver_s(error))
        branch.is_over = True


def _patiently(ask: Callable[[], Decision]) -> Decision | None:
    """What *ask* returns; None if it raises for `PATIENCE_SECONDS`. A server that is being restarted answers soon."""
    retrying = Retrying(
        retry=retry_if_exception_type(Exception),
        stop=stop_after_delay(PATIENCE_SECONDS),
        wait=wait_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS),
        retry_error_callback=lambda _: None,
    )
    decision: Decision | None = retrying(ask)
    return decision


def _is_answer(connection: Connection, error: BaseException) -> bool:
    """Whether *error* is the database's own word."""
    if isinstance(error, DBAPIError):
        return not error.connection_invalidated
    return not connection.invalidated and is_answer(error, connection.dialect, connection.connection)


def _driver_s(error: BaseException) -> BaseException:
    """The driver's error in *error*. Some drivers are asked directly, others by SQLAlchemy's connection."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _is_driver_s(connection: Connection, error: BaseException) -> bool:
    driver: Any = connection.dialect.loaded_dbapi
    return isinstance(error, driver.Error)


def _wrapped(error: BaseException, cause: BaseException, *, lost: bool = False) -> BaseException:
    """*error* as SQLAlchemy's: the connection in whose name it is raised may be another driver's.

    Args:
        error: what was raised.
        cause: the driver's error in it.
        lost: the connection was lost.
    """
    wrapped = error if isinstance(error, DBAPIError) else OperationalError("COMMIT of what was prepared", {}, cause)
    wrapped.connection_invalidated = lost
    return wrapped
