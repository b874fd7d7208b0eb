"""Connections that wait in a transaction for code that runs no SQL: found while debugging and testing.

Note: who reports, and when
    No timer. Whoever holds a connection reports it with the next statement, or with the end of the transaction; that is
    the warning. As long as that does not come, whoever else runs a statement looks at what the others hold, and says so
    in the log; and so does the answer to a request that got no connection (`IdleWatch.held`).

Note: what counts
    The connection of a unit of work in a transaction, between the end of a statement and the beginning of the next. A
    unit that reads in autocommit is in none. While a result is streamed, its rows come between statements, so nobody can
    tell from these whether the connection waits.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from types import CodeType
from typing import Any, Final

from sqlalchemy import Connection, Engine, ExceptionContext, event

from ..database.autocommit import has_all_rows, is_in_transaction
from ..database.executions import Info
from ..database.intent import IDLE, INTENT, Intent
from ..database.mere_reads import streams
from .places import Place, frames_to_user

__all__ = ["HeldConnectionWarning", "IdleWatch"]

logger = logging.getLogger("flask_unitofwork")

_ADVICE: Final = (
    "Meanwhile nobody else could use it, and its locks were kept. Do what is slow before the first statement or after the"
    " commit (uow.on_commit); or, where nothing has been written yet, write uow.session.release() before it."
)


class HeldConnectionWarning(ResourceWarning):
    """A connection was held in a transaction for longer than ``UNITOFWORK_HELD_CONNECTION_LIMIT`` while no SQL ran."""


@dataclass(slots=True, eq=False)
class Stretch:
    """A stretch of time in which a connection waits.

    Attributes:
        database: the name of its database.
        holder: who has it, in words.
        place: where the last statement was.
        since: when that was over, by the monotonic clock.
        info: what is noted on the connection; the stretch is over when it is not noted there any more.
        told: somebody has seen that it is too long.
    """

    database: str
    holder: str
    place: Place | None
    since: float
    info: Info
    told: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether the connection still waits."""
        return self.info.get(IDLE) is self


