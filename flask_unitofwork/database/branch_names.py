"""How the branches of a transaction over several databases are named, so that whoever finds one knows whose it is.

A name is what PostgreSQL calls a gid and MySQL an xid. MySQL has room for 64 bytes, and shows nothing but the name::

    uow:shop:ZpAbC3kQ0h2v9xY1:default.3f2a:audit.90bc
        │    │                │            └ the branch's database
        │    │                └ the database that decides
        │    └ the unit of work: when it began, and a random number
        └ the app

A database is named by its bind and by a digest of what it is called on its server: so an app of the same name that
works on other databases of that server, such as the one in staging, is another app.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from hashlib import sha256
from os import urandom
from typing import Final, NamedTuple, Self

from sqlalchemy import URL

__all__ = ["BranchName", "application_token", "database_token", "new_unit"]

_PREFIX: Final = "uow"
_APPLICATION_LENGTH: Final = 12
_BIND_LENGTH: Final = 9
_DIGEST_LENGTH: Final = 4
_TIME_BYTES: Final = 4
_RANDOM_BYTES: Final = 8
_UNIT: Final = re.compile(r"[\w-]{16}", re.ASCII)


class BranchName(NamedTuple):
    """The parts of a name.

    Attributes:
        application: the app's token.
        unit: the unit of work's.
        decider: the token of the database whose commit decides.
        database: the token of the branch's own.
    """

    application: str
    unit: str
    decider: str
    database: str

    def __str__(self) -> str:
        return ":".join((_PREFIX, *self))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The parts of *text*; None if it is no name of ours."""
        prefix, *parts = text.split(":")
        if prefix != _PREFIX or len(parts) != len(cls._fields) or not _UNIT.fullmatch(parts[1]):
            return None
        return cls(*parts)

    @property
    def record(self) -> str:
        """Under which the decision is recorded."""
        return f"{self.application}:{self.unit}"

    @property
    def began(self) -> datetime:
        """When the unit began its first transaction, to the second, by the clock of its process."""
        return datetime.fromtimestamp(int.from_bytes(urlsafe_b64decode(self.unit)[:_TIME_BYTES]), UTC)


def new_unit() -> str:
    """A token that no other unit has.

    Example:
        >>> len(new_unit()), new_unit() == new_unit()
        (16, False)
    """
    seconds = int(datetime.now(UTC).timestamp())
    return urlsafe_b64encode(seconds.to_bytes(_TIME_BYTES) + urandom(_RANDOM_BYTES)).decode()


def application_token(name: str) -> str:
    """The token of the app *name*.

    Example:
        >>> application_token("shop"), application_token("the little shop around the corner")
        ('shop', 'the-lit~d7e1')
    """
    return _shortened(name, _APPLICATION_LENGTH)


def database_token(bind: str, url: URL) -> str:
    """The token of the database at *url* that the app calls *bind*."""
    return f"{_shortened(bind, _BIND_LENGTH)}.{_digest(url.database or '')}"


def _shortened(name: str, length: int) -> str:
    plain = re.sub(r"[^\w-]", "-", name, flags=re.ASCII)
    if plain == name and len(name) <= length:
        return name
    return f"{plain[: length - _DIGEST_LENGTH - 1]}~{_digest(name)}"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
