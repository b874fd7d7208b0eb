"""What cannot be cached is an error that says so; a cache that is not there is none, once an app has one."""

from __future__ import annotations

import builtins
import logging
from typing import Any

import pytest
from dogpile.cache import make_region
from flask import Flask
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, literal_column, orm, select, table, text
from sqlalchemy import column as column_clause
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column

from flask_unitofwork import CacheError, ConfigurationError, Session, UnitOfWork
from flask_unitofwork.caching import FromCache
from tests.caching.conftest import MakeShop
from tests.caching.pausing import Between, region_with
from tests.caching.shop import Customer, Product, Shop, memory

PRODUCTS = select(Product.name).order_by(Product.id)


class TestText:
    @pytest.mark.parametrize(
        "statement",
        [
            select(Product).from_statement(text("SELECT * FROM products")),
            text("SELECT name FROM products").columns(column_clause("name", String)),
            select(Product.name).where(text("id IN (SELECT product_id FROM order_lines)")),
            select(literal_column("(SELECT count(*) FROM orders)")).select_from(Product),
            select(text("name from products")),
        ],
        ids=str,
    )
    def test_may_read_any_table_so_it_must_say_which(self, shop: Shop, statement: Any) -> None:
        with pytest.raises(CacheError, match="Nobody can tell which tables this statement reads") as caught:
            shop.get(statement)
        assert str(caught.value).endswith("Name all of them: FromCache('default', tables=[Product]).")
        assert shop.sent == []
        tables = [Product, "order_lines", "orders"]
        assert shop.asks(statement, tables=tables)
        assert not shop.asks(statement, tables=tables)
        shop.rename()
        assert shop.asks(statement, tables=tables)

    @pytest.mark.parametrize("part", [text("price > 3"), literal_column("price") > 3])
    def test_that_is_no_query_reads_no_table(self, sqlite_shop: Shop, part: Any) -> None:
        statement = PRODUCTS.where(part)
        sqlite_shop.get(statement)
        assert not sqlite_shop.asks(statement)

    def test_in_a_mapping_is_found_when_it_is_executed(self, sqlite_shop: Shop) -> None:
        class Base(DeclarativeBase):
            pass

        class Busy(Base):
            __tablename__ = "customers"
            id: Mapped[int] = mapped_column(primary_key=True)
            orders = column_property(literal_column("(SELECT count(*) FROM orders)", Integer))

        with pytest.raises(CacheError, match="Nobody can tell which tables"):
            sqlite_shop.get(select(Busy))

    def test_names_the_tables_of_a_view(self, shop: Shop) -> None:
        with shop.writing() as session:
            session.execute(text("CREATE VIEW cheap AS SELECT id, name FROM products WHERE price < 500"))
        cheap = Table("cheap", MetaData(), Column("id", Integer), Column("name", String(50)))
        statement = select(cheap.c.name).order_by(cheap.c.id)
        try:
            assert shop.names(statement, tables=[Product]) == ["tea", "coffee", "salt"]
            shop.rename()
            assert shop.names(statement, tables=[Product])[0] == "green tea"
        finally:
            with shop.writing() as session:
                session.execute(text("DROP VIEW cheap"))

    def test_is_no_select(self, sqlite_shop: Shop) -> None:
        with pytest.raises(CacheError, match="FromCache is for a SELECT"):
            sqlite_shop.get(text("SELECT name FROM products"))


