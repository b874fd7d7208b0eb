"""The key under which a result is kept: the statement, its values, and all else that its rows depend on. It is a hash."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock
from typing import Any, Final

from sqlalchemy import BindParameter
from sqlalchemy.orm import ORMExecuteState

from ..exceptions import CacheError
from .structure import cache_key_of, structure_of
from .tables import unreadable
from .values import as_bytes

__all__ = ["Keys", "Statement"]

# As many as SQLAlchemy keeps compiled for an engine.
_STATEMENTS: Final = 500

# Execution options that decide where rows come from.
_PLACES: Final = ("identity_token", "schema_translate_map")


@dataclass(slots=True)
class Statement:
    """What is known of a statement, whatever its values are.

    Attributes:
        digest: tells it from others.
        unreadable: SQL in it in which a table may be that nobody can see; None if there is none.
        tables: the tables that it was seen to read.
        needs_unique: its rows are many for one object, so that they are no result before ``unique()``.
    """

    digest: bytes
    unreadable: str | None
    tables: frozenset[str] = frozenset()
    needs_unique: bool = False


@dataclass(slots=True)
class Keys:
    """Makes keys, and remembers statements: those that were used last."""

    _statements: OrderedDict[tuple[Any, ...], Statement] = field(
        default_factory=OrderedDict[tuple[Any, ...], Statement]
    )
    _lock: Lock = field(default_factory=Lock)

    def statement(self, state: ORMExecuteState) -> tuple[Statement, Sequence[BindParameter[Any]]]:
        """What is known of the statement in *state*, and its values.

        Raises:
            CacheError: it cannot be told from other statements.
        """
        found = cache_key_of(state.statement)
        if found is None:
            raise _untold(
                "a part of it, such as a type of your own without cache_ok, is left out of SQLAlchemy's caches"
            )
        key, values = found
        with self._lock:
            known = self._statements.get(key)
            if known is not None:
                self._statements.move_to_end(key)
                return known, values
        clause: Any = state.statement
        try:
            digest = sha256(structure_of(clause, key)).digest()
        except TypeError as error:
            raise _untold(str(error)) from error
        known = Statement(digest, unreadable(clause))
        with self._lock:
            self._statements[key] = known
            while len(self._statements) > _STATEMENTS:
                self._statements.popitem(last=False)
        return known, values

    def key(
        self,
        state: ORMExecuteState,
        statement: Statement,
        values: Iterable[BindParameter[Any]],
        places: Sequence[Any],
    ) -> str:
        """The key for *statement* with *values*, as it is executed in *state*.

        Args:
            state: how it is executed.
            statement: what is known of it.
            values: of its parameters, as far as *state* has no others.
            places: what decides where its rows come from, beside what *state* tells.

        Raises:
            CacheError: a value cannot be told from others.
        """
        given: Any = state.parameters or {}
        parts: list[Any] = [
            statement.digest,
            [given.get(value.key, value.effective_value) for value in values],
            sorted(given.items()),
            [_plain(state.execution_options.get(name)) for name in _PLACES],
            places,
        ]
        try:
            return sha256(as_bytes(parts)).hexdigest()
        except Exception as error:
            raise CacheError(
                "A value of this statement cannot be told from others of its type, because it cannot be pickled, so its"
                f" result cannot be cached ({type(error).__name__}). Leave FromCache out, or give the statement plainer"
                " values."
            ) from error


def _plain(option: Any) -> Any:
    # A dict says the same in any order.
    return sorted(option.items(), key=repr) if hasattr(option, "items") else option


def _untold(why: str) -> CacheError:
    return CacheError(
        f"This statement cannot be told from others, so its result cannot be cached: {why}. Leave FromCache out, or set"
        " cache_ok = True in that type if its arguments say all of it."
    )
