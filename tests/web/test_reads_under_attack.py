"""What could go wrong because a reader keeps no connection, and does not.

Results that outlive their connection, work that begins in the middle of what is read, SQLAlchemy's own hooks: nothing
is lost, mixed up or done twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from flask import current_app
from sqlalchemy import ForeignKey, Result, String, delete, event, func, insert, literal, select
from sqlalchemy.orm import (
    Mapped,
    ORMExecuteState,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    subqueryload,
    with_loader_criteria,
)
from sqlalchemy.orm.exc import StaleDataError

from flask_unitofwork import Session
from flask_unitofwork.testing import isolated
from tests.stage import Base, Item, MakeStage, Stage

PAGES: Final = 200
READERS: Final = 8


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(50))
    version: Mapped[int] = mapped_column()
    pages: Mapped[list[Page]] = relationship(back_populates="book")
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  SQLAlchemy's own form


class Page(Base):
    __tablename__ = "page"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"))
    book: Mapped[Book] = relationship(back_populates="pages")


@pytest.fixture
def library(stage: Stage) -> Stage:
    """One book of many pages, and one without."""
    return fill(stage)


def fill(stage: Stage) -> Stage:
    with stage.uow.scope(stage.app) as session:
        pages = [Page(number=number) for number in range(PAGES)]
        session.add(Book(title="long", pages=pages))
        session.flush()
        session.add(Book(title="empty"))
    return stage


def do(stage: Stage, act: Callable[[Session], Any], method: str = "GET") -> Any:
    """What *act* returns when it is done by a view."""
    returned: list[Any] = []

    def view() -> str:
        returned.append(act(stage.uow.session))
        return "done"

    if "view" not in stage.app.view_functions:
        stage.app.add_url_rule("/", "view", methods=["GET", "POST"])
    stage.app.view_functions["view"] = view
    response = stage.client.open("/", method=method)
    assert response.status_code == 200, response.text
    return returned[0]


def titles(stage: Stage) -> list[str]:
    with stage.outside(stage.engine) as connection:
        return list(connection.scalars(select(Book.title).order_by(Book.id)))


class TestResults:
    def test_outlive_their_connection_their_request_and_the_pool(self, library: Stage) -> None:
        def look(session: Session) -> Result[int]:
            result = session.execute(select(Page.number).order_by(Page.number))
            assert next(result) == (0,)
            session.execute(delete(Page).where(Page.number > 100))
            return result

        result = do(library, look)
        do(library, lambda session: session.scalars(select(Book)).all())
        with library.app.app_context():
            library.uow.dispose()
        assert list(result.scalars()) == list(range(1, PAGES))

    def test_are_each_reader_s_own(self, database_url: str, make_stage: MakeStage) -> None:
        stage = fill(make_stage(database_url, UNITOFWORK_ENGINE_OPTIONS={"pool_size": 2, "max_overflow": 1}))
        all_here = threading.Barrier(READERS)

        def look(reader: int) -> bool:
            with stage.uow.scope(stage.app, reads="autocommit") as session:
                all_here.wait()
                found = []
                for _ in range(10):
                    rows = session.execute(select(literal(reader), Page.number).order_by(Page.number))
                    first = next(rows)
                    count = session.scalar(select(func.count()).select_from(Page).where(literal(reader) == reader))
                    found.append(([first, *rows], count))
            return found == [([(reader, number) for number in range(PAGES)], PAGES)] * 10

        with ThreadPoolExecutor(READERS) as pool:
            assert all(pool.map(look, range(READERS)))

    def test_can_be_written_and_committed_while_they_are_walked_through(self, library: Stage) -> None:
        def walk(session: Session) -> list[int]:
            seen = []
            for page in session.scalars(select(Page).where(Page.number < 5).order_by(Page.number)):
                seen.append(page.number)
                page.book.title = f"read to {page.number}"
                session.commit()
            return seen

        assert do(library, walk) == [0, 1, 2, 3, 4]
        assert titles(library) == ["read to 4", "empty"]

    @pytest.mark.parametrize("load", [selectinload, subqueryload, joinedload])
    def test_are_complete_where_a_listener_reads_in_the_middle(self, library: Stage, load: Callable[..., Any]) -> None:
        def look(session: Session) -> list[int]:
            @event.listens_for(session, "do_orm_execute")
            def restrict(state: ORMExecuteState) -> None:
                if state.is_select and not state.is_relationship_load and "inner" not in state.execution_options:
                    session.execute(select(Book.id), execution_options={"inner": True}).all()
                    state.statement = state.statement.options(with_loader_criteria(Page, Page.number < 3))

            books = session.scalars(select(Book).options(load(Book.pages)).order_by(Book.id)).unique()
            counts = [len(book.pages) for book in books]
            assert library.checked_out() == 0
            return counts

        assert do(library, look) == [3, 0]

    def test_that_stream_bear_other_statements_between(self, postgresql_url: str, make_stage: MakeStage) -> None:
        stage = fill(make_stage(postgresql_url))

        def look(session: Session) -> tuple[list[int], list[int]]:
            pages = session.scalars(select(Page).order_by(Page.number).execution_options(yield_per=7))
            numbers = [page.number for page in pages if page.book.title and session.scalar(select(func.count(Book.id)))]
            parts = session.execute(select(Page.id).execution_options(stream_results=True)).partitions(60)
            return numbers, [len(part) for part in parts]

        assert do(stage, look) == (list(range(PAGES)), [60, 60, 60, 20])
        assert stage.checked_out() == 0


class TestWork:
    def test_that_a_read_came_before_is_rolled_back_as_a_whole(self, library: Stage) -> None:
        def work(session: Session) -> None:
            book, page = session.get_one(Book, 1), session.scalars(select(Page)).first()
            assert page is not None
            with session.no_autoflush:
                book.title = "changed"
                session.delete(page)
                session.add(new := Book(title="new"))
                session.scalars(select(Page)).all()
            session.rollback()
            assert (book.title, page in session, new in session, len(book.pages)) == ("long", True, False, PAGES)
            session.delete(page)
            session.flush()
            session.scalars(select(Book)).all()
            session.rollback()
            assert page in session

        do(library, work)
        assert titles(library) == ["long", "empty"]

    def test_that_somebody_else_has_overtaken_is_refused(self, library: Stage) -> None:
        def work(session: Session) -> None:
            book = session.get_one(Book, 1)
            with library.uow.scope() as other:
                other.get_one(Book, 1).title = "theirs"
            book.title = "mine"
            with pytest.raises(StaleDataError):
                session.flush()
            session.rollback()
            assert book.title == "theirs"

        do(library, work)
        assert titles(library) == ["theirs", "empty"]

    @pytest.mark.parametrize("drop", [Session.close, Session.reset, Session.invalidate, Session.rollback])
    def test_that_is_dropped_is_gone_and_reads_keep_no_connection_again(
        self, library: Stage, drop: Callable[[Session], None]
    ) -> None:
        def work(session: Session) -> None:
            session.scalars(select(Book)).all()
            session.add(Book(title="lost"))
            session.flush()
            drop(session)
            assert len(session.scalars(select(Book)).all()) == 2
            assert library.checked_out() == 0

        do(library, work)
        assert titles(library) == ["long", "empty"]

    def test_in_two_databases_is_rolled_back_in_both(
        self, database_url: str, another_url: Callable[[], str], make_stage: MakeStage
    ) -> None:
        stage = make_stage({"default": database_url, "other": another_url()})
        with stage.app.app_context():
            other = stage.uow.get_engine("other")
        Base.metadata.create_all(other)

        def work(session: Session) -> list[int]:
            there = {"bind": other}
            session.execute(insert(Item).values(name="here"))
            counts = [len(session.execute(select(Item.id), bind_arguments=there).all())]
            session.execute(insert(Item).values(name="there"), bind_arguments=there)
            counts.append(len(session.execute(select(Item.id), bind_arguments=there).all()))
            session.rollback()
            return counts

        assert do(stage, work) == [0, 1]
        assert stage.names() == []
        with stage.outside(other) as connection:
            assert connection.scalars(select(Item.name)).all() == []

    def test_in_an_isolated_test_is_seen_by_readers_and_leaves_nothing(self, library: Stage) -> None:
        with isolated(library.app):
            assert do(library, lambda session: len(session.scalars(select(Book)).all())) == 2
            do(library, lambda session: session.add(Book(title="new")), "POST")
            do(library, lambda session: session.add(Book(title="newer")))
            assert do(library, lambda session: len(session.scalars(select(Book)).all())) == 4
        assert titles(library) == ["long", "empty"]

    def test_of_a_context_that_joins_is_the_reader_s(self, sqlite_url: str, make_stage: MakeStage) -> None:
        stage = fill(make_stage(sqlite_url, UNITOFWORK_NESTED_CONTEXT="join"))

        def work(session: Session) -> None:
            session.scalars(select(Book)).all()
            with current_app._get_current_object().app_context():  # type: ignore[attr-defined]
                assert stage.uow.session.get_one(Book, 1) is session.get(Book, 1)
                stage.uow.session.add(Book(title="inner"))
            assert len(session.scalars(select(Book)).all()) == 3

        do(stage, work)
        assert titles(stage) == ["long", "empty", "inner"]


def test_an_async_view_reads_without_keeping_a_connection(library: Stage) -> None:
    seen: list[int] = []

    @library.app.get("/async")
    async def view() -> str:
        seen.append(len(library.uow.session.scalars(select(Book)).all()))
        seen.append(library.checked_out())
        library.uow.session.add(Book(title="written"))
        return "done"

    assert library.client.get("/async").status_code == 200
    assert seen == [2, 0]
    assert titles(library) == ["long", "empty", "written"]
