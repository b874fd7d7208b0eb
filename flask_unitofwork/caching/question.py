"""A statement that a cache is asked about, and what decides whether a cache may answer it at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import FrozenResult, Result, Select
from sqlalchemy.orm import FromStatement, ORMExecuteState
from sqlalchemy.orm.loading import merge_frozen_result

from ..exceptions import CacheError
from ..session import Attachment, Session
from .entries import Entries
from .keys import Statement
from .options import FromCache
from .written import WrittenTables

__all__ = ["Question", "check_cacheable", "is_last_listener", "schemas", "wants_to_be_fresh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A statement that a cache is asked about.

    Attributes:
        state: the statement, and how it is executed.
        session: executes it.
        attachment: ties the session to its app.
        written: what the session's transaction has written.
        option: what the statement says of its cache.
        statement: what is known of it.
        key: what its result is kept under.
        entries: where its result is kept.
    """

    state: ORMExecuteState
    session: Session
    attachment: Attachment
    written: WrittenTables
    option: FromCache
    statement: Statement
    key: str
    entries: Entries

    def merged(self, result: FrozenResult[Any]) -> Result[Any]:
        """*result*, its objects merged into the session as ``merge(load=False)`` does.

        Raises:
            sqlalchemy.orm.exc.StaleDataError: the session has an object in another version.
        """
        if not (self.state.is_orm_statement and isinstance(self.state.statement, (Select, FromStatement))):
            return result()  # there are no objects in it
        merge: Any = merge_frozen_result
        merged: FrozenResult[Any] = merge(self.session, self.state.statement, result, load=False)
        answer: Result[Any] = merged()
        return answer


def check_cacheable(state: ORMExecuteState) -> None:
    """Refuse what cannot be answered from a cache.

    Raises:
        CacheError: the statement is no SELECT, or locks rows, or is to be streamed.
    """
    statement: Any = state.statement
    is_dml = state.is_insert or state.is_update or state.is_delete
    if is_dml or not (state.is_select or state.is_from_statement):
        raise CacheError(
            "FromCache is for a SELECT: what writes has no result that anybody else could be given. Leave it out; for SQL"
            " of your own, write select(Product).from_statement(text(…)), or text(…).columns(…)."
        )
    for part in (statement, getattr(statement, "element", None)):
        # What SQLAlchemy keeps with_for_update() in has no public name.
        if getattr(part, "_for_update_arg", None) is not None:
            raise CacheError(
                "with_for_update() locks rows in the database, which no cache can do. Leave FromCache out where you lock."
            )
    options = state.execution_options
    if options.get("yield_per") or options.get("stream_results"):
        raise CacheError(
            "A result that is streamed is never there as a whole, so it cannot be cached. Leave out FromCache, or yield_per"
            " and stream_results."
        )


def wants_to_be_fresh(state: ORMExecuteState) -> bool:
    """Whether ``populate_existing`` asks for what the database has now."""
    if state.execution_options.get("populate_existing"):
        return True
    return state.is_select and state.load_options._populate_existing


def is_last_listener(session: Session, listener: Any) -> bool:
    """Whether nobody can change *session*'s statements after *listener* has seen them.

    ``dispatch`` is where SQLAlchemy keeps its listeners; `sqlalchemy.event` can tell of a given function only. A test fails
    if it changes.
    """
    listeners: list[Any] = list(session.dispatch.do_orm_execute)
    return bool(listeners) and listeners[-1] == listener


def schemas(written: WrittenTables) -> list[Any]:
    """The schemas that the engines and connections in use take in the place of those in its statements."""
    name = "schema_translate_map"
    maps: list[Mapping[Any, Any] | None] = [one.get_execution_options().get(name) for one in written.connections]
    return [sorted(one.items(), key=repr) for one in maps if one]
