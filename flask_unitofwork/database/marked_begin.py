"""BEGIN that brings the transaction's id, which a unit would else ask for before its COMMIT, in a round trip of its own.

Note: which transactions
    Those whose first statement writes. It would have given them an id anyway. To give one to a transaction that begins with
    a read, and may write nothing, would use up ids.

Note: how it is sent
    psycopg sends BEGIN by itself, and waits for the answer. On a connection in autocommit it does not, so BEGIN and the
    question are one message. The connection stays in autocommit until the transaction is over, which changes nothing while
    it lasts.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import ExecutionContext

from .autocommit import begin_by_hand
from .executions import Info, before_each_execution
from .intent import INTENT, LONE_WRITE, MARK, REFUSES_WRITES
from .postgresql_outcome import NEW_MARK, TransactionMark, tells_fates
from .statements import Effect, effect_of

__all__ = ["mark_at_begin"]


def mark_at_begin(engine: Engine) -> None:
    """From now on let transactions of units on *engine* that begin with a write know their ids from the beginning.

    To be called before whatever else begins transactions on it listens.
    """
    driver: Any = engine.dialect.loaded_dbapi

    def before(info: Info, cursor: Any, statement: str, context: ExecutionContext) -> None:
        if INTENT not in info or LONE_WRITE in info or info.get(REFUSES_WRITES) or not tells_fates(context.dialect):
            return
        connection = cursor.connection
        # By its type, not its class: what an isolated test has instead of a connection says that it is one.
        if not issubclass(type(connection), driver.Connection) or effect_of(statement, context) is not Effect.WRITE:
            return
        if not begin_by_hand(connection, info):
            return
        with closing(connection.cursor()) as asking:
            asking.execute(f"BEGIN; {NEW_MARK}")
            asking.nextset()
            info[MARK] = TransactionMark(*asking.fetchone())

    before_each_execution(engine, before)
