"""What a statement does to the database, told from what SQLAlchemy knows of it, or else from its text.

The text is read as far as the question needs: strings, quoted names and comments are skipped, the verb of each
statement is found, and what makes a reader write (``WITH … (DELETE …)``, ``SELECT … INTO``, ``EXPLAIN ANALYZE``).
A function that writes cannot be seen from outside; only the database itself can refuse that. What is unknown counts
as a write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final

from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.sql.compiler import SQLCompiler

from .functions import calls_unknown
from .lexis import PATTERNS

__all__ = ["Effect", "effect_of", "effect_of_text", "is_change_of_rows"]


class Effect(IntEnum):
    """What a statement does to the database; of several statements in one text, the greatest counts."""

    READ = 0
    """Reads and changes nothing."""
    CALL = 1
    """Reads, and calls a function of which nobody knows what it does besides."""
    CONTROL = 2
    """Begins or ends a transaction, or sets something of the session."""
    SAVEPOINT = 3
    """Marks a place in a transaction."""
    LOCK = 4
    """Keeps others from changing what it reads: ``SELECT … FOR UPDATE``."""
    MAINTENANCE = 5
    """Changes the database, and is refused or without effect in a transaction: ``VACUUM``, ``PRAGMA … = …``."""
    WRITE = 6
    """Changes data or schema, or may."""


_READERS: Final = frozenset({"SELECT", "VALUES", "TABLE"})
_CHANGERS: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"})
_EFFECTS: Final = {
    **dict.fromkeys(["FETCH", "HELP", "SHOW"], Effect.READ),
    **dict.fromkeys(["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "RELEASE", "XA"], Effect.CONTROL),
    **dict.fromkeys(["CLOSE", "DEALLOCATE", "DECLARE", "DISCARD", "PREPARE"], Effect.CONTROL),
    **dict.fromkeys(["LISTEN", "RESET", "SET", "UNLISTEN", "USE"], Effect.CONTROL),
    **dict.fromkeys(["ATTACH", "DETACH", "VACUUM"], Effect.MAINTENANCE),
    "LOCK": Effect.LOCK,
    "SAVEPOINT": Effect.SAVEPOINT,
}
# MariaDB's SET STATEMENT … FOR …, whose effect is that of what follows, and BEGIN NOT ATOMIC … END, which may do anything.
_WRAPPERS: Final = frozenset({("SET", "STATEMENT"), ("BEGIN", "NOT")})
_EXPLAINERS: Final = frozenset({"EXPLAIN", "DESCRIBE", "DESC"})
# SQLite's PRAGMAs whose argument in parentheses is what to look at, not a new value.
_LOOKING_PRAGMAS: Final = re.compile(r"\w+_(?:check|info|list|xinfo)", re.IGNORECASE)


def effect_of(statement: str, context: ExecutionContext) -> Effect:
    """What *statement*, about to be executed in *context*, does."""
    compiled = context.compiled
    if isinstance(compiled, SQLCompiler):
        if compiled.isinsert or compiled.isupdate or compiled.isdelete:
            return Effect.WRITE
        # SQLite has no FOR UPDATE in its SQL, but whoever wrote with_for_update() meant it.
        if getattr(context.invoked_statement, "_for_update_arg", None) is not None:
            return Effect.LOCK
        # This text is the same object each time, whose hash is known; what is sent has as many "?" as an IN has values.
        statement = compiled.string
    return effect_of_text(statement, backslash_escapes=context.dialect.name in {"mysql", "mariadb"})


def is_change_of_rows(statement: str, context: ExecutionContext) -> bool:
    """Whether *statement*, which writes, changes rows and not a schema."""
    compiled = context.compiled
    if isinstance(compiled, SQLCompiler) and (compiled.isinsert or compiled.isupdate or compiled.isdelete):
        return True
    first = statement.lstrip(" (\n\t").partition(" ")[0].upper()
    return first in _CHANGERS | _READERS | {"WITH", "CALL", "LOAD", "SET", "EXPLAIN", "DO"}


@lru_cache(maxsize=1024)
def effect_of_text(text: str, *, backslash_escapes: bool = False) -> Effect:
    """What the statement or statements in *text* do.

    Args:
        text: one statement, or several with ``;`` between them.
        backslash_escapes: a backslash in a string escapes what follows, as in MySQL.
    """
    effect = max(map(_effect, _statements(text, backslash_escapes=backslash_escapes)), default=Effect.READ)
    if effect is Effect.READ and calls_unknown(text, backslash_escapes=backslash_escapes):
        return Effect.CALL
    return effect


def _statements(text: str, *, backslash_escapes: bool) -> Iterator[list[str]]:
    """The words and punctuation of each statement in *text*."""
    statement: list[str] = []
    for match in PATTERNS[backslash_escapes].finditer(text):
        symbol = match["symbol"]
        if symbol == ";":
            if statement:
                yield statement
            statement = []
        elif symbol is not None:
            statement.append(symbol.upper())
    if statement:
        yield statement


def _effect(symbols: Sequence[str]) -> Effect:
    # (SELECT …) UNION (SELECT …)
    verb = next((symbol for symbol in symbols if symbol != "("), "")
    if verb in _EXPLAINERS:
        return _effect_of_explain(symbols)
    if tuple(symbols[:2]) in _WRAPPERS:
        return _effect(symbols[symbols.index("FOR") + 1 :]) if "FOR" in symbols else Effect.WRITE
    if verb == "PRAGMA":
        return _effect_of_pragma(symbols)
    if verb == "WITH":
        verb = _verb_after_with(symbols)
    if verb == "COPY":
        return Effect.READ if "TO" in symbols and not _has_nested_change(symbols) else Effect.WRITE
    return _effect_of_query(symbols) if verb in _READERS else _EFFECTS.get(verb, Effect.WRITE)


def _effect_of_query(symbols: Sequence[str]) -> Effect:
    if _has_nested_change(symbols) or "INTO" in symbols:
        return Effect.WRITE
    return Effect.LOCK if _locks(symbols) else Effect.READ


def _effect_of_explain(symbols: Sequence[str]) -> Effect:
    """EXPLAIN runs what it explains only if it is told to ANALYZE it."""
    start = next(
        (place for place, symbol in enumerate(symbols) if symbol in _READERS | _CHANGERS | {"WITH"}), len(symbols)
    )
    return _effect(symbols[start:]) if "ANALYZE" in symbols[:start] and start < len(symbols) else Effect.READ


def _effect_of_pragma(symbols: Sequence[str]) -> Effect:
    sets = "=" in symbols or ("(" in symbols and not any(map(_LOOKING_PRAGMAS.fullmatch, symbols)))
    return Effect.MAINTENANCE if sets else Effect.READ


def _verb_after_with(symbols: Sequence[str]) -> str:
    """The verb after all the ``name AS (…)``."""
    depth = 0
    for symbol in symbols:
        depth += (symbol == "(") - (symbol == ")")
        if depth == 0 and symbol in _READERS | _CHANGERS:
            return symbol
    return ""


def _has_nested_change(symbols: Sequence[str]) -> bool:
    """Whether there is a ``(DELETE …``, but not a function of such a name: MySQL has ``(INSERT('a', …))``."""
    return any(
        symbols[place - 1] == "(" and symbol in _CHANGERS and symbols[place + 1 : place + 2] != ["("]
        for place, symbol in enumerate(symbols)
        if place
    )


def _locks(symbols: Sequence[str]) -> bool:
    return any(
        (first == "FOR" and second in {"UPDATE", "SHARE", "NO", "KEY"}) or (first == "LOCK" and second == "IN")
        for first, second in pairwise(symbols)
    )
