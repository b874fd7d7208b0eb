"""What part a statement has in a transaction of MySQL or MariaDB, told from its first words.

Note: who begins transactions
    With ``autocommit = 0`` the server begins them by itself, as everybody expects of a driver's connection. Where it is in
    autocommit, BEGIN stands for that before what reads and changes rows. Other statements need none, or must not have one
    before them: SET TRANSACTION is an error in a transaction, and BEGIN gives up what LOCK TABLES has locked. And what may
    itself end a transaction and go on, such as a procedure, needs a server that begins the next. So what is not known here
    is left to the server, which is never wrong and costs a round trip more.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

__all__ = ["Part", "part_of"]


class Part(Enum):
    """The part of a statement in a transaction."""

    MEMBER = auto()
    """It is in one, and begins it where there is none."""
    NONE = auto()
    """It begins none. (A change of schema ends one, as the server then tells.)"""
    END = auto()
    """It ends one, or goes back to a savepoint in it."""
    CHOICE = auto()
    """It chooses whether statements are in transactions at all: ``SET autocommit = …``."""
    UNKNOWN = auto()
    """Only the server can tell."""


# A comment that the server runs, /*! … */ or /*M! … */, is none.
_HEAD: Final = re.compile(
    r"(?: \s | \( | --[ \t][^\n]* | --\n | \#[^\n]* | /\*(?!M?!).*?\*/ )* (?P<verb>[A-Za-z]+) \b \s* (?P<next>\w*)",
    re.VERBOSE | re.DOTALL,
)
# How SQLAlchemy looks at the isolation level. No rows are read, and SET TRANSACTION may follow.
_VARIABLE: Final = re.compile(r"\s*SELECT\s+@@[\w.]+\s*", re.IGNORECASE)
_AUTOCOMMIT: Final = re.compile(r"\bautocommit\b", re.IGNORECASE)

_MEMBERS: Final = frozenset({"DELETE", "DO", "INSERT", "LOAD", "REPLACE", "SAVEPOINT", "SELECT", "UPDATE", "WITH"})
_CONTROL: Final = frozenset({"BEGIN", "RELEASE", "SET", "START", "XA"})
_LOOKS: Final = frozenset({"DESC", "DESCRIBE", "SHOW", "USE"})
_SCHEMA: Final = frozenset({"ALTER", "CREATE", "DROP", "GRANT", "RENAME", "REVOKE", "TRUNCATE"})

# BEGIN NOT ATOMIC … END and SET STATEMENT … FOR … run others.
_WRAPPERS: Final = frozenset({("BEGIN", "NOT"), ("SET", "STATEMENT")})
# SET may call a function that writes. A temporary table may be filled from others, and commits nothing.
_UNLIKE: Final = {"SET": "(", "CREATE": "TEMPORARY", "DROP": "TEMPORARY"}

# How much is looked at of a statement in bytes, which is an INSERT of many rows.
_HEAD_BYTES: Final = 1000


def part_of(statement: str | bytes | bytearray) -> Part:
    """What part *statement*, as it is sent to the server, has in a transaction."""
    text = statement if isinstance(statement, str) else bytes(statement[:_HEAD_BYTES]).decode("latin-1")
    head = _HEAD.match(text)
    if head is None:
        return Part.UNKNOWN
    verb = head["verb"].upper()
    if verb in _MEMBERS:
        return Part.NONE if verb == "SELECT" and _VARIABLE.fullmatch(text) else Part.MEMBER
    if verb in {"COMMIT", "ROLLBACK"}:
        return Part.END
    if verb == "SET" and _AUTOCOMMIT.search(text):
        return Part.CHOICE
    if verb not in _CONTROL | _LOOKS | _SCHEMA or (verb, head["next"].upper()) in _WRAPPERS:
        return Part.UNKNOWN
    return Part.UNKNOWN if verb in _UNLIKE and _UNLIKE[verb] in text.upper() else Part.NONE
