"""The session that a test works with, beside those of the app's requests.

Note: what it sees
    It reads as requests with a safe method do: without a transaction, so it sees what views have committed, and what it
    read stands in nobody's way. When the app commits, objects that the test holds, and has not changed, are expired: the
    next look at them asks the database.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from threading import get_ident

from flask import Flask

from ..database.intent import Intent
from ..session import Session
from ..transaction import Unit, unit_committed
from .apps import state_of_app, unit_of_work

__all__ = ["session_for_test"]


@contextmanager
def session_for_test(app: Flask) -> Generator[Session]:
    """A session on the app's databases that needs no app context. What was not committed is rolled back at the end."""
    unit = Unit(
        state_of_app(app).make_session,
        lambda: unit_of_work(app).scope(app),
        intent=Intent(reads_in_autocommit=True),
    )
    session, thread = unit.session, get_ident()

    def expire(_app: object, **_: object) -> None:
        # Objects are not for two threads: what a server's thread commits is seen after session.expire_all().
        if get_ident() == thread:
            _expire_unchanged(session)

    unit_committed.connect(expire, sender=app)
    try:
        yield session
    finally:
        unit_committed.disconnect(expire, sender=app)
        unit.close()


def _expire_unchanged(session: Session) -> None:
    changed = set(session.dirty) | set(session.deleted)
    for one in session.identity_map.values():
        if one not in changed:
            session.expire(one)
