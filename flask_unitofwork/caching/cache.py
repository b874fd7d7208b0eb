"""Answers statements from cache regions, and invalidates what a commit has made stale."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, cast

from dogpile.cache import CacheRegion
from sqlalchemy import Engine, event
from sqlalchemy.orm import Mapper, ORMExecuteState, sessionmaker
from sqlalchemy.orm.exc import StaleDataError

from ..config import Settings
from ..database import Engines
from ..exceptions import CacheError, ConfigurationError
from ..session import Session, attachment_of
from .entries import Entries
from .finding import Finder
from .freshness import may_be_answered
from .keys import Keys
from .listeners import listen, written_in
from .namespaces import Namespace
from .options import FromCache, option_of
from .question import Question, check_cacheable, is_last_listener, schemas, wants_to_be_fresh
from .stamps import Stamps
from .tables import EVERYTHING, names_of
from .written import WrittenTables, note_statements

__all__ = ["ResultCache"]

logger = logging.getLogger("flask_unitofwork")

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
        self._names: Mapping[Engine, str] = {engine: name for name, engine in engines.items()}
        self._namespace = Namespace(settings, engines)
        self._asks_choosers = bool(settings.bind_choosers)
        self._keys = Keys()
        self._finder = Finder(sessions)
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
        found = None if question is None else self._finder.find(question)
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
            key=self._keys.key(state, statement, values, places),
            entries=Entries(region, str(self._namespace)),
        )

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
        mappers = set(state.all_mappers)
        if self._asks_choosers or session.binds:
            # Then nobody can tell beforehand that others are loaded from where they were loaded from the last time.
            mappers = _reached_from(mappers)
        for mapper in sorted(mappers, key=str):
            arguments["mapper"] = mapper
            binds.append(session.get_bind(**arguments))
        names = [self._names.get(bind) for bind in binds]
        return None if None in names else cast(list[str], names)


def _reached_from(mappers: Iterable[Mapper[Any]]) -> set[Mapper[Any]]:
    """*mappers*, and those of all objects that can be loaded with theirs."""
    found: set[Mapper[Any]] = set()
    waiting = list(mappers)
    while waiting:
        mapper = waiting.pop()
        if mapper not in found:
            found.add(mapper)
            waiting += mapper.self_and_descendants
            waiting += [relationship.mapper for relationship in mapper.relationships]
    return found


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
