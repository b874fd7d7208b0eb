"""The statements by which a transaction or a savepoint begins and ends, told from their text."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from ...database.lexis import PATTERNS
from ...exceptions import IsolationError

__all__ = ["TWO_PHASES", "Command", "Verb", "check_script", "command_of"]


class Verb(Enum):
    """What a statement does to the transaction in progress."""

    BEGIN = "BEGIN"
    COMMIT = "COMMIT"
    ROLLBACK = "ROLLBACK"
    SAVEPOINT = "SAVEPOINT"
    RELEASE = "RELEASE SAVEPOINT"
    ROLLBACK_TO = "ROLLBACK TO SAVEPOINT"
    PREPARE = "PREPARE TRANSACTION"
    COMMIT_PREPARED = "COMMIT PREPARED"
    ROLLBACK_PREPARED = "ROLLBACK PREPARED"


TWO_PHASES: Final = frozenset({Verb.PREPARE, Verb.COMMIT_PREPARED, Verb.ROLLBACK_PREPARED})
"""What PostgreSQL has for commits of two phases."""


class Command(NamedTuple):
    """Such a statement.

    Attributes:
        verb: what it does.
        name: the savepoint's, as it stands in the statement; or the prepared transaction's.
        options: what else it says, such as ``"IMMEDIATE"`` or ``"READ ONLY"``; in capitals.
        chains: another transaction begins at once (``COMMIT AND CHAIN``).
    """

    verb: Verb
    name: str = ""
    options: str = ""
    chains: bool = False


_COMMAND: Final = re.compile(
    r"""
    (?: \s | --[^\n]*\n | /\*.*?\*/ )*
    (?:
      (?P<SAVEPOINT> SAVEPOINT ) \s+ (?P<name> [^\s;]+ )
    | (?P<ROLLBACK_TO> ROLLBACK (?: \s+ (?:WORK|TRANSACTION) )? \s+ TO (?: \s+ SAVEPOINT )? ) \s+ (?P<to> [^\s;]+ )
    | (?P<RELEASE> RELEASE (?: \s+ SAVEPOINT )? ) \s+ (?P<of> [^\s;]+ )
    | (?P<BEGIN> BEGIN | START \s+ TRANSACTION ) (?P<options> (?: [\s,]+ \w+ )* )
    | (?P<PREPARE> PREPARE \s+ TRANSACTION ) \s+ '(?P<gid>(?:[^']|'')*)'
    | (?P<COMMIT_PREPARED> COMMIT \s+ PREPARED ) \s+ '(?P<committed>(?:[^']|'')*)'
    | (?P<ROLLBACK_PREPARED> ROLLBACK \s+ PREPARED ) \s+ '(?P<rolled_back>(?:[^']|'')*)'
    | (?P<COMMIT> COMMIT | END ) (?: \s+ (?:WORK|TRANSACTION) )?
    | (?P<ROLLBACK> ROLLBACK | ABORT ) (?: \s+ (?:WORK|TRANSACTION) )?
    )
    (?P<chain> \s+ AND \s+ CHAIN )? (?: \s+ AND \s+ NO \s+ CHAIN )? (?: \s+ (?:NO \s+)? RELEASE )?
    (?: \s | ; )* \Z
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)

_VERBS: Final = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:SAVEPOINT|ROLLBACK|RELEASE|BEGIN|START|COMMIT|END|ABORT|PREPARE)\b",
    re.DOTALL | re.IGNORECASE,
)


@lru_cache(maxsize=1024)
def command_of(statement: str) -> Command | None:
    """What *statement* is of these; None if it is another.

    Example:
        >>> command_of("ROLLBACK TO SAVEPOINT sa_savepoint_1").name
        'sa_savepoint_1'
        >>> command_of("SELECT 1") is None
        True
    """
    if _VERBS.match(statement) is None:
        return None
    match = _COMMAND.match(statement)
    if match is None:
        return None
    verb = next(verb for verb in Verb if match[verb.name])
    name = match["name"] or match["to"] or match["of"] or ""
    if verb in TWO_PHASES:
        name = (match["gid"] or match["committed"] or match["rolled_back"] or "").replace("''", "'")
    return Command(verb, name, " ".join((match["options"] or "").upper().split()), bool(match["chain"]))


_ENDS: Final = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"})
_PREPARES: Final = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:PREPARE\s+TRANSACTION|(?:COMMIT|ROLLBACK)\s+PREPARED)\b", re.DOTALL | re.IGNORECASE
)


def _hides_command(statement: str, *, backslash_escapes: bool) -> bool:
    """Whether *statement* is several, one of which begins or ends a transaction."""
    words: list[list[str]] = [[]]
    for match in PATTERNS[backslash_escapes].finditer(statement):
        symbol = match["symbol"]
        if symbol == ";":
            words.append([])
        elif symbol is not None:
            words[-1].append(symbol.upper())
    several = [one for one in words if one]
    if len(several) < 2 or several[0][0] in {"CREATE", "DO"}:  # a procedure, or a trigger, has statements in it
        return False
    return any((one[0] in _ENDS and "TO" not in one[1:3]) or one[:2] == ["PREPARE", "TRANSACTION"] for one in several)


@lru_cache(maxsize=1024)  # of those that pass: most statements are sent again and again
def check_script(statement: str, *, backslash_escapes: bool = False) -> None:
    """Refuse several statements in one text where one of them begins or ends a transaction.

    Args:
        statement: SQL that is none of `command_of`'s.
        backslash_escapes: a backslash in a string escapes what follows, as in MySQL.

    Raises:
        IsolationError: it would begin or end the test's.
    """
    if _PREPARES.match(statement):
        raise IsolationError(
            f"An isolated test cannot follow this statement: {statement}. Write the name of the transaction into it; or use"
            " SQLAlchemy's connection.begin_twophase(), or mark the test with uow_real_commits."
        )
    if ";" in statement and _hides_command(statement, backslash_escapes=backslash_escapes):
        raise IsolationError(
            "A transaction begins or ends in the middle of these statements, which an isolated test cannot follow:"
            f" {statement}. Send them one by one, or mark the test with uow_real_commits."
        )
