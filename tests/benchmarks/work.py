"""The work that every contestant does: what is asked, and how.

What a request is about travels in its query string, so that nobody's parser of request bodies is measured. A *variant*
is a request's own set of rows. Two variants have no row in common, so that threads with variants of their own never
wait for each other's locks: what locks cost is the database's affair, not the contestants'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["VARIANTS", "WORK", "WORLDS", "Work", "keys_of"]

WORLDS: Final = 10_000
VARIANTS: Final = 500
KEYS: Final = WORLDS // VARIANTS

Query = Callable[[int], Mapping[str, str]]


@dataclass(frozen=True)
class Work:
    """One kind of request.

    Attributes:
        name: what it is called in the environment, and its path without the slash.
        title: what it is called in the table.
        query: the name of its argument, if it has one.
        method: the request's.
        reads: whether it asks the database for anything.
        waits: whether it also waits for something that is neither Python nor the database.
    """

    name: str
    title: str
    query: str = ""
    method: str = "GET"
    reads: bool = True
    waits: bool = False

    @property
    def path(self) -> str:
        return f"/{self.name}"

    def query_of(self, variant: int) -> dict[str, str]:
        """The query string of the request for *variant*."""
        if not self.query:
            return {}
        return {self.query: _ARGUMENTS[self.query](variant)}


def keys_of(variant: int) -> list[int]:
    """The 20 rows of *variant*, from all over the table, in the order in which nobody's updates deadlock."""
    return [variant % VARIANTS + 1 + VARIANTS * number for number in range(KEYS)]


_ARGUMENTS: Final[Mapping[str, Callable[[int], str]]] = MappingProxyType(
    {
        "key": lambda variant: str(keys_of(variant)[0]),
        "keys": lambda variant: ",".join(map(str, keys_of(variant))),
        "above": str,
        "text": lambda variant: f"entry {variant}",
    }
)

WORK: Final[Mapping[str, Work]] = MappingProxyType(
    {
        work.name: work
        for work in (
            Work("hello", "no database", reads=False),
            Work("row", "one row", "key"),
            Work("rows", "20 rows by key", "keys"),
            Work("page", "list of 100", "above"),
            Work("authors", "20 parents", "above"),
            Work("create", "create", "text", "POST"),
            Work("created", "create, id", "text", "POST"),
            Work("updates", "20 updates", "keys", "POST"),
            Work("wait", "read, wait", "key", waits=True),
        )
    }
)