class TestAStatement:
    def test_that_reads_no_table_would_be_kept_for_ever(self, sqlite_shop: Shop) -> None:
        with pytest.raises(CacheError, match="This statement reads no table"):
            sqlite_shop.get(select(func.current_timestamp()))

    def test_may_read_a_table_that_is_only_a_name(self, shop: Shop) -> None:
        products = table("products", column_clause("name"), column_clause("id"))
        statement = select(products.c.name).order_by(products.c.id)
        assert shop.names(statement)[0] == "tea"
        shop.rename()
        assert shop.names(statement)[0] == "green tea"

    def test_that_locks_is_refused(self, sqlite_shop: Shop) -> None:
        locks = select(Product).with_for_update()
        for statement in (locks, select(Product).from_statement(locks)):
            with pytest.raises(CacheError, match=r"with_for_update\(\) locks rows in the database"):
                sqlite_shop.get(statement)

    @pytest.mark.parametrize("option", ["yield_per", "stream_results"])
    def test_that_is_streamed_is_refused(self, sqlite_shop: Shop, option: str) -> None:
        with pytest.raises(CacheError, match="A result that is streamed is never there as a whole"):
            sqlite_shop.get(select(Product).execution_options(**{option: 2}))

    def test_that_writes_is_refused(self, sqlite_shop: Shop) -> None:
        statement: Any = insert(Product).values(name="rice").returning(Product.id)
        with pytest.raises(CacheError, match="FromCache is for a SELECT"):
            sqlite_shop.get(statement)
        assert sqlite_shop.names() == ["tea", "coffee", "salt"]

    def test_whose_objects_cannot_be_pickled_is_refused(self, sqlite_shop: Shop) -> None:
        class Base(DeclarativeBase):
            pass

        class Local(Base):
            __tablename__ = "customers"
            id: Mapped[int] = mapped_column(primary_key=True)

        with pytest.raises(CacheError, match="Mapped classes must be found in their module by their name"):
            sqlite_shop.get(select(Local))
        assert sqlite_shop.get(select(Local.id)) == [1, 2]


