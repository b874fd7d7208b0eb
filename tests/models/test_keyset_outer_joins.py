"""Columns that a table never leaves empty, and an outer join does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import ColumnElement, FromClause, create_engine, select
from sqlalchemy.orm import Session

from tests.models.library import Author, Base, Book, Loan
from tests.models.walking import walk

AUTHORS, BOOKS, LOANS = (Base.metadata.tables[name] for name in ("authors", "books", "loans"))
LENT = BOOKS.join(LOANS, BOOKS.c.id == LOANS.c.book_id)


@pytest.fixture
def session(postgresql_url: str) -> Iterator[Session]:
    engine = create_engine(postgresql_url)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Author(id=number, name=f"author {number}") for number in range(1, 6))
        session.flush()
        session.add_all(Book(id=number, title=f"book {number}", author_id=number) for number in range(1, 4))
        session.add_all(Loan(book_id=number, reader=f"reader {number}") for number in (2, 3, 8, 9))
        session.flush()
        yield session
    engine.dispose()


@pytest.mark.parametrize(
    "joined",
    [
        AUTHORS.outerjoin(LENT, AUTHORS.c.id == BOOKS.c.author_id),
        LENT.outerjoin(AUTHORS, AUTHORS.c.id == BOOKS.c.author_id),
        LOANS.outerjoin(BOOKS, BOOKS.c.id == LOANS.c.book_id).outerjoin(AUTHORS, AUTHORS.c.id == BOOKS.c.author_id),
        AUTHORS.join(BOOKS, BOOKS.c.author_id == AUTHORS.c.id, full=True).join(
            LOANS, LOANS.c.book_id == BOOKS.c.id, full=True
        ),
    ],
    ids=["right side is a join", "left side is a join", "one after another", "full"],
)
@pytest.mark.parametrize("column", [AUTHORS.c.name, BOOKS.c.title, LOANS.c.reader], ids=str)
@pytest.mark.parametrize("descending", [False, True])
def test_no_row_is_lost(session: Session, joined: FromClause, column: ColumnElement[Any], *, descending: bool) -> None:
    order = column.desc() if descending else column.asc()
    statement = select(AUTHORS.c.name, BOOKS.c.title, LOANS.c.reader).select_from(joined).order_by(order)
    everything = session.execute(statement).all()

    for per_page in (1, 2):
        forth, back = walk(session, statement, per_page)
        assert forth == back
        assert set(forth) == set(everything)
        assert len(forth) == len(everything)
