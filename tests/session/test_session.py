"""The Session on its own, and what it adds in an app: routing by bind key."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature

import pytest
from flask import Flask
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, create_engine, insert, orm, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column
from sqlalchemy.orm.exc import UnmappedClassError

from flask_unitofwork import Session, UnitOfWork, UnknownBindError
from flask_unitofwork.database.schema import create_all


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "product"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Entry(Base):
    """Lives in the database "audit" by its class."""

    __tablename__ = "entry"
    __bind_key__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


# Lives in the database "audit" by its table.
visit = Table(
    "visit",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("path", String(50)),
    info={"bind_key": "audit"},
)


class Nowhere(DeclarativeBase):
    metadata = MetaData(info={"bind_key": "archive"})


class Old(Nowhere):
    __tablename__ = "old"

    id: Mapped[int] = mapped_column(primary_key=True)


class TestOnItsOwn:
    def test_is_sqlalchemy_s(self, sqlite_url: str) -> None:
        engine = create_engine(sqlite_url)
        Base.metadata.create_all(engine)
        with Session(engine) as session, session.begin():
            session.add(Product(name="tea"))
        with Session(bind=engine) as session:
            assert session.scalars(select(Product.name)).all() == ["tea"]
            session.add(Product(name="coffee"))
            session.rollback()
            session.commit()
            assert session.get_bind() is engine
        engine.dispose()


@pytest.fixture
def shop(database_url: str, another_url: Callable[[], str]) -> Flask:
    shop = Flask("shop")
    shop.config["UNITOFWORK_DATABASES"] = {"default": database_url, "audit": another_url()}
    return shop


@pytest.fixture
def uow(shop: Flask) -> UnitOfWork:
    uow = UnitOfWork(shop, metadata=Base.metadata)
    with shop.app_context():
        uow.create_all()
    return uow


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0


class TestRouting:
    def test_sends_each_model_and_table_to_the_database_of_its_bind_key(self, shop: Flask, uow: UnitOfWork) -> None:
        with uow.scope(shop) as session:
            session.add_all([Product(name="tea"), Entry(name="tea was added")])
            session.execute(insert(visit).values(path="/"))
        with shop.app_context():
            default, audit = uow.engine, uow.get_engine("audit")
            assert [count(default, "product"), count(audit, "entry"), count(audit, "visit")] == [1, 1, 1]
            session = uow.session
            assert session.scalars(select(Entry.name)).all() == ["tea was added"]
            assert session.scalars(select(aliased(Entry).name)).all() == ["tea was added"]
            assert session.scalars(select(visit.c.path)).all() == ["/"]
            assert session.get_bind(Product).engine is default
            assert session.get_bind(Entry).engine is audit
            assert session.get_bind(clause=select(visit)).engine is audit
            assert session.get_bind().engine is default
            session.close()
            uow.drop_all()
            uow.dispose()

    def test_rolls_all_databases_back_together(self, shop: Flask, uow: UnitOfWork) -> None:
        with pytest.raises(LookupError), uow.scope(shop) as session:
            session.add_all([Product(name="tea"), Entry(name="tea was added")])
            session.flush()
            raise LookupError
        with shop.app_context():
            assert [count(uow.engine, "product"), count(uow.get_engine("audit"), "entry")] == [0, 0]
            uow.dispose()

    def test_lets_explicit_bind_arguments_win(self, shop: Flask, uow: UnitOfWork) -> None:
        with shop.app_context():
            audit = uow.get_engine("audit")
            names = uow.session.scalars(select(Entry.name), bind_arguments={"bind": audit})
            assert names.all() == []
            assert uow.session.get_bind(Product, bind=audit) is audit
            uow.session.close()
            uow.dispose()

    def test_takes_sqlalchemy_s_binds_and_falls_back_to_bind_keys(self, shop: Flask, database_url: str) -> None:
        special = create_engine(database_url)
        shop.config["UNITOFWORK_SESSION_OPTIONS"] = {"binds": {Product: special}}
        uow = UnitOfWork(shop)
        with shop.app_context():
            assert uow.session.get_bind(Product) is special
            assert uow.session.get_bind(Entry) is uow.get_engine("audit")

    def test_of_an_unknown_bind_key_is_an_error_before_any_statement(self, shop: Flask, uow: UnitOfWork) -> None:
        with shop.app_context():
            with pytest.raises(UnknownBindError, match="archive"):
                uow.session.get(Old, 1)
            with pytest.raises(UnknownBindError, match="archive"):
                uow.session.execute(select(Nowhere.metadata.tables["old"]))
            with pytest.raises(UnknownBindError, match="archive"):
                create_all(Nowhere.metadata, uow.engines)
            uow.session.close()
            uow.dispose()

    def test_of_a_class_that_is_not_mapped_is_sqlalchemy_s_error(self, shop: Flask, uow: UnitOfWork) -> None:
        with shop.app_context():
            with pytest.raises(UnmappedClassError):
                uow.session.get_bind(Flask)
            uow.dispose()


class TestItsNames:
    def test_are_those_of_sqlalchemy_s(self) -> None:
        """SQLAlchemy's test suite compares them with those that a scoped_session passes on."""
        own = {name for name in vars(Session) if not name.startswith("_")}
        assert own <= set(dir(orm.Session))

    @pytest.mark.parametrize("name", sorted(name for name in dir(orm.Session) if not name.startswith("_")))
    def test_have_sqlalchemy_s_signatures(self, name: str) -> None:
        own, theirs = getattr(Session, name), getattr(orm.Session, name)
        if not callable(own) or name == "dispatch":
            return
        public = [
            [
                (parameter.name, parameter.kind, parameter.default)
                for parameter in signature(method).parameters.values()
                if not parameter.name.startswith("_")
            ]
            for method in (own, theirs)
        ]
        assert public[0] == public[1]

    def test_of_a_session_end_with_release(self) -> None:
        with Session() as session:
            session.release()
            with pytest.raises(AttributeError, match="'Session' object has no attribute 'relase'"):
                _ = session.relase  # type: ignore[attr-defined]
