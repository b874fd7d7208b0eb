"""Model.query, on models of every style."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from typing import Any, ClassVar, TypeVar

import pytest
import sqlalchemy.orm
from flask import Flask
from sqlalchemy import Column, Engine, Integer, String, Table, create_engine, select, text
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    Session,
    mapped_column,
    registry,
)
from sqlalchemy.orm.exc import UnmappedClassError

from flask_unitofwork import OutsideScopeError, UnitOfWork
from flask_unitofwork.models import Query, QueryProperty

T = TypeVar("T")


class Current(threading.local):
    """Where the models below find their session."""

    session: Session


current = Current()


def current_session() -> Session:
    return current.session


class Plain(DeclarativeBase):
    query = QueryProperty(current_session)


class Shelf(Plain):
    __tablename__ = "shelves"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), default="")


class HighShelf(Shelf):
    """A subclass in the same table."""


class AsDataclass(MappedAsDataclass, DeclarativeBase):
    query = QueryProperty(current_session)


class Box(AsDataclass):
    __tablename__ = "boxes"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), default="")


class Annotated(MappedAsDataclass, DeclarativeBase):
    query: ClassVar[QueryProperty[None]] = QueryProperty(current_session)


class Crate(Annotated):
    __tablename__ = "crates"

    id: Mapped[int] = mapped_column(primary_key=True)


decorated = registry()


@decorated.mapped
class Barrel:
    __tablename__ = "barrels"

    query = QueryProperty(current_session)

    id = Column(Integer, primary_key=True)


class Sack:
    query = QueryProperty(current_session)

    id: int


imperative = registry()
imperative.map_imperatively(Sack, Table("sacks", imperative.metadata, Column("id", Integer, primary_key=True)))


class NewestFirst(sqlalchemy.orm.Query[T]):
    """A query class of an app's own, not even made from ours."""

    def newest(self) -> T | None:
        return self.order_by(text("id DESC")).first()


class ByMixin:
    query = QueryProperty(current_session, NewestFirst)


class WithoutQuery(DeclarativeBase):
    pass


class Bag(ByMixin, WithoutQuery):
    __tablename__ = "bags"

    id: Mapped[int] = mapped_column(primary_key=True)


MODELS = [Shelf, HighShelf, Box, Crate, Barrel, Sack]
METADATA = [
    Plain.metadata,
    WithoutQuery.metadata,
    AsDataclass.metadata,
    Annotated.metadata,
    decorated.metadata,
    imperative.metadata,
]


@pytest.fixture
def storeroom(sqlite_url: str) -> Iterator[Engine]:
    engine = create_engine(sqlite_url)
    for metadata in METADATA:
        metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def shelves(storeroom: Engine) -> Iterator[Session]:
    with Session(storeroom) as current.session:
        current.session.execute(text("INSERT INTO shelves (id, name) VALUES (1, 'low'), (2, 'high'), (3, 'high')"))
        for table in ("boxes", "crates", "barrels", "sacks", "bags"):
            columns, values = ("id, name", "(1, ''), (2, '')") if table == "boxes" else ("id", "(1), (2)")
            current.session.execute(text(f"INSERT INTO {table} ({columns}) VALUES {values}"))
        yield current.session


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_any_mapped_class_can_be_queried(shelves: Session, model: Any) -> None:
    query = model.query

    assert type(query) is Query
    assert query.session is shelves
    assert query.get_or_404(1) is model.query.filter_by(id=1).one_or_404()
    assert model.query is not query


def test_the_property_is_no_column_and_no_field() -> None:
    assert list(Box.__table__.columns.keys()) == ["id", "name"]
    assert Box(id=1) == Box(id=1, name="")


def test_an_object_gives_its_class_s_query(shelves: Session) -> None:
    assert Shelf(id=9).query.count() == 3


def test_each_reading_is_of_the_session_of_that_moment(shelves: Session, storeroom: Engine) -> None:
    with Session(storeroom) as current.session:
        assert Shelf.query.count() == 0, "the other session has committed nothing"


@pytest.mark.parametrize("base", [Plain, AsDataclass, Annotated, ByMixin], ids=lambda base: base.__name__)
def test_a_class_that_is_not_mapped_says_so(shelves: Session, base: Any) -> None:
    with pytest.raises(UnmappedClassError, match=rf"Class '.*\.{base.__name__}' is not mapped"):
        _ = base.query
    assert not hasattr(base, "query")
    assert dict(inspect.getmembers(base))["query"] is base.__dict__["query"], "looking at all attributes raises nothing"


def test_an_app_may_have_a_query_class_of_its_own(shelves: Session) -> None:
    newest = Bag.query.newest()

    assert isinstance(newest, Bag)
    assert newest.id == 2


def test_a_query_outside_any_scope_says_so(sqlite_url: str) -> None:
    uow = UnitOfWork()

    class Model(DeclarativeBase):
        query = uow.query_property()

    class Jar(Model):
        __tablename__ = "jars"
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(OutsideScopeError, match="no unit of work here"):
        _ = Jar.query

    server = Flask("jars")
    server.config["UNITOFWORK_DATABASES"] = sqlite_url
    uow.init_app(server)
    with server.app_context():
        assert Jar.query.session is uow.session


def test_a_select_is_untouched_by_the_property(shelves: Session) -> None:
    assert len(shelves.scalars(select(Shelf)).all()) == 3
