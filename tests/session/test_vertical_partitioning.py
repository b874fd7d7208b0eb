"""Models and tables in databases of their own: by `binds`, by bind key, and by choosers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import ClauseElement, Column, Integer, MetaData, String, Table, event, insert, select, text, update
from sqlalchemy.exc import ArgumentError, InvalidRequestError
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, joinedload, mapped_column, registry, relationship
from sqlalchemy.orm.exc import UnmappedInstanceError
from sqlalchemy.schema import ForeignKey

from flask_unitofwork import ConfigurationError, Session, UnitOfWork, UnknownBindError
from tests.conftest import Outside


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "product"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Statistics(Base):
    """What counts visitors: not mapped itself."""

    __abstract__ = True
    __bind_key__ = "statistics"


class Visit(Statistics):
    __tablename__ = "visit"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(String(50))


class Search(Visit):
    """Inherits its database, and the table, from Visit."""

    words: Mapped[str | None] = mapped_column(String(50))


class Order(Base):
    __tablename__ = "order_"

    id: Mapped[int] = mapped_column(primary_key=True)
    lines: Mapped[list[Line]] = relationship(back_populates="order")


class Line(Base):
    __tablename__ = "line"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order_.id"))
    order: Mapped[Order] = relationship(back_populates="lines")


click = Table(
    "click",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("target", String(50)),
    info={"bind_key": "statistics"},
)

MakeShop = Callable[..., tuple[Flask, UnitOfWork]]


@pytest.fixture
def urls(tmp_path: Path) -> dict[str, str]:
    return {name: f"sqlite:///{tmp_path}/{name}.db" for name in ("default", "statistics", "archive")}


@pytest.fixture
def urls_of_each_kind(database_url: str, another_url: Callable[[], str]) -> dict[str, str]:
    return {"default": database_url, "statistics": another_url(), "archive": another_url()}


@contextmanager
def shops(urls: dict[str, str]) -> Generator[MakeShop]:
    made: list[tuple[Flask, UnitOfWork]] = []

    def make(**config: Any) -> tuple[Flask, UnitOfWork]:
        shop = Flask("shop")
        shop.config.update(UNITOFWORK_DATABASES=urls, TESTING=True, **config)
        uow = UnitOfWork(shop, metadata=Base.metadata)
        with shop.app_context():
            for engine in uow.engines.values():
                Base.metadata.create_all(engine)  # everywhere, so that a row's place is what the test is about
        made.append((shop, uow))
        return shop, uow

    yield make
    for shop, uow in made:
        with shop.app_context():
            uow.dispose()


@pytest.fixture
def make_shop(urls: dict[str, str]) -> Iterator[MakeShop]:
    """Makes an app on SQLite files, for what does not depend on the database."""
    with shops(urls) as make:
        yield make


@pytest.fixture
def make_each_shop(urls_of_each_kind: dict[str, str]) -> Iterator[MakeShop]:
    """Makes an app on each kind of database in turn."""
    with shops(urls_of_each_kind) as make:
        yield make


def rows(uow: UnitOfWork, outside: Outside, bind: str, table: str) -> int:
    with outside(uow.get_engine(bind)) as connection:
        return connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0


class TestBinds:
    def test_may_be_names_of_databases(self, make_each_shop: MakeShop, outside: Outside) -> None:
        shop, uow = make_each_shop(UNITOFWORK_SESSION_OPTIONS={"binds": {Product: "archive", click: "archive"}})
        with uow.scope(shop) as session:
            session.add_all([Product(name="tea"), Visit(path="/")])
            session.execute(insert(click).values(target="tea"))
            session.flush()
            assert session.get_bind(Product) is uow.get_engine("archive")
        with shop.app_context():
            assert rows(uow, outside, "archive", "product") == 1
            assert rows(uow, outside, "archive", "click") == 1
            assert rows(uow, outside, "statistics", "visit") == 1

    def test_reach_all_classes_under_a_base(self, make_shop: MakeShop) -> None:
        shop, uow = make_shop(UNITOFWORK_SESSION_OPTIONS={"binds": {Base: "archive", Order: "default"}})
        with shop.app_context():
            assert uow.session.get_bind(Product) is uow.get_engine("archive")
            assert uow.session.get_bind(Visit) is uow.get_engine("archive")
            assert uow.session.get_bind(Order) is uow.engine

    def test_are_committed_by_a_request_that_succeeds_and_rolled_back_by_one_that_fails(
        self, make_each_shop: MakeShop, outside: Outside
    ) -> None:
        shop, uow = make_each_shop(UNITOFWORK_SESSION_OPTIONS={"binds": {Product: "archive"}})
        shop.config["PROPAGATE_EXCEPTIONS"] = False

        @shop.post("/look/<int:fails>")
        def look(fails: int) -> str:
            uow.session.add_all([Product(name="tea"), Visit(path="/")])
            uow.session.flush()
            return str(1 / (1 - fails))

        assert [shop.test_client().post(f"/look/{fails}").status_code for fails in (1, 0)] == [500, 200]
        with shop.app_context():
            assert rows(uow, outside, "archive", "product") == rows(uow, outside, "statistics", "visit") == 1

    def test_may_be_added_to_a_session(self, make_shop: MakeShop) -> None:
        shop, uow = make_shop()
        with shop.app_context():
            uow.session.bind_mapper(Product, uow.get_engine("archive"))
            uow.session.bind_table(click, uow.get_engine("archive"))
            assert uow.session.get_bind(Product) is uow.get_engine("archive")
            assert uow.session.get_bind(clause=select(click)) is uow.get_engine("archive")

    def test_that_name_no_database_are_an_error_at_init_app(self, urls: dict[str, str]) -> None:
        shop = Flask("shop")
        shop.config.update(UNITOFWORK_DATABASES=urls, UNITOFWORK_SESSION_OPTIONS={"binds": {Product: "stock"}})
        message = (
            r"UNITOFWORK_SESSION_OPTIONS\[\"binds\"\] has 'stock', which is no database: UNITOFWORK_DATABASES has"
            r" 'default', 'statistics', 'archive'. Write one of these names, or add it there."
        )
        with pytest.raises(ConfigurationError, match=message):
            UnitOfWork(shop)
        assert "unitofwork" not in shop.extensions

    def test_of_what_is_no_class_and_no_table_are_an_error_at_init_app(self, urls: dict[str, str]) -> None:
        shop = Flask("shop")
        shop.config.update(UNITOFWORK_DATABASES=urls, UNITOFWORK_SESSION_OPTIONS={"binds": {"product": "archive"}})
        with pytest.raises(ConfigurationError, match="Not an acceptable bind target: product") as caught:
            UnitOfWork(shop)
        assert isinstance(caught.value.__cause__, ArgumentError)


class TestBindKeys:
    def test_of_a_model_count_for_statements_that_name_its_table(
        self, make_each_shop: MakeShop, outside: Outside
    ) -> None:
        shop, uow = make_each_shop()
        visits = Base.metadata.tables["visit"]
        with uow.scope(shop) as session:
            session.execute(insert(visits), [{"path": "/"}, {"path": "/tea"}])
            session.execute(update(visits).where(visits.c.path == "/").values(path="/search"))
            assert session.scalars(select(visits.c.path).order_by(visits.c.path)).all() == ["/search", "/tea"]
        with shop.app_context():
            assert rows(uow, outside, "statistics", "visit") == 2
            assert rows(uow, outside, "default", "visit") == 0

    def test_of_what_is_written_decide_and_not_those_of_what_is_read(self, make_shop: MakeShop) -> None:
        shop, uow = make_shop()
        visits, products = Base.metadata.tables["visit"], Base.metadata.tables["product"]
        with shop.app_context():
            copy = insert(products).from_select(["name"], select(visits.c.path))
            assert uow.session.get_bind(clause=copy) is uow.engine
            back = insert(visits).from_select(["path"], select(products.c.name))
            assert uow.session.get_bind(clause=back) is uow.get_engine("statistics")

    def test_are_inherited_from_a_base_that_is_not_mapped_and_from_a_model(
        self, make_each_shop: MakeShop, outside: Outside
    ) -> None:
        shop, uow = make_each_shop()
        with uow.scope(shop) as session:
            session.add_all([Visit(path="/"), Search(path="/search", words="tea")])
        with shop.app_context():
            assert rows(uow, outside, "statistics", "visit") == 2
            assert rows(uow, outside, "default", "visit") == 0
            assert uow.session.scalars(select(Search.words).where(Search.words == "tea")).all() == ["tea"]

    def test_of_imperatively_mapped_classes_are_their_tables(self, make_shop: MakeShop, outside: Outside) -> None:
        class Click:
            target: str

        mappers = registry(metadata=MetaData())
        mappers.map_imperatively(Click, click)
        shop, uow = make_shop()
        with uow.scope(shop) as session:
            shown = Click()
            shown.target = "tea"
            session.add(shown)
        with shop.app_context():
            assert rows(uow, outside, "statistics", "click") == 1
        mappers.dispose()

    def test_route_updates_and_loaded_collections(self, make_each_shop: MakeShop) -> None:
        shop, uow = make_each_shop()
        with uow.scope(shop) as session:
            session.add_all([Visit(path="/"), Order(id=1, lines=[Line(), Line()])])
            session.flush()
            session.execute(update(Visit).values(path="/home"))
        with uow.scope(shop) as session:
            assert session.scalars(select(Visit.path)).all() == ["/home"]
            order = session.scalars(select(Order).options(joinedload(Order.lines))).unique().one()
            assert len(order.lines) == 2


class TestChoosers:
    def test_are_asked_in_turn_before_the_bind_key(self, make_each_shop: MakeShop, outside: Outside) -> None:
        def no_opinion(mapper: Mapper[Any] | None, clause: ClauseElement | None, /, *, writes: bool) -> str | None:
            return None

        def visits(mapper: Mapper[Any] | None, clause: ClauseElement | None, /, *, writes: bool) -> str | None:
            return "archive" if mapper is not None and mapper.class_ is Visit else None

        shop, uow = make_each_shop(UNITOFWORK_BIND_CHOOSERS=[no_opinion, visits])
        with uow.scope(shop) as session:
            session.add_all([Visit(path="/"), Product(name="tea")])
            session.execute(insert(click).values(target="tea"))
        with shop.app_context():
            assert rows(uow, outside, "archive", "visit") == 1
            assert rows(uow, outside, "default", "product") == 1
            assert rows(uow, outside, "statistics", "click") == 1

    @pytest.mark.parametrize(
        ("act", "told"),
        [
            (lambda session: [session.add(Product(name="tea")), session.flush()], ("Product", True)),
            (lambda session: session.scalars(select(Product)), ("Product", False)),
            (lambda session: session.get(Product, 1), ("Product", False)),
            (lambda session: session.scalars(select(Product).with_for_update()), ("Product", True)),
            (lambda session: session.execute(update(Product).values(name="coffee")), ("Product", True)),
            (lambda session: session.execute(select(click)), (None, False)),
            (lambda session: session.execute(text("SELECT 1")), (None, True)),
            (lambda session: session.connection(), (None, True)),
        ],
    )
    def test_are_told_what_may_write(
        self, make_shop: MakeShop, act: Callable[[Session], object], told: tuple[str | None, bool]
    ) -> None:
        asked: set[tuple[str | None, bool]] = set()

        def note(mapper: Mapper[Any] | None, clause: ClauseElement | None, /, *, writes: bool) -> str | None:
            asked.add((None if mapper is None else mapper.class_.__name__, writes))
            return None

        shop, uow = make_shop(UNITOFWORK_BIND_CHOOSERS=[note])
        with uow.scope(shop) as session:
            act(session)
        assert asked == {told}

    def test_give_way_to_binds_and_to_explicit_bind_arguments(self, make_shop: MakeShop) -> None:
        shop, uow = make_shop(
            UNITOFWORK_BIND_CHOOSERS=[lambda mapper, clause, writes: "archive"],
            UNITOFWORK_SESSION_OPTIONS={"binds": {Product: "statistics"}},
        )
        with shop.app_context():
            assert uow.session.get_bind(Product) is uow.get_engine("statistics")
            assert uow.session.get_bind(Visit) is uow.get_engine("archive")
            assert uow.session.get_bind(Visit, bind=uow.engine) is uow.engine

    def test_that_name_no_database_are_an_error_before_any_sql(self, make_shop: MakeShop) -> None:
        shop, uow = make_shop(UNITOFWORK_BIND_CHOOSERS=[lambda mapper, clause, writes: "stock"])
        with shop.app_context():
            sent = statements(uow)
            uow.session.add(Product(name="tea"))
            with pytest.raises(UnknownBindError, match=r"There is no database 'stock'; .* 'archive'\."):
                uow.session.flush()
            uow.session.rollback()
            with pytest.raises(UnknownBindError, match="There is no database 'stock'"):
                uow.session.scalars(select(Product))
            assert sent == []

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("archive", "UNITOFWORK_BIND_CHOOSERS must be a list of callables; it is of type str."),
            (
                ["archive"],
                r"UNITOFWORK_BIND_CHOOSERS\[0\] must be a callable that returns a database's name, or None; .* type str\.",
            ),
        ],
    )
    def test_of_the_wrong_type_are_an_error_at_init_app(self, value: object, message: str) -> None:
        shop = Flask("shop")
        shop.config.update(UNITOFWORK_DATABASES="sqlite://", UNITOFWORK_BIND_CHOOSERS=value)
        with pytest.raises(ConfigurationError, match=message):
            UnitOfWork(shop)


def statements(uow: UnitOfWork) -> list[str]:
    """What is sent to any of the app's databases from now on."""
    sent: list[str] = []
    for engine in uow.engines.values():
        event.listen(engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
    return sent


class Nowhere(DeclarativeBase):
    pass


class Lost(Nowhere):
    __tablename__ = "lost"
    __bind_key__ = "stock"

    id: Mapped[int] = mapped_column(primary_key=True)


class TestBadInput:
    """SQLAlchemy's own errors where those say it all: untouched, and before any SQL."""

    def test_a_bind_key_that_nobody_configured(self, make_shop: MakeShop) -> None:
        shop, uow = make_shop()
        with shop.app_context():
            sent = statements(uow)
            uow.session.add(Lost())
            message = (
                "There is no database 'stock'; UNITOFWORK_DATABASES has 'default', 'statistics', 'archive'."
                """ Write one of these names, or add {'stock': "<its URL>"} to UNITOFWORK_DATABASES."""
            )
            with pytest.raises(UnknownBindError) as caught:
                uow.session.commit()
            assert str(caught.value) == message
            uow.session.rollback()
            assert sent == []

    def test_an_object_that_is_not_mapped(self, make_shop: MakeShop) -> None:
        shop, uow = make_shop()
        with shop.app_context():
            sent = statements(uow)
            for act in (uow.session.add, uow.session.delete, uow.session.merge, uow.session.refresh):
                with pytest.raises(UnmappedInstanceError, match=r"Class 'builtins.object' is not mapped"):
                    act(object())
            assert sent == []

    def test_an_object_of_another_session(self, make_shop: MakeShop) -> None:
        shop, uow = make_shop()
        with shop.app_context():
            product = Product(name="tea")
            uow.session.add(product)
            uow.session.flush()
            sent = statements(uow)
            with Session() as another:
                for act in (another.add, another.delete):
                    with pytest.raises(InvalidRequestError, match="is already attached to session"):
                        act(product)
                with pytest.raises(InvalidRequestError, match="is not persistent within this Session"):
                    another.refresh(product)
            assert sent == []
            uow.session.rollback()

    def test_a_second_object_with_the_same_identity(self, make_shop: MakeShop) -> None:
        shop, uow = make_shop()
        with uow.scope(shop) as session:
            session.add(Product(id=1, name="tea"))
        with uow.scope(shop) as session:
            detached = session.get_one(Product, 1)
        with shop.app_context():
            held = uow.session.get_one(Product, 1)
            sent = statements(uow)
            with pytest.raises(InvalidRequestError, match=r"another instance with key .* is already present"):
                uow.session.add(detached)
            assert sent == []
            assert uow.session.get(Product, 1) is held
            uow.session.rollback()

    def test_prepare_without_two_phases(self, make_shop: MakeShop) -> None:
        shop, uow = make_shop()
        with shop.app_context():
            sent = statements(uow)
            with pytest.raises(InvalidRequestError, match="'twophase' mode not enabled"):
                uow.session.prepare()
            uow.session.rollback()
            assert sent == []

    def test_an_option_that_no_session_has(self) -> None:
        shop = Flask("shop")
        shop.config.update(UNITOFWORK_DATABASES="sqlite://", UNITOFWORK_SESSION_OPTIONS={"expire_on_comit": False})
        with pytest.raises(ConfigurationError, match=r"UNITOFWORK_SESSION_OPTIONS: Session refuses .*expire_on_comit"):
            UnitOfWork(shop)

    def test_two_words_about_two_phases(self) -> None:
        shop = Flask("shop")
        shop.config.update(UNITOFWORK_DATABASES="sqlite://", UNITOFWORK_SESSION_OPTIONS={"twophase": True})
        with pytest.raises(ConfigurationError, match="Leave it out, and write UNITOFWORK_TWO_PHASE = True"):
            UnitOfWork(shop)
