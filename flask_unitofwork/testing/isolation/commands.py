"""The statements by which a transaction or a savepoint begins and ends, told from their text."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from ...database.lexis import PATTERNS
from ...exceptions import IsolationError

__all__ = ["Command", "Verb", "check_script", "command_of"]


class Verb(Enum):
    """What a statement does to the transaction in progress."""

    BEGIN = "BEGIN"
    COMMIT = "COMMIT"
    ROLLBACK = "ROLLBACK"
    SAVEPOINT = "SAVEPOINT"
    RELEASE = "RELEASE SAVEPOINT"
    ROLLBACK_TO = "ROLLBACK TO SAVEPOINT"


class Command(NamedTuple):
    """Such a statement.

    Attributes:
        verb: what it does.
        name: the savepoint's, as it stands in the statement.
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
    | (?P<COMMIT> COMMIT | END ) (?: \s+ (?:WORK|TRANSACTION) )?
    | (?P<ROLLBACK> ROLLBACK | ABORT ) (?: \s+ (?:WORK|TRANSACTION) )?
    )
    (?P<chain> \s+ AND \s+ CHAIN )? (?: \s+ AND \s+ NO \s+ CHAIN )? (?: \s+ (?:NO \s+)? RELEASE )?
    (?: \s | ; )* \Z
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)

_VERBS: Final = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:SAVEPOINT|ROLLBACK|RELEASE|BEGIN|START|COMMIT|END|ABORT)\b",
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
    return Command(verb, name, " ".join((match["options"] or "").upper().split()), bool(match["chain"]))


_ENDS: Final = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"})


@lru_cache(maxsize=1024)
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
    return any(one[0] in _ENDS and "TO" not in one[1:3] for one in several)


def check_script(statement: str, *, backslash_escapes: bool = False) -> None:
    """Refuse several statements in one text where one of them begins or ends a transaction.

    Args:
        statement: SQL.
        backslash_escapes: a backslash in a string escapes what follows, as in MySQL.

    Raises:
        IsolationError: it would begin or end the test's.
    """
    if ";" in statement and _hides_command(statement, backslash_escapes=backslash_escapes):
        raise IsolationError(
            "A transaction begins or ends in the middle of these statements, which an isolated test cannot follow:"
            f" {statement}. Send them one by one, or mark the test with uow_real_commits."
        )
