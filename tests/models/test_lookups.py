"""What is there is given, what is not is a 404."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import BigInteger, Row, Select, SmallInteger, Uuid, func, select, text, union
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, contains_eager, joinedload, mapped_column, selectinload
from werkzeug.exceptions import NotFound

from flask_unitofwork.models import first_or_404, get_or_404, one_or_404
from tests.models.conftest import Statements
from tests.models.library import Author, Book, Loan, Parcel

PARCEL = uuid.UUID(int=2**127 + 1)
BY_ID = select(Author).order_by(Author.id)


class Sizes(DeclarativeBase):
    """Keys that are not of the usual size or type."""


class Small(Sizes):
    __tablename__ = "smalls"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)


class Big(Sizes):
    __tablename__ = "bigs"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class Named(Sizes):
    __tablename__ = "nameds"

    id: Mapped[str] = mapped_column(Uuid(as_uuid=False), primary_key=True)


@pytest.fixture
def session(session: Session) -> Session:
    Sizes.metadata.create_all(session.connection())
    session.add_all(
        [
            Author(id=5, name="Ann", books=[Book(title="one"), Book(title="two")]),
            Author(id=6, name="Bob"),
            Author(id=7, name="Bob"),
            Loan(book_id=1, reader="Cid"),
            Parcel(id=PARCEL),
            Small(id=1),
            Big(id=2**62),
            Named(id=str(PARCEL)),
        ]
    )
    session.commit()
    return session


class TestGet:
    def test_gives_the_object(self, session: Session) -> None:
        assert get_or_404(session, Author, 5).name == "Ann"

    @pytest.mark.parametrize("ident", [(1, "Cid"), [1, "Cid"], {"book_id": 1, "reader": "Cid"}, ("1", "Cid")])
    def test_takes_composite_keys(self, session: Session, ident: Any) -> None:
        assert get_or_404(session, Loan, ident).reader == "Cid"

    def test_reads_text_as_the_number_or_uuid_that_the_key_is(self, session: Session, statements: Statements) -> None:
        author, parcel = get_or_404(session, Author, "5"), get_or_404(session, Parcel, str(PARCEL))
        del statements[:]

        assert get_or_404(session, Author, 5) is author
        assert get_or_404(session, Parcel, PARCEL) is parcel
        assert get_or_404(session, Named, PARCEL.hex).id == str(PARCEL)
        assert len(statements) == 1, "the same key finds the same object, without asking again"

    @pytest.mark.parametrize(
        ("model", "ident"),
        [
            (Author, 99),
            (Author, None),
            (Author, ""),
            (Author, "five"),
            (Author, "5abc"),
            (Author, " 5"),
            (Author, "9" * 5000),
            (Author, 2**31),
            (Author, -(2**31) - 1),
            (Author, str(2**31)),
            (Author, 2**63),
            (Author, 2**64),
            (Author, 10**30),
            (Small, 2**15),
            (Small, 2**40),
            (Big, 2**63),
            (Big, 2**63 - 1),
            (Loan, (1, "Dan")),
            (Loan, ("one", "Cid")),
            (Loan, (2**70, "Cid")),
            (Loan, (1, "C\0id")),
            (Loan, (None, None)),
            (Parcel, "not a uuid"),
            (Parcel, uuid.UUID(int=0)),
            (Named, "not a uuid"),
        ],
        ids=lambda value: (value.__name__ if isinstance(value, type) else str(value))[:20],
    )
    def test_of_a_key_that_no_row_has_is_a_404_and_the_session_goes_on(
        self, session: Session, model: type[Any], ident: Any
    ) -> None:
        with pytest.raises(NotFound):
            get_or_404(session, model, ident)
        assert session.scalar(select(func.count(Author.id))) == 3

    def test_finds_a_key_as_large_as_its_column_can_hold(self, session: Session) -> None:
        session.add_all([Small(id=2**15 - 1), Author(id=2**31 - 1, name="last"), Big(id=2**63 - 1)])
        session.commit()

        assert get_or_404(session, Small, 2**15 - 1)
        assert get_or_404(session, Author, 2**31 - 1)
        assert get_or_404(session, Big, str(2**63 - 1))

    @pytest.mark.parametrize("ident", [(5, 6), {"name": "Ann"}, ()], ids=str)
    def test_says_what_is_wrong_with_a_key_of_another_shape(self, session: Session, ident: Any) -> None:
        with pytest.raises(InvalidRequestError, match="primary key"):
            get_or_404(session, Author, ident)

    def test_has_the_description_that_was_given(self, session: Session) -> None:
        with pytest.raises(NotFound, match="no such author"):
            get_or_404(session, Author, 99, description="no such author")
        with pytest.raises(NotFound, match="no such author"):
            get_or_404(session, Author, "x", description="no such author")

    def test_passes_on_what_the_sessions_get_takes(self, session: Session, statements: Statements) -> None:
        author = get_or_404(session, Author, 5, options=[selectinload(Author.books)])
        assert "books" in author.__dict__

        session.execute(text("UPDATE authors SET name = 'Eve' WHERE id = 5"))
        assert get_or_404(session, Author, 5).name == "Ann"
        assert get_or_404(session, Author, 5, populate_existing=True).name == "Eve"

        del statements[:]
        get_or_404(session, Author, 6, with_for_update=True)
        locks = session.get_bind().dialect.name != "sqlite"
        assert statements[-1].endswith("FOR UPDATE") is locks

    def test_answers_a_request_with_404(self, session: Session, web: Flask) -> None:
        @web.get("/authors/<ident>")
        def show(ident: str) -> str:
            return get_or_404(session, Author, ident).name

        assert web.test_client().get("/authors/5").text == "Ann"
        assert [web.test_client().get(f"/authors/{ident}").status_code for ident in ("99", "x", 10**40)] == [404] * 3


class TestFirst:
    def test_gives_the_first_object(self, session: Session) -> None:
        assert first_or_404(session, BY_ID).name == "Ann"

    def test_gives_a_row_of_several_columns(self, session: Session) -> None:
        row = first_or_404(session, select(Author.id, Author.name).order_by(Author.id.desc()))

        assert isinstance(row, Row)
        assert (row.id, row.name) == (7, "Bob")

    def test_gives_a_value_even_if_it_is_null(self, session: Session) -> None:
        assert first_or_404(session, select(Author.born).where(Author.id == 5)) is None

    def test_of_no_rows_is_a_404(self, session: Session) -> None:
        with pytest.raises(NotFound, match="nobody"):
            first_or_404(session, BY_ID.where(Author.id > 99), description="nobody")

    def test_fetches_one_row(self, session: Session, statements: Statements) -> None:
        first_or_404(session, BY_ID)
        first_or_404(session, union(select(Author.id), select(Book.id)).order_by("id"))
        first_or_404(session, BY_ID.options(joinedload(Author.books)))

        assert ["LIMIT" in sent for sent in statements] == [True, True, True]

    @pytest.mark.parametrize(
        "statement",
        [
            BY_ID.options(joinedload(Author.books)),
            BY_ID.join(Author.books).options(contains_eager(Author.books)),
            BY_ID.where(Book.author_id == Author.id).options(contains_eager(Author.books)),
        ],
        ids=["joined load", "join", "where"],
    )
    def test_has_the_collections_whole(self, session: Session, statement: Select[Author]) -> None:
        assert sorted(book.title for book in first_or_404(session, statement).books) == ["one", "two"]

    def test_takes_text(self, session: Session) -> None:
        assert first_or_404(session, text("SELECT name FROM authors ORDER BY id")) == "Ann"
        assert first_or_404(session, select(Author).from_statement(text("SELECT * FROM authors WHERE id = 6"))).id == 6


class TestOne:
    def test_gives_the_only_object(self, session: Session) -> None:
        assert one_or_404(session, BY_ID.where(Author.name == "Ann")).id == 5

    def test_gives_a_row_of_several_columns(self, session: Session) -> None:
        assert one_or_404(session, select(Author.id, Author.name).where(Author.id == 6)) == (6, "Bob")

    def test_of_no_rows_is_a_404(self, session: Session) -> None:
        with pytest.raises(NotFound):
            one_or_404(session, BY_ID.where(Author.name == "Zoe"))

    def test_of_several_rows_is_a_404(self, session: Session) -> None:
        with pytest.raises(NotFound, match="which Bob"):
            one_or_404(session, BY_ID.where(Author.name == "Bob"), description="which Bob?")

    def test_has_the_collections_whole(self, session: Session) -> None:
        statement = BY_ID.where(Author.id == 5).options(joinedload(Author.books))

        assert len(one_or_404(session, statement).books) == 2


@pytest.mark.parametrize("lookup", [first_or_404, one_or_404])
def test_objects_that_were_added_are_found(session: Session, lookup: Callable[..., Author]) -> None:
    added = Author(name="Zoe")
    session.add(added)

    assert lookup(session, BY_ID.where(Author.name == "Zoe")) is added
