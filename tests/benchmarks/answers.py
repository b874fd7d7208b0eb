"""Whether a contestant's answers are right: its time for a wrong one would say nothing.

A connection of our own sees what the database holds before and after, and so what the right answer is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import DictRow, dict_row

from .contestant import Contestant
from .lane import Lane
from .work import keys_of

__all__ = ["WrongAnswerError", "check_answers"]

# The first and the last, and one that no thread has of its own.
VARIANTS: Final = (0, 250, 499)

Ask = Callable[[], Any]


class WrongAnswerError(Exception):
    """A contestant answers wrongly, or the database does not hold what it says."""


class _Database:
    def __init__(self, connection: psycopg.Connection[DictRow]) -> None:
        self._connection = connection

    def rows(self, statement: LiteralString, *values: object) -> list[dict[str, Any]]:
        return self._connection.execute(statement, values).fetchall()

    def worlds(self, variant: int) -> list[dict[str, Any]]:
        return self.rows("SELECT id, number FROM world WHERE id = ANY(%s) ORDER BY id", keys_of(variant))

    def newest_entry(self, text: str) -> int:
        return int(self.rows("SELECT coalesce(max(id), 0) AS id FROM entry WHERE text = %s", text)[0]["id"])

    def entries(self, text: str) -> int:
        return len(self.rows("SELECT id FROM entry WHERE text = %s", text))


def check_answers(lane: Lane, work: str, url: str) -> None:
    """Have the contestant in *lane* do *work*, on the database at *url*.

    Raises:
        WrongAnswerError: what came was not what should.
    """
    with psycopg.Connection[DictRow].connect(url, autocommit=True, row_factory=dict_row) as connection:
        database = _Database(connection)
        for variant in VARIANTS:

            def answer(variant: int = variant) -> Any:
                return lane.do(Contestant.answer, work, variant)[1]

            given, right = _CHECKS[work](database, answer, variant)
            if given != right:
                message = f"{lane.name}, {work!r}, variant {variant}: the answer should be {right!r}, and is {given!r}"
                raise WrongAnswerError(message)


# -- what each kind of work should answer: (what is given, what is right) ---------------------------------------------


def _hello(_: _Database, answer: Ask, __: int) -> tuple[Any, Any]:
    return answer(), {"message": "Hello, World!"}


def _row(database: _Database, answer: Ask, variant: int) -> tuple[Any, Any]:
    return answer(), database.worlds(variant)[0]


def _rows(database: _Database, answer: Ask, variant: int) -> tuple[Any, Any]:
    return answer(), database.worlds(variant)


def _page(database: _Database, answer: Ask, variant: int) -> tuple[Any, Any]:
    return answer(), database.rows("SELECT id, number FROM world WHERE id > %s ORDER BY id LIMIT 100", variant)


def _authors(database: _Database, answer: Ask, variant: int) -> tuple[Any, Any]:
    right = database.rows("SELECT id, name FROM author WHERE id > %s ORDER BY id LIMIT 20", variant)
    for author in right:
        books = database.rows("SELECT title FROM book WHERE author_id = %s ORDER BY id", author["id"])
        author["books"] = [book["title"] for book in books]
    return answer(), right


def _create(database: _Database, answer: Ask, variant: int) -> tuple[Any, Any]:
    text = f"entry {variant}"
    before = database.entries(text)
    return (answer(), database.entries(text)), ({"text": text}, before + 1)


def _created(database: _Database, answer: Ask, variant: int) -> tuple[Any, Any]:
    text = f"entry {variant}"
    before = database.newest_entry(text)
    given = answer()
    return (given, given["id"] > before), ({"id": database.newest_entry(text)}, True)


def _updates(database: _Database, answer: Ask, variant: int) -> tuple[Any, Any]:
    right = [{**world, "number": world["number"] + 1} for world in database.worlds(variant)]
    return (answer(), database.worlds(variant)), (right, right)


_CHECKS: Final[Mapping[str, Callable[[_Database, Ask, int], tuple[Any, Any]]]] = MappingProxyType(
    {
        "hello": _hello,
        "row": _row,
        "rows": _rows,
        "page": _page,
        "authors": _authors,
        "create": _create,
        "created": _created,
        "updates": _updates,
        "wait": _row,
    }
)
