"""Finds the result of a statement: in the region, or in the database, and then keeps it in the region."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakSet

from dogpile.util import NameRegistry
from sqlalchemy import Connection, FrozenResult, MetaData
from sqlalchemy.orm import sessionmaker

from ..session import Session, give_back
from .entries import Entry
from .freshness import is_outside_transaction, sees_the_latest
from .loading import load, loader_class
from .pickling import pickled, unpickled
from .question import Question
from .tables import EVERYTHING, metadata_in

__all__ = ["Finder"]

logger = logging.getLogger("flask_unitofwork")

_UNREACHABLE: Final = "A cache region cannot be used, so the database is asked."


class Finder:
    """Finds results for the sessions of one app.

    Args:
        sessions: makes the app's sessions.
    """

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._loader = loader_class(sessions)
        self._metadata: WeakSet[MetaData] = WeakSet()
        self._locks: Any = NameRegistry(lambda _: threading.Lock())

    def find(self, question: Question) -> FrozenResult[Any] | None:
        """The result from the region, or from the database. None if the session has written what it is read from."""
        kept = self._kept(question)
        if kept is None:
            if not is_outside_transaction(question.session, question.attachment):
                # Who waits here for somebody else's result may hold what that one waits for.
                return self._load(question, self._known_tables(question))
            give_back(question.session, question.attachment)
            with self._alone(question):
                kept = self._kept(question)
                if kept is None:
                    return self._load(question, question.statement.tables or self._known_tables(question))
        entry, result = kept
        return None if question.written.concern(entry.stamps) else result

    def _kept(self, question: Question) -> tuple[Entry, FrozenResult[Any]] | None:
        """What is in the region, and still valid."""
        try:
            entry = question.entries.get(question.key, question.option)
        except Exception:
            logger.exception(_UNREACHABLE)
            return None
        if entry is None:
            return None
        try:
            return entry, unpickled(entry.result, question.state.statement)
        except Exception:  # noqa: BLE001  another version of the program has kept it
            return None

    def _load(self, question: Question, names: frozenset[str]) -> FrozenResult[Any]:
        """Ask the database, and keep what it says, where that is what everybody would be told.

        Args:
            question: what to ask.
            names: those of the tables that may be read. In a transaction, of all: it may read the others later, and still
                see them as they are now.
        """
        statement, written, option = question.statement, question.written, question.option
        before = list(written.connections)
        stamps = self._stamps(question, names | option.tables)
        used: list[Connection] = []

        def acquired(connection: Connection) -> None:
            used.append(connection)
            if stamps is not None and sees_the_latest(connection, before):
                written.note_stamps(option.region, connection, stamps)

        frozen, observed = load(self._loader, self._sessions, question.state, statement, acquired)
        tables = frozenset(observed.tables) | option.tables
        option.check_tables(observed.unreadable, tables)
        statement.tables |= tables
        self._metadata.update(observed.metadata)
        result = pickled(frozen)
        stamps = written.stamps_before(option.region, used)
        if stamps is not None and tables <= stamps.keys() and not written.concern(tables):
            self._keep(question, Entry({name: stamps[name] for name in (EVERYTHING, *tables)}, result))
        return unpickled(result, question.state.statement)

    def _known_tables(self, question: Question) -> frozenset[str]:
        """The names of all tables that the statement may read, eager loads and all, as far as anybody knows."""
        statement: Any = question.state.statement
        metadata = {*self._metadata, *metadata_in(statement)}
        metadata.update(mapper.registry.metadata for mapper in question.state.all_mappers)
        return frozenset(table.name.lower() for one in metadata for table in one.tables.values())

    def _stamps(self, question: Question, names: frozenset[str]) -> Mapping[str, str] | None:
        try:
            return question.entries.stamps.before_reading(names)
        except Exception:
            logger.exception(_UNREACHABLE)
            return None

    def _keep(self, question: Question, entry: Entry) -> None:
        try:
            question.entries.set(question.key, entry)
        except Exception:
            logger.exception(_UNREACHABLE)

    @contextmanager
    def _alone(self, question: Question) -> Generator[None]:
        """In the block nobody else loads the same result."""
        try:
            mutex = question.entries.mutex(question.key) or self._locks.get(question.key)
            mutex.acquire()
        except Exception:
            logger.exception(_UNREACHABLE)
            mutex = None
        try:
            yield
        finally:
            if mutex is not None:
                mutex.release()
