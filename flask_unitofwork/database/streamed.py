"""Results that are streamed in read mode: with their last row the transaction that they began has nothing more to do.

A streamed result is read from a cursor on the server, which lives in a transaction. Where nothing but reads has run in
that, it can end as soon as its streams have: the connection is anyone's again, and reads are in autocommit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.engine.cursor import BufferedRowCursorFetchStrategy

from .autocommit import is_in_transaction
from .executions import Info, before_others
from .intent import INTENT, NO_INTENT, STREAMS, Intent
from .mere_reads import streams
from .written import has_done_more_than_read

__all__ = ["has_only_streamed", "watch_streams", "when_streamed"]


@dataclass(slots=True)
class _Streams:
    """The streams in a transaction that the first of them began.

    Attributes:
        going_on: how many are neither exhausted nor closed.
        tell: called when none is left.
    """

    going_on: int = 0
    tell: Callable[[], None] | None = None

    def ended(self) -> None:
        """One is over."""
        self.going_on -= 1
        if not self.going_on and self.tell is not None:
            self.tell()


def watch_streams(engine: Engine) -> None:
    """From now on notice when the results end that units in read mode stream from *engine*.

    To be called before whatever begins transactions on it listens: what is in progress by then is older than the stream.
    """

    def notice(info: Info, cursor: Any, _statement: str, context: Any) -> None:
        if not streams(context):
            return
        intent: Intent = info.get(INTENT, NO_INTENT)
        if not intent.reads_in_autocommit:
            return
        if not is_in_transaction(context.root_connection):
            info[STREAMS] = _Streams()
        known: _Streams | None = info.get(STREAMS)
        if known is not None:
            known.going_on += 1
            context.cursor_fetch_strategy = _StreamedRows(cursor, context.execution_options, known)

    before_others(engine, notice)


def when_streamed(connection: Connection, tell: Callable[[], None]) -> None:
    """Call *tell* when the streams end that began the transaction on *connection*; never, where they did not begin it."""
    if connection.closed or connection.invalidated:
        return
    known: _Streams | None = connection.info.get(STREAMS)
    if known is not None:
        known.tell = tell


def has_only_streamed(connection: Connection) -> bool:
    """Whether the transaction on *connection*, if there is one, has done no more than to read, and is through with it."""
    if not is_in_transaction(connection):
        return True
    if connection.closed or connection.invalidated:
        return False
    known: _Streams | None = connection.info.get(STREAMS)
    return known is not None and not known.going_on and not has_done_more_than_read(connection)


class _StreamedRows(BufferedRowCursorFetchStrategy):
    """Fetches in portions, as SQLAlchemy does, and tells when there is no more to fetch."""

    __slots__ = ("_streams",)

    def __init__(self, cursor: Any, options: Any, streams: _Streams) -> None:
        super().__init__(cursor, options, initial_buffer=deque())
        self._streams: _Streams | None = streams

    def soft_close(self, result: Any, dbapi_cursor: Any) -> None:
        super().soft_close(result, dbapi_cursor)
        self._end(dbapi_cursor)

    def hard_close(self, result: Any, dbapi_cursor: Any) -> None:
        super().hard_close(result, dbapi_cursor)
        self._end(dbapi_cursor)

    def _end(self, cursor: Any) -> None:
        streams, self._streams = self._streams, None
        if streams is None:
            return
        if cursor is not None:
            cursor.close()  # as SQLAlchemy will: but by then the connection may be somebody else's
        streams.ended()