class TestFromCache:
    def test_names_a_region_that_is_there(self, sqlite_shop: Shop) -> None:
        with pytest.raises(CacheError) as caught:
            sqlite_shop.get(PRODUCTS, region="fast")
        assert str(caught.value) == (
            "There is no cache region 'fast'; UNITOFWORK_CACHE_REGIONS has 'default'. Write one of these names, or add it"
            " there."
        )

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"region": None}, "A region is named by a str"),
            ({"expiration_time": 0}, "expiration_time must be a number of seconds above 0"),
            ({"expiration_time": -1}, "expiration_time must be a number of seconds above 0"),
            ({"tables": "products"}, r'tables must be a list, such as tables=\["products"\]'),
            ({"tables": [Product.name]}, "Tables are named by a mapped class"),
        ],
    )
    def test_looks_at_its_arguments(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(CacheError, match=message):
            FromCache(**arguments)


class TestAnAppWithoutACache:
    def test_refuses_what_asks_for_one(self, sqlite_url: str, make_shop: MakeShop) -> None:
        shop = make_shop(sqlite_url, UNITOFWORK_CACHE_REGIONS={})
        with pytest.raises(CacheError, match=r'Write app\.config\["UNITOFWORK_CACHE_REGIONS"\]'):
            shop.names()

    def test_is_no_app_at_all(self, sqlite_shop: Shop) -> None:
        with Session(sqlite_shop.engine()) as session, pytest.raises(CacheError, match="its session has no cache"):
            session.scalars(PRODUCTS.options(FromCache()))
        with orm.Session(sqlite_shop.engine()) as session:  # is none of ours
            assert len(session.scalars(PRODUCTS.options(FromCache())).all()) == 3

    def test_does_without_dogpile(self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        really = builtins.__import__

        def without(name: str, *args: Any, **kwargs: Any) -> Any:
            if name.startswith("dogpile") or name == "caching.cache":
                raise ModuleNotFoundError(name)
            return really(name, *args, **kwargs)

        region = memory()
        app = Flask("shop")
        app.config["UNITOFWORK_DATABASES"] = sqlite_url
        monkeypatch.setattr(builtins, "__import__", without)
        UnitOfWork(app)
        other = Flask("other")
        other.config.update(UNITOFWORK_DATABASES=sqlite_url, UNITOFWORK_CACHE_REGIONS={"default": region})
        with pytest.raises(ConfigurationError, match=r'pip install "flask-unitofwork\[cache\]"'):
            UnitOfWork(other)


class TestRegions:
    @pytest.mark.parametrize(
        ("regions", "message"),
        [
            (["default"], "UNITOFWORK_CACHE_REGIONS must be a dict of regions of dogpile.cache by name"),
            ({1: memory()}, "UNITOFWORK_CACHE_REGIONS must be a dict of regions of dogpile.cache by name"),
            (
                {"default": "memory"},
                r'UNITOFWORK_CACHE_REGIONS\["default"\] must be a region of dogpile.cache; it is of type',
            ),
            ({"default": make_region()}, r'UNITOFWORK_CACHE_REGIONS\["default"\] has no backend'),
        ],
    )
    def test_are_looked_at_when_the_app_is_made(
        self, sqlite_url: str, make_shop: MakeShop, regions: Any, message: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=message):
            make_shop(sqlite_url, UNITOFWORK_CACHE_REGIONS=regions)

    @pytest.mark.parametrize("namespace", ["", 7])
    def test_have_a_namespace_that_is_a_name(self, sqlite_url: str, make_shop: MakeShop, namespace: Any) -> None:
        with pytest.raises(ConfigurationError, match="UNITOFWORK_CACHE_NAMESPACE must be a name"):
            make_shop(sqlite_url, UNITOFWORK_CACHE_NAMESPACE=namespace)

    def test_may_keep_nothing(self, sqlite_url: str, make_shop: MakeShop) -> None:
        shop = make_shop(sqlite_url, region=make_region().configure("dogpile.cache.null"))
        assert shop.names() == ["tea", "coffee", "salt"]
        assert shop.asks(PRODUCTS)
        shop.rename()
        assert shop.names()[0] == "green tea"

    def test_may_be_several_of_which_all_are_told(self, sqlite_url: str, make_shop: MakeShop) -> None:
        shop = make_shop(sqlite_url, UNITOFWORK_CACHE_REGIONS={"default": memory(), "slow": memory()})
        shop.names()
        shop.names(region="slow")
        assert not shop.asks(PRODUCTS, region="slow")
        shop.rename()
        assert shop.names() == shop.names(region="slow") == ["green tea", "coffee", "salt"]

    def test_may_be_in_a_file(self, sqlite_url: str, make_shop: MakeShop, tmp_path: Any) -> None:
        region = make_region().configure("dogpile.cache.dbm", arguments={"filename": str(tmp_path / "cache")})
        shop = make_shop(sqlite_url, region=region)
        shop.names()
        assert not shop.asks(PRODUCTS)
        shop.rename()
        assert shop.names()[0] == "green tea"

    def test_that_have_what_nobody_can_read_any_more_are_filled_anew(
        self, sqlite_url: str, make_shop: MakeShop
    ) -> None:
        kept: dict[str, Any] = {}
        shop = make_shop(sqlite_url, region=memory(arguments={"cache_dict": kept}))
        shop.names()
        for key, value in kept.items():
            if "result" in key:
                kept[key] = value._replace(payload=(value.payload[0], b"from an older version"))
        assert shop.names() == ["tea", "coffee", "salt"]
        assert not shop.asks(PRODUCTS)


class TestARegionThatFails:
    @pytest.fixture
    def between(self) -> Between:
        return Between()

    @pytest.fixture
    def shop(self, sqlite_url: str, make_shop: MakeShop, between: Between) -> Shop:
        return make_shop(sqlite_url, region=region_with(between))

    @pytest.mark.parametrize("what", ["before_set", "after_get"])
    def test_costs_a_query_and_no_answer(
        self, shop: Shop, between: Between, what: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        shop.names()
        shop.rename()

        def fail(_keys: object) -> None:
            raise ConnectionError("the cache has gone")

        setattr(between, what, fail)
        assert shop.names()[0] == "green tea"
        assert "A cache region cannot be used, so the database is asked." in caplog.text
        assert "the cache has gone" in caplog.text

    def test_is_told_of_a_commit_in_vain_and_the_commit_stands(
        self, shop: Shop, between: Between, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(_keys: object) -> None:
            raise ConnectionError("the cache has gone")

        between.before_set = fail
        shop.rename()
        between.before_set = None
        (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
        assert record.getMessage() == (
            "The region 'default' could not be told that these tables were written: products. What it has of them is stale,"
            " and will be taken for valid until it expires."
        )
        with shop.uow.scope(shop.app) as session:
            assert session.get_one(Product, 1).name == "green tea"


def test_a_version_that_the_session_does_not_have_is_left_to_the_database(sqlite_shop: Shop) -> None:
    statement = select(Customer).order_by(Customer.id).options(FromCache())
    mapper = Customer.__mapper__
    mapper.version_id_col = mapper.columns["name"]
    try:
        with sqlite_shop.uow.scope(sqlite_shop.app, reads="autocommit") as session:
            ann = session.scalars(statement).all()[0]
            with sqlite_shop.app.app_context(), sqlite_shop.engine().begin() as connection:
                connection.execute(text("UPDATE customers SET name = 'Anna' WHERE id = 1"))
            sqlite_shop.app.extensions["unitofwork"].invalidate_tables(Customer)
            sqlite_shop.get(select(Customer).order_by(Customer.id))
            assert session.scalars(statement).all()[0] is ann
    finally:
        mapper.version_id_col = None
