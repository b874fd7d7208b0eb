"""Somebody else who wants the same row, so that the database asks for another attempt, once."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from sqlalchemy import Connection, update

from flask_unitofwork import unit_retried
from tests.stage import Item, Stage

TURN = {"UNITOFWORK_LOCK_TIMEOUT": 0.05}
"""Settings for a stage with a rival: who waits for a lock soon gives up. (MariaDB knows whole seconds only.)"""


class Rival:
    """Gets in the way of the first transaction that works on the item "tea".

    On PostgreSQL it changes the item between another's reading and writing, which is a serialization failure. Elsewhere
    it holds the lock until the other has given up.

    Args:
        stage: whose database it is.
        connection: the rival's own.
    """

    def __init__(self, stage: Stage, connection: Connection) -> None:
        self._connection = connection
        self._waits = connection.dialect.name != "postgresql"
        self._interfered = False
        if self._waits:
            self._change()
            unit_retried.connect(self._give_way, stage.app)

    def interfere(self) -> None:
        """To be called where the other has read, and is about to write."""
        if not self._waits and not self._interfered:
            self._interfered = True
            self._change()
            self._connection.commit()

    def _change(self) -> None:
        self._connection.execute(update(Item).where(Item.name == "tea").values(name="tea"))

    def _give_way(self, _sender: object, **_: Any) -> None:
        self._connection.rollback()


@contextmanager
def rival_of(stage: Stage) -> Generator[Rival]:
    """Put the item "tea" on *stage*, and somebody who wants it too."""
    with stage.app.app_context():
        stage.add("tea")
        stage.uow.session.commit()
    with ExitStack() as stack:
        yield Rival(stage, stack.enter_context(stage.outside(stage.engine)))
