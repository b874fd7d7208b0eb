"""Tests whose commits are real: the tables are empty again for the next one, whoever wrote, and whatever failed."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import ForeignKey, String, create_engine, event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_unitofwork import UnitOfWork
from flask_unitofwork.testing.truncation import empty_tables, tables_to_empty
from tests.conftest import Outside

from .conftest import Project

REAL = """
pytestmark = pytest.mark.uow_real_commits

def test_a_commit_is_real(app, client):
    client.post("/items/tea")
    assert seen_from_outside(app) == ["tea"]

def test_the_next_test_finds_nothing(app, client, uow_session):
    assert seen_from_outside(app) == []
    uow_session.add(Item(name="milk"))
    uow_session.commit()
    assert seen_from_outside(app) == ["milk"]

def test_a_test_that_fails(client):
    client.post("/items/tea")
    raise AssertionError("on purpose")

def test_a_test_that_leaves_a_transaction_open(app):
    uow.session.add(Item(name="coffee"))
    uow.session.flush()

def test_finds_nothing(app):
    assert seen_from_outside(app) == []

def seen_from_outside(app):
    from sqlalchemy import create_engine
    with app.app_context():
        url = uow.engine.url
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return connection.scalars(select(Item.name)).all()
    finally:
        engine.dispose()
"""


@pytest.mark.parametrize("scope", ["function", "session"])
def test_tables_are_emptied_after_each_test(project: Project, scope: str) -> None:
    project(REAL, "--strict-markers", scope=scope).assert_outcomes(passed=4, failed=1)


def test_tests_with_real_commits_come_last(sqlite_project: Project) -> None:
    tests = """
@pytest.mark.uow_real_commits
def test_one(client):
    pass

def test_two(client):
    pass
"""
    result = sqlite_project(tests, "-v")
    result.stdout.fnmatch_lines(["*::test_two PASSED*", "*::test_one PASSED*"])


def test_without_metadata_it_is_told_before_the_test_runs(sqlite_project: Project) -> None:
    conftest = """
import pytest
from flask import Flask
from flask_unitofwork import UnitOfWork

@pytest.fixture
def app():
    app = Flask("shop")
    app.config["UNITOFWORK_DATABASES"] = "sqlite://"
    UnitOfWork(app)
    return app
"""
    tests = """
@pytest.mark.uow_real_commits
def test_it(client):
    raise AssertionError("it ran")
"""
    result = sqlite_project(tests, conftest=conftest)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*Write UnitOfWork(metadata=Base.metadata)*"])


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    favourite_id: Mapped[int | None] = mapped_column(
        ForeignKey("book.id", ondelete="RESTRICT", use_alter=True, name="fk_favourite")
    )


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id", ondelete="RESTRICT"))
    sequel_to: Mapped[int | None] = mapped_column(ForeignKey("book.id", ondelete="RESTRICT"))


class Draft(Base):
    """Mapped, and never made."""

    __tablename__ = "draft"

    id: Mapped[int] = mapped_column(primary_key=True)


VIEW = text("CREATE VIEW published AS SELECT id FROM book")
MADE = [Author.__table__, Book.__table__]


@pytest.fixture
def library(database_url: str) -> Flask:
    library = Flask("library")
    library.config["UNITOFWORK_DATABASES"] = database_url
    UnitOfWork(library, metadata=Base.metadata)
    return library


def fill(library: Flask) -> int:
    """Write rows that refer to one another in a circle, and return the number of the last."""
    uow: UnitOfWork = library.extensions["unitofwork"]
    with uow.scope(library) as session:
        author = Author(name="Ann")
        session.add(author)
        session.flush()
        book = Book(author_id=author.id)
        session.add(book)
        session.flush()
        session.add(Book(author_id=author.id, sequel_to=book.id))
        author.favourite_id = book.id
        return author.id


def test_rows_that_refer_to_one_another_in_a_circle_go_and_foreign_keys_stay(library: Flask, outside: Outside) -> None:
    uow: UnitOfWork = library.extensions["unitofwork"]
    with library.app_context():
        engine = uow.engine
    Base.metadata.create_all(engine, tables=MADE)  # type: ignore[arg-type]
    with engine.begin() as connection:
        connection.execute(VIEW)
    fill(library)

    empty_tables(library, tables_to_empty(library))

    with outside(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(Author.__table__)) == 0
        assert connection.scalar(select(func.count()).select_from(Book.__table__)) == 0
    for _ in range(2):
        with pytest.raises(DBAPIError), uow.scope(library) as session:
            session.add(Book(author_id=999))
            session.flush()
    engine.dispose()


def test_numbers_begin_again_on_postgresql_also_where_the_rows_were_gone(postgresql_url: str) -> None:
    library = Flask("library")
    library.config["UNITOFWORK_DATABASES"] = postgresql_url
    uow = UnitOfWork(library, metadata=Base.metadata)
    with library.app_context():
        uow.create_all()
        engine = uow.engine
    assert fill(library) == 1
    empty_tables(library, tables_to_empty(library))
    assert fill(library) == 1
    with pytest.raises(ZeroDivisionError), uow.scope(library) as session:
        session.add(Author(name="Bob"))
        session.flush()
        raise ZeroDivisionError
    empty_tables(library, tables_to_empty(library))
    with uow.scope(library) as session:
        session.add(Author(name="Cid"))
        session.flush()
        raise_after = session.scalars(select(Author.id)).one()
        session.rollback()
    empty_tables(library, tables_to_empty(library))
    assert raise_after == 1
    assert fill(library) == 1
    engine.dispose()


def test_only_tables_with_rows_are_emptied(database_url: str) -> None:
    library = Flask("library")
    library.config["UNITOFWORK_DATABASES"] = database_url
    uow = UnitOfWork(library, metadata=Base.metadata)
    with library.app_context():
        uow.create_all()
        engine = uow.engine
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
    empty_tables(library, tables_to_empty(library))
    assert [
        statement for statement in sent if statement.startswith(("DELETE FROM a", "DELETE FROM b", "TRUNCATE"))
    ] == []
    fill(library)
    sent.clear()
    empty_tables(library, tables_to_empty(library))
    assert [statement for statement in sent if statement.startswith(("DELETE", "TRUNCATE"))] != []
    assert [statement for statement in sent if "draft" in statement and statement.startswith(("DELETE", "TRUNC"))] == []
    engine.dispose()


def test_a_lock_that_the_test_left_is_named_as_the_reason(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_unitofwork.testing.truncation.PATIENCE_SECONDS", 1)
    library = Flask("library")
    library.config["UNITOFWORK_DATABASES"] = postgresql_url
    uow = UnitOfWork(library, metadata=Base.metadata)
    with library.app_context():
        uow.create_all()
        engine = uow.engine
    fill(library)
    other = create_engine(postgresql_url)
    with other.connect() as connection:
        connection.execute(select(Author.id))
        with pytest.raises(DBAPIError) as caught:
            empty_tables(library, tables_to_empty(library))
    assert "end the threads and processes that the test started" in " ".join(caught.value.__notes__)
    other.dispose()
    engine.dispose()