class IdleWatch:
    """Watches over the connections of one app, once it has been told to start.

    Args:
        limit: seconds that a connection may wait.
        holder: says, in words, who runs SQL here; None for somebody who is not watched.
        own: the top-level names of packages that are the user's even where they are installed.
        ends: the code that ends requests: what it calls is on no line of the user's.
    """

    def __init__(
        self,
        limit: float,
        holder: Callable[[], str | None],
        *,
        own: Collection[str] = (),
        ends: Collection[CodeType] = (),
    ) -> None:
        self._limit = limit
        self._holder = holder
        self._own = own
        self._ends = ends
        self._stretches: dict[int, Stretch] = {}
        self._started = False
        self._starting = Lock()

    def start(self, engines: Mapping[str, Engine]) -> None:
        """From now on watch *engines*, by their names. What is not watched pays nothing for it.

        They are not kept: an engine's listeners may outlive it and its app, since mappers remember its dialect.
        """
        if self._started:
            return
        with self._starting:
            if not self._started:
                for name, engine in engines.items():
                    self._watch(engine, name)
                self._started = True

    @property
    def held(self) -> list[str]:
        """Who holds a connection right now without running SQL, in words, however short it has been."""
        now = monotonic()
        return [
            f"{one.holder}, since the statement at {one.place} {now - one.since:.2f} s ago" for one in self._going_on()
        ]

    def _watch(self, engine: Engine, database: str) -> None:
        # With a value, or SQLAlchemy would put a listener of its own around it, which nobody knows for this package's.
        @event.listens_for(engine, "before_cursor_execute", retval=True)
        def begins(connection: Connection, _cursor: object, statement: str, values: Any, *_: object) -> tuple[str, Any]:
            place = self._place()
            self._end(connection, "the commit that ends it" if place is None else f"the next statement, at {place}")
            self._look_at_others()
            return statement, values

        @event.listens_for(engine, "after_cursor_execute")
        def ends(
            connection: Connection, _cursor: object, _statement: str, _values: object, context: Any, _: bool
        ) -> None:
            self._begin(connection, database, streaming=streams(context))

        @event.listens_for(engine, "handle_error")
        def fails(failure: ExceptionContext) -> None:
            if failure.connection is not None and not failure.is_disconnect:
                self._begin(failure.connection, database)

        @event.listens_for(engine, "commit")
        def commits(connection: Connection) -> None:
            self._end(connection, "its commit")

        @event.listens_for(engine, "prepare_twophase")
        def prepares(connection: Connection, _xid: object) -> None:
            self._end(connection, "its commit")

        @event.listens_for(engine, "rollback")
        def rolls_back(connection: Connection) -> None:
            self._end(connection, "its rollback", may_raise=False)

        @event.listens_for(engine, "rollback_twophase")
        def rolls_back_prepared(connection: Connection, *_: object) -> None:
            self._end(connection, "its rollback", may_raise=False)

    def _begin(self, connection: Connection, database: str, *, streaming: bool = False) -> None:
        """A statement is over on *connection*."""
        info = connection.info
        intent: Intent | None = info.get(INTENT)
        if intent is None or streaming:
            return
        if intent.reads_in_autocommit and has_all_rows(connection) and not is_in_transaction(connection):
            return
        holder = self._holder()
        if holder is not None:
            stretch = Stretch(database, holder, self._place(), monotonic(), info)
            info[IDLE] = self._stretches[id(info)] = stretch

    def _end(self, connection: Connection, until: str, *, may_raise: bool = True) -> None:
        """Something runs on *connection*: report how long it has waited, where that was too long."""
        if connection.closed or connection.invalidated:
            return
        stretch: Stretch | None = connection.info.pop(IDLE, None)
        if stretch is None:
            return
        self._stretches.pop(id(stretch.info), None)
        seconds = monotonic() - stretch.since
        if seconds <= self._limit:
            return
        message = (
            f"{stretch.holder} held a connection to the database {stretch.database!r} in a transaction for {seconds:.2f} s"
            f" without running SQL: from the statement at {stretch.place} to {until}."
            f" {self._allowed} {_ADVICE}"
        )
        logger.warning(message)
        try:
            self._warn(message, stretch.place)
        except HeldConnectionWarning:  # warnings are errors here
            if may_raise:
                raise

    def _place(self) -> Place | None:
        """The line of the user's code that has run the statement in progress; None where a request ends with it."""
        between, place = frames_to_user(self._own)
        return None if any(code in self._ends for code in between) else place

    def _look_at_others(self) -> None:
        """Say of those who hold connections for too long that they do, before they can say it themselves."""
        now = monotonic()
        for stretch in self._going_on():
            if now - stretch.since > self._limit and not stretch.told:
                stretch.told = True
                logger.warning(
                    "%s has been holding a connection to the database %r in a transaction for %.2f s without running SQL,"
                    " and goes on, since the statement at %s. %s",
                    stretch.holder,
                    stretch.database,
                    now - stretch.since,
                    stretch.place,
                    self._allowed,
                )

    def _going_on(self) -> list[Stretch]:
        stretches = list(self._stretches.values())
        for stretch in stretches:
            if not stretch.goes_on:
                self._stretches.pop(id(stretch.info), None)
        return [stretch for stretch in stretches if stretch.goes_on]

    @property
    def _allowed(self) -> str:
        return f"{self._limit:g} s are allowed (UNITOFWORK_HELD_CONNECTION_LIMIT)."

    @staticmethod
    def _warn(message: str, place: Place | None) -> None:
        """Warn, as if the line that holds the connection had."""
        if place is None:
            warnings.warn(message, HeldConnectionWarning, stacklevel=1)
        else:
            warnings.warn_explicit(message, HeldConnectionWarning, place.code.co_filename, place.line)
