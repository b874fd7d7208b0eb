"""Answers statements from cache regions, and invalidates what a commit has made stale."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast
from weakref import WeakSet

from dogpile.cache import CacheRegion
from dogpile.util import NameRegistry
from sqlalchemy import Connection, Engine, FrozenResult, MetaData, event
from sqlalchemy.orm import ORMExecuteState, sessionmaker
from sqlalchemy.orm.exc import StaleDataError

from ..config import Settings
from ..database import Engines
from ..exceptions import CacheError, ConfigurationError
from ..session import Session, attachment_of, give_back
from .entries import Entries, Entry
from .freshness import is_outside_transaction, may_be_answered, sees_the_latest
from .keys import Keys
from .listeners import listen, written_in
from .loading import load, loader_class
from .namespaces import Namespace
from .options import FromCache, option_of
from .pickling import pickled, unpickled
from .question import Question, check_cacheable, is_last_listener, schemas, wants_to_be_fresh
from .stamps import Stamps
from .tables import EVERYTHING, metadata_in, names_of
from .written import WrittenTables, note_statements

__all__ = ["ResultCache"]

logger = logging.getLogger("flask_unitofwork")

_UNREACHABLE: Final = "A cache region cannot be used, so the database is asked."
_NOT_INVALIDATED: Final = (
    "The region %r could not be told that these tables were written: %s. What it has of them is stale, and will be taken for"
    " valid until it expires."
)


class ResultCache:
    """The cache of one app.

    Args:
        settings: the app's; with its regions.
        engines: its databases.
        sessions: makes its sessions.

    Raises:
        ConfigurationError: a region is none of dogpile.cache, or is not configured.
    """

    def __init__(self, settings: Settings, engines: Engines, sessions: sessionmaker[Session]) -> None:
        _check_regions(settings.cache_regions)
        self._regions: Mapping[str, CacheRegion] = settings.cache_regions
        self._sessions = sessions
        self._loader = loader_class(sessions)
        self._names: Mapping[Engine, str] = {engine: name for name, engine in engines.items()}
        self._namespace = Namespace(settings, engines)
        self._asks_choosers = bool(settings.bind_choosers)
        self._keys = Keys()
        self._metadata: WeakSet[MetaData] = WeakSet()
        self._locks: Any = NameRegistry(lambda _: threading.Lock())
        listen(sessions)
        for engine in engines.values():
            note_statements(engine)

    # -- invalidation --------------------------------------------------------------------------------------------

    def invalidate(self, tables: Iterable[Any] = (), session: Session | None = None) -> None:
        """What was read from *tables* is stale; of all tables, if there are none.

        Args:
            tables: mapped classes, tables or names of tables.
            session: whose transaction has written them, so that it is told after its commit; None for at once.

        Raises:
            CacheError: one of *tables* is no table.
        """
        names = names_of(tables) or frozenset({EVERYTHING})
        written = None if session is None or not session.in_transaction() else written_in(session)
        if written is None:
            self._renew(names)
        else:
            written.add(names)

    def _renew(self, names: Collection[str]) -> None:
        """Give *names* new stamps in each region. What fails is logged: nothing that is committed can be taken back."""
        if EVERYTHING in names:
            names = [EVERYTHING]
        for name, region in self._regions.items():
            try:
                Stamps(region, str(self._namespace)).renew(names)
            except Exception:
                logger.exception(_NOT_INVALIDATED, name, ", ".join(sorted(names)))

    # -- statements ----------------------------------------------------------------------------------------------

    def watch(self, session: Session) -> None:
        """Answer statements of *session*, which is new, and note what it writes."""
        attachment = attachment_of(session)
        assert attachment is not None
        attachment.cache = WrittenTables(self._renew)
        # For this very session: such listeners come after those for all sessions, which may change the statement.
        event.listen(session, "do_orm_execute", self.answer)

    def answer(self, state: ORMExecuteState) -> Any:
        """The result of the statement in *state*; None for SQLAlchemy to execute it.

        Raises:
            CacheError: it says that it is to be cached, and cannot be.
            sqlalchemy.exc.SQLAlchemyError: the database was asked, and failed.
        """
        option = option_of(state)
        question = None if option is None or state.is_column_load else self._question(state, option)
        found = None if question is None else self._find(question)
        if question is None or found is None:
            return None
        try:
            return question.merged(found)
        except StaleDataError:
            return None  # the session has another version of an object, which the database may know more about

    def _question(self, state: ORMExecuteState, option: FromCache) -> Question | None:
        """What to ask for the statement in *state*; None where the database is to be asked."""
        region = self._region(option)
        check_cacheable(state)
        session = cast(Session, state.session)
        attachment, written = attachment_of(session), written_in(session)
        if attachment is None or written is None or not may_be_answered(session, attachment, written):
            return None
        if wants_to_be_fresh(state) or not is_last_listener(session, self.answer):
            return None
        statement, values = self._keys.statement(state)
        option.check_tables(statement.unreadable)
        binds = self._binds(session, state)
        if binds is None or written.concern(statement.tables | option.tables):
            return None
        places = [binds, attachment.bind, option.cache_key, schemas(written)]
        return Question(
            state=state,
            session=session,
            attachment=attachment,
            written=written,
            option=option,
            statement=statement,
            binds=frozenset(binds),
            key=self._keys.key(state, statement, values, places),
            entries=Entries(region, str(self._namespace)),
        )

    def _find(self, question: Question) -> FrozenResult[Any] | None:
        """The result from the region, or from the database. None if the session has written what it is read from."""
        kept = self._kept(question)
        if kept is None:
            if not is_outside_transaction(question.session, question.attachment):
                # Who waits here for somebody else's result may hold what that one waits for.
                return self._load(question)
            give_back(question.session, question.attachment)
            with self._alone(question):
                kept = self._kept(question)
                if kept is None:
                    return self._load(question)
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

    def _load(self, question: Question) -> FrozenResult[Any]:
        """Ask the database, and keep what it says, where that is what everybody would be told."""
        statement, before = question.statement, list(question.written.connections)
        names = statement.tables or self._known_tables(question.state)
        stamps = self._stamps(question, names | question.option.tables)
        binds: set[str] = set()
        is_latest = True

        def acquired(connection: Connection) -> None:
            nonlocal is_latest
            binds.add(self._names.get(connection.engine, ""))
            is_latest = is_latest and sees_the_latest(connection, before)

        frozen, observed = load(self._loader, self._sessions, question.state, statement, acquired)
        tables = frozenset(observed.tables) | question.option.tables
        question.option.check_tables(observed.unreadable, tables)
        statement.tables |= tables
        self._metadata.update(observed.metadata)
        result = pickled(frozen)
        is_everybodys = (
            is_latest
            and not question.written.concern(tables)
            and (binds <= question.binds or not question.has_own_binds(asked=self._asks_choosers))
        )
        if stamps is not None and is_everybodys and tables <= stamps.keys():
            kept = {name: stamps[name] for name in (EVERYTHING, *tables)}
            self._keep(question, Entry(kept, result))
        return unpickled(result, question.state.statement)

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

    # -- what statements depend on -------------------------------------------------------------------------------

    def _region(self, option: FromCache) -> CacheRegion:
        try:
            return self._regions[option.region]
        except KeyError:
            raise CacheError(
                f"There is no cache region {option.region!r}; UNITOFWORK_CACHE_REGIONS has"
                f" {', '.join(map(repr, self._regions))}. Write one of these names, or add it there."
            ) from None

    def _binds(self, session: Session, state: ORMExecuteState) -> list[str] | None:
        """The names of the databases that the statement is for; None where it is for anything else.

        Such as a connection that the session was given: what it has committed there may still be rolled back.
        """
        arguments: dict[str, Any] = {
            name: one for name, one in state.bind_arguments.items() if not name.startswith("_")
        }
        binds: list[Any] = [session.get_bind(**arguments)]
        for mapper in state.all_mappers:
            arguments["mapper"] = mapper
            binds.append(session.get_bind(**arguments))
        names = [self._names.get(bind) for bind in binds]
        return None if None in names else cast(list[str], names)

    def _known_tables(self, state: ORMExecuteState) -> frozenset[str]:
        """The names of all tables that the statement may read, eager loads and all, as far as anybody knows."""
        metadata = {*self._metadata, *metadata_in(cast(Any, state.statement))}
        for mapper in state.all_mappers:
            metadata.add(mapper.registry.metadata)
        return frozenset(table.name.lower() for one in metadata for table in one.tables.values())

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


def _check_regions(regions: Mapping[str, Any]) -> None:
    for name, region in regions.items():
        key = f'UNITOFWORK_CACHE_REGIONS["{name}"]'
        if not isinstance(region, CacheRegion):
            raise ConfigurationError(
                f"{key} must be a region of dogpile.cache; it is of type {type(region).__name__}. Write"
                ' make_region().configure("dogpile.cache.memory"), with make_region from dogpile.cache.'
            )
        if not region.is_configured:
            raise ConfigurationError(
                f'{key} has no backend. Write make_region().configure("dogpile.cache.memory") before init_app.'
            )
