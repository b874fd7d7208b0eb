"""Loads a result for the cache, in a session of its own: no object that the user's session has had before is in it.

It uses the connections of the user's session, in whatever transaction they are, so that no second one is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, FrozenResult, Result, orm
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import ORMExecuteState, sessionmaker

from ..session import Attachment, Session, attach, attachment_of
from ..session.joining import announce
from .keys import Statement
from .observed import Observed
from .written import OBSERVED

__all__ = ["Loader", "load", "loader_class"]


class Loader(Session):
    """A session that loads for another one. `loader_class` makes a subclass of it for each app."""

    _for: Session
    _acquired: Callable[[Connection], None]

    def get_bind(self, *args: Any, **kw: Any) -> Any:
        """The connection of the other session for a statement."""
        bind: Any = super().get_bind(*args, **kw)
        if not isinstance(bind, Engine):
            return bind
        attachment = attachment_of(self._for)
        if self._for.twophase and attachment is not None:
            announce(attachment, bind)
        # SQLAlchemy's own method: the other session's would end read mode.
        connection = orm.Session.connection(self._for, bind_arguments={"bind": bind})
        self._acquired(connection)
        return connection


def loader_class(sessions: sessionmaker[Session]) -> type[Loader]:
    """A class of sessions like those that *sessions* makes, with all that listens to these."""
    session_class: Any = sessions.class_
    return type("Loader", (Loader, session_class), {})


@contextmanager
def _made(
    loader: type[Loader], sessions: sessionmaker[Session], session: Session, acquired: Callable[[Connection], None]
) -> Generator[Loader]:
    attachment = attachment_of(session)
    assert attachment is not None
    options: dict[str, Any] = {**sessions.kw, "twophase": False, "join_transaction_mode": "rollback_only"}
    options.pop("strong_identity_map", None)
    if session.binds:
        options["binds"] = dict(session.binds)
    made = loader(**options)
    made._for, made._acquired = session, acquired
    made.info.update(session.info)
    attach(made, Attachment(attachment.router, bind=attachment.bind, cache=loader))
    try:
        yield made
    finally:
        made.close()


def load(
    loader: type[Loader],
    sessions: sessionmaker[Session],
    state: ORMExecuteState,
    statement: Statement,
    acquired: Callable[[Connection], None],
) -> tuple[FrozenResult[Any], Observed]:
    """Execute the statement in *state* for its session, and tell what it read.

    Args:
        loader: what `loader_class` made of *sessions*.
        sessions: makes the app's sessions.
        state: the statement, and how it is executed.
        statement: what is known of it.
        acquired: is told of each connection that is used, before anything is sent.
    """
    observed = Observed()
    used: list[Connection] = []

    def observe(connection: Connection) -> None:
        if connection not in used:
            acquired(connection)
            used.append(connection)
            connection.info[OBSERVED] = observed

    session: Any = state.session
    try:
        with _made(loader, sessions, session, observe) as own:
            return _frozen(own, state, statement), observed
    finally:
        _forget(used)


def _frozen(own: Session, state: ORMExecuteState, statement: Statement) -> FrozenResult[Any]:
    def execute() -> Any:
        return own.execute(
            state.statement,
            state.parameters,
            execution_options=state.local_execution_options,
            bind_arguments={name: one for name, one in state.bind_arguments.items() if not name.startswith("_")},
        )

    if not statement.needs_unique:
        try:
            return _rows(execute())
        except InvalidRequestError:
            # Joined eager loads of collections: SQLAlchemy says so when the rows are there, and by this only.
            statement.needs_unique = True
    return _rows(execute().unique())


def _rows(result: Result[Any]) -> FrozenResult[Any]:
    return result.freeze()


def _forget(used: Iterable[Connection]) -> None:
    for connection in used:
        if not (connection.closed or connection.invalidated):
            connection.info.pop(OBSERVED, None)
