"""What a contestant has to be able to do."""

from __future__ import annotations

from typing import Protocol, TypedDict

__all__ = ["AuthorAnswer", "Row", "Views"]


class Row(TypedDict):
    """A row of ``world``."""

    id: int
    number: int


class AuthorAnswer(TypedDict):
    """An author, and the titles of the books in the order of their ids."""

    id: int
    name: str
    books: list[str]


class Views(Protocol):
    """One contestant's way to the database, each method as its documentation would have it written."""

    def row(self, key: int) -> Row: ...

    def rows(self, keys: list[int]) -> list[Row]:
        """As `row`, one statement each: TechEmpower's rule for its "multiple queries"."""
        ...

    def page(self, above: int) -> list[Row]:
        """The first 100 with an id above *above*."""
        ...

    def authors(self, above: int) -> list[AuthorAnswer]:
        """The first 20 with an id above *above*; their books with as few statements as can be."""
        ...

    def create(self, text: str) -> str:
        """Add an entry, and give what it says of itself; it is committed when the request has ended."""
        ...

    def created(self, text: str) -> int:
        """As `create`, and give the id that the database has given to it."""
        ...

    def updates(self, keys: list[int]) -> list[Row]:
        """Read each row by its key, add one to its number, and write it, in one transaction."""
        ...
