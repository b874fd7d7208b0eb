"""What the queries of Model.query can do beyond SQLAlchemy's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import String, create_engine, event, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    joinedload,
    mapped_column,
    selectinload,
    with_loader_criteria,
)
from werkzeug.exceptions import NotFound

from flask_unitofwork import PaginationError
from flask_unitofwork.models import Query, QueryProperty, UnorderedPaginationWarning
from tests.models.conftest import Statements
from tests.models.library import Author, Book

sessions: list[Session] = []


class Furniture(DeclarativeBase):
    query = QueryProperty(lambda: sessions[-1])


class Shelf(Furniture):
    __tablename__ = "shelves"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), default="")


@pytest.fixture
def shelves(sqlite_url: str) -> Iterator[Session]:
    engine = create_engine(sqlite_url)
    Furniture.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Shelf(id=1, name="low"), Shelf(id=2, name="high"), Shelf(id=3, name="high")])
        session.commit()
        sessions.append(session)
        yield session
        sessions.pop()
    engine.dispose()


class TestGet:
    def test_of_what_is_not_there_is_a_404(self, shelves: Session) -> None:
        with pytest.raises(NotFound, match="no such shelf"):
            Shelf.query.get_or_404(99, "no such shelf")
        with pytest.raises(NotFound):
            Shelf.query.get_or_404("ninety-nine")

    def test_gives_the_object_that_the_session_has(self, shelves: Session) -> None:
        assert Shelf.query.get_or_404(1) is Shelf.query.get_or_404("1")

    def test_hears_the_options_of_the_query(self, session: Session, statements: Statements) -> None:
        session.add(Author(id=1, name="Ann", books=[Book(title="one")]))
        session.commit()
        query: Query[Author] = Query(Author, session)

        ann = query.options(selectinload(Author.books)).get_or_404(1)
        assert "books" in ann.__dict__
        session.execute(text("UPDATE authors SET name = 'Eve'"))
        assert query.get_or_404(1) is ann
        assert ann.name == "Ann"
        assert query.populate_existing().get_or_404(1).name == "Eve"
        session.expunge_all()
        del statements[:]
        query.with_for_update().get_or_404(1)
        assert statements[-1].endswith("FOR UPDATE") is (session.get_bind().dialect.name != "sqlite")
        session.expunge_all()
        with pytest.raises(NotFound):
            query.options(with_loader_criteria(Author, Author.name == "Ann")).get_or_404(1)

    def test_hears_its_execution_options(self, shelves: Session) -> None:
        heard: list[Any] = []
        event.listen(shelves, "do_orm_execute", lambda state: heard.append(state.execution_options.get("colour")))
        Shelf.query.execution_options(colour="green").get_or_404(1)

        assert heard == ["green"]

    def test_of_a_query_that_filters_is_an_error(self, shelves: Session) -> None:
        with pytest.raises(
            InvalidRequestError, match=r"get_or_404\(\) being called on a Query with existing criterion"
        ):
            Shelf.query.filter(Shelf.name == "low").get_or_404(1)

    def test_of_anything_but_one_mapped_class_is_an_error(self, shelves: Session) -> None:
        for entities in ((Shelf.id,), (Shelf, Author), (aliased(Shelf),)):
            with pytest.raises(InvalidRequestError, match="needs a query of one mapped class"):
                Query(entities, shelves).get_or_404(1)


class TestFirstAndOne:
    def test_give_what_is_there(self, shelves: Session) -> None:
        assert Shelf.query.order_by(Shelf.id).first_or_404().id == 1
        assert Shelf.query.filter_by(name="low").one_or_404().id == 1

    def test_are_a_404_where_nothing_is(self, shelves: Session) -> None:
        with pytest.raises(NotFound, match="none"):
            Shelf.query.filter_by(id=99).first_or_404("none")
        with pytest.raises(NotFound, match="none"):
            Shelf.query.filter_by(id=99).one_or_404("none")

    def test_one_is_a_404_where_several_are(self, shelves: Session) -> None:
        with pytest.raises(NotFound):
            Shelf.query.filter_by(name="high").one_or_404()


class TestPaginate:
    def test_gives_pages(self, shelves: Session) -> None:
        page = Shelf.query.order_by(Shelf.id.desc()).paginate(per_page=2)

        assert [shelf.id for shelf in page] == [3, 2]
        assert (page.total, page.pages, page.has_next) == (3, 2, True)
        assert [shelf.id for shelf in Shelf.query.paginate(page=2, per_page=2)] == [3]

    def test_counts_nothing_where_that_is_not_wanted(self, shelves: Session) -> None:
        page = Shelf.query.paginate(per_page=2, count=False)

        assert (page.total, page.has_next) == (None, True)

    def test_is_a_404_beyond_the_end_or_clamped(self, shelves: Session) -> None:
        for number in (3, 10**30):
            with pytest.raises(NotFound):
                Shelf.query.paginate(page=number, per_page=2)
            assert Shelf.query.paginate(page=number, per_page=2, clamp=True).page == 2

    def test_keeps_to_the_limit_of_the_query(self, shelves: Session) -> None:
        two = Shelf.query.order_by(Shelf.id).limit(2)

        page = two.paginate(page=2, per_page=1)
        assert ([shelf.id for shelf in page], page.total, page.has_next) == ([2], 2, False)
        with pytest.warns(UnorderedPaginationWarning):
            assert Shelf.query.offset(1).paginate().total == 2

    def test_loads_joined_collections_whole(self, session: Session) -> None:
        session.add_all(Author(name="Ann", books=[Book(title="one"), Book(title="two")]) for _ in range(3))
        session.commit()

        query: Query[Author] = Query(Author, session)
        page = query.options(joinedload(Author.books)).paginate(per_page=2)
        assert ([len(author.books) for author in page], page.total) == ([2, 2], 3)

    def test_refuses_what_is_no_page(self, shelves: Session) -> None:
        with pytest.raises(PaginationError):
            Shelf.query.paginate(page=0)

    def test_names_the_line_that_has_no_order(self, shelves: Session) -> None:
        with pytest.warns(UnorderedPaginationWarning) as caught:
            Query([Shelf.id], shelves).paginate()

        assert caught[0].filename == __file__
