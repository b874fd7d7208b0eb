"""What is told from one another: statements, values, databases, schemas; and that no value is in a key."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import JSON, String, TypeDecorator, bindparam, func, literal, select, text
from sqlalchemy import Enum as EnumType
from sqlalchemy.orm import lazyload, selectinload

from flask_unitofwork import CacheError
from flask_unitofwork.caching import FromCache
from flask_unitofwork.caching.structure import cache_key_of, structure_of
from flask_unitofwork.caching.values import as_bytes
from tests.caching.conftest import MakeShop
from tests.caching.shop import Customer, Order, Product, Shop, memory

PRODUCTS = select(Product.name).order_by(Product.id)


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class TestValues:
    def test_make_other_results(self, shop: Shop) -> None:
        def named(name: str) -> Any:
            return shop.names(select(Product.name).where(Product.name == name))

        for _ in range(2):
            assert named("tea") == ["tea"]
            assert named("coffee") == ["coffee"]

    def test_that_are_given_when_a_statement_is_executed_make_other_results(self, shop: Shop) -> None:
        statement = select(Product.name).where(Product.name == bindparam("name")).options(FromCache())

        def view() -> Any:
            session = shop.uow.session
            return [session.scalars(statement, {"name": name}).all() for name in ("tea", "coffee")]

        assert shop.request(view) == shop.request(view) == [["tea"], ["coffee"]]

    def test_in_lists_make_other_results(self, shop: Shop) -> None:
        for _ in range(2):
            for ids in ([1], [1, 2], [2, 1, 3]):
                assert len(shop.names(PRODUCTS.where(Product.id.in_(ids)))) == len(ids)

    def test_are_in_no_key_as_text(self, sqlite_url: str, make_shop: MakeShop) -> None:
        kept: dict[str, Any] = {}
        shop = make_shop(sqlite_url, region=memory(arguments={"cache_dict": kept}))
        shop.names(PRODUCTS.where(Product.name != "open sesame"))
        assert any("result" in key for key in kept)
        assert not [key for key in kept if "sesame" in key]

    def test_that_are_like_one_another_are_told_from_one_another(self) -> None:
        values: list[Any] = [
            None, "", 0, 0.0, False, "0", b"0", Decimal(0), "None", 1, 1.0, True, "1",
            [1], (1,), [[1]], ["1"], [1, 2], [12], ["a", "b"], ["ab"], ["a", "", "b"], [], [[]],
            dt.date(2026, 1, 1), dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.timedelta(1),  # noqa: DTZ001
            UUID(int=1), Size.SMALL, Size.LARGE, "s", {"a": 1}, {"a": "1"},
        ]  # fmt: skip
        assert len({as_bytes(value) for value in values}) == len(values)

    def test_that_are_the_same_are_the_same(self) -> None:
        one, another = (str(number) for number in (12345, 12345))
        assert one is not another
        assert as_bytes([one, one]) == as_bytes([one, another])
        assert as_bytes({"a": Decimal("1.50")}) == as_bytes({"a": Decimal("1.50")})

    def test_that_cannot_be_told_from_one_another_are_refused(self, sqlite_shop: Shop) -> None:
        value = literal(lambda: None, type_=String())
        with pytest.raises(CacheError, match="A value of this statement cannot be told from others of its type"):
            sqlite_shop.get(PRODUCTS.where(Product.name == value))


class TestStatements:
    def test_with_the_same_sql_and_other_options_are_told_from_one_another(self) -> None:
        plain, lazy = select(Product), select(Customer).options(lazyload(Customer.orders))
        assert str(lazy) == str(select(Customer))
        said = []
        for statement in (plain, lazy, select(Customer)):
            found = cache_key_of(statement)
            assert found is not None
            said.append(structure_of(statement, found[0]))
        assert len(set(said)) == 3

    def test_without_a_cache_key_are_refused(self, sqlite_shop: Shop) -> None:
        class Untold(TypeDecorator[str]):
            impl = String
            cache_ok = False

        with pytest.raises(
            CacheError, match="This statement cannot be told from others, so its result cannot be cached"
        ):
            sqlite_shop.get(PRODUCTS.where(Product.name == bindparam("name", "tea", type_=Untold())))

    def test_are_the_same_in_another_process(self) -> None:
        program = (
            "import hashlib\n"
            "from sqlalchemy import func, select\n"
            "from sqlalchemy.orm import aliased, selectinload\n"
            "from flask_unitofwork.caching.structure import cache_key_of, structure_of\n"
            "from tests.caching.shop import Customer, Order, Product\n"
            "from tests.caching.test_answers import STATEMENTS\n"
            "for name, (statement, _) in STATEMENTS.items():\n"
            "    key, _ = cache_key_of(statement)\n"
            "    print(name, hashlib.sha256(structure_of(statement, key)).hexdigest())\n"
        )
        root = Path(__file__).parents[2]
        said = {
            subprocess.run(
                [sys.executable, "-c", program], cwd=root, check=True, capture_output=True, text=True,
                env={"PYTHONPATH": str(root), "PYTHONHASHSEED": seed, "PATH": ""},
            ).stdout
            for seed in ("1", "2")
        }  # fmt: skip
        assert len(said) == 1
        assert "an entity" in said.pop()

    def test_may_be_told_from_one_another_by_a_key_of_the_user_s(self, shop: Shop) -> None:
        assert shop.asks(PRODUCTS, cache_key="summer")
        assert shop.asks(PRODUCTS, cache_key="winter")
        assert not shop.asks(PRODUCTS, cache_key="summer")

    @pytest.mark.parametrize(
        "statement",
        [
            select(Product.name).where(Product.id == 1),
            select(func.upper(Product.name)).where(Product.id == 1),
            select(Product.name.label("other")).where(Product.id == 1),
            select(Product.name).where(Product.id.is_distinct_from(1)),
            select(Product.name).where(Product.id >= 1),
            select(Product.name, Product.kind).where(Product.id == 1),
            select(Product.__table__.c.name).where(Product.id == 1).limit(1),
            select(literal({"a": 1}, JSON())).select_from(Product),
            select(literal(Size.SMALL, EnumType(Size))).select_from(Product),
        ],
        ids=str,
    )
    def test_that_differ_are_never_taken_for_one_another(self, sqlite_shop: Shop, statement: Any) -> None:
        def rows(one: Any) -> Any:
            return sqlite_shop.request(lambda: sqlite_shop.uow.session.scalars(one).all())

        for other in [
            select(Product.name).where(Product.id == 2),
            select(Product.kind).where(Product.id == 1),
            PRODUCTS,
        ]:
            rows(other.options(FromCache()))
        plain, cached = rows(statement), statement.options(FromCache())
        assert rows(cached) == rows(cached) == plain


class TestDatabases:
    def test_are_told_from_one_another(self, database_url: str, another_url: Any, make_shop: MakeShop) -> None:
        shop = make_shop({"default": database_url, "archive": another_url()})
        with shop.uow.scope(shop.app):
            Product.metadata.create_all(shop.uow.get_engine("archive"))
        with shop.uow.scope(shop.app) as session:
            session.execute(
                Product.__table__.insert().values(name="old tea", kind="plain", price=1),  # type: ignore[attr-defined]
                bind_arguments={"bind": shop.uow.get_engine("archive")},
            )

        def view() -> Any:
            statement = PRODUCTS.options(FromCache())
            session = shop.uow.session
            archive = {"bind": shop.uow.get_engine("archive")}
            here, there = session.scalars(statement).all(), session.scalars(statement, bind_arguments=archive).all()
            with shop.uow.transaction(bind="archive"):
                routed = session.scalars(statement).all()
            return here, there, routed

        for _ in range(2):
            assert shop.request(view) == (["tea", "coffee", "salt"], ["old tea"], ["old tea"])

    def test_that_a_function_chooses_are_told_from_one_another(
        self, sqlite_url: str, tmp_path: Path, make_shop: MakeShop
    ) -> None:
        tenant = ["default"]
        archive = f"sqlite:///{tmp_path}/archive.db"
        make_shop(archive).rename("old tea")
        shop = make_shop(
            {"default": sqlite_url, "archive": archive},
            UNITOFWORK_BIND_CHOOSERS=[lambda mapper, clause, writes: tenant[0]],
        )
        for _ in range(2):
            for name, first in (("default", "tea"), ("archive", "old tea")):
                tenant[0] = name
                assert shop.names()[0] == first

    def test_that_a_function_chooses_for_eager_loads_are_told_from_one_another(
        self, sqlite_url: str, tmp_path: Path, make_shop: MakeShop
    ) -> None:
        tenant = ["default"]
        archive = f"sqlite:///{tmp_path}/archive.db"
        with make_shop(archive).writing() as session:
            session.add(Order(customer_id=1))

        def choose(mapper: Any, clause: Any, *, writes: bool) -> str | None:
            return tenant[0] if mapper is not None and mapper.class_ is Order else None

        shop = make_shop({"default": sqlite_url, "archive": archive}, UNITOFWORK_BIND_CHOOSERS=[choose])
        statement = select(Customer).order_by(Customer.id).options(selectinload(Customer.orders))
        for _ in range(2):
            for name, orders in (("default", 1), ("archive", 2)):
                tenant[0] = name
                assert len(shop.get(statement)[0].orders) == orders

    def test_that_are_not_the_app_s_are_asked(self, sqlite_shop: Shop, tmp_path: Path, make_shop: MakeShop) -> None:
        other = make_shop(f"sqlite:///{tmp_path}/other.db")
        other.rename("rice")

        def view() -> Any:
            return sqlite_shop.uow.session.scalars(
                PRODUCTS.options(FromCache()), bind_arguments={"bind": other.engine()}
            ).all()

        sqlite_shop.names()
        assert sqlite_shop.request(view)[0] == "rice"
        other.rename("figs")
        assert sqlite_shop.request(view)[0] == "figs"


class TestSchemas:
    @pytest.fixture
    def shop(self, postgresql_url: str, make_shop: MakeShop) -> Shop:
        shop = make_shop(postgresql_url)
        with shop.writing() as session:
            session.execute(text("CREATE SCHEMA other"))
            session.execute(text("CREATE TABLE other.products AS SELECT * FROM products WHERE id = 1"))
        return shop

    def seen_in(self, shop: Shop, schema: str | None) -> Any:
        def view() -> Any:
            options = {"schema_translate_map": {None: schema}}
            return shop.uow.session.scalars(PRODUCTS.options(FromCache()), execution_options=options).all()

        return shop.request(view)

    def test_are_told_from_one_another(self, shop: Shop) -> None:
        for _ in range(2):
            assert self.seen_in(shop, None) == ["tea", "coffee", "salt"]
            assert self.seen_in(shop, "other") == ["tea"]

    def test_have_tables_that_are_written(self, shop: Shop) -> None:
        self.seen_in(shop, "other")
        with shop.writing() as session:
            session.execute(
                Product.__table__.update().values(name="green tea"),  # type: ignore[attr-defined]
                execution_options={"schema_translate_map": {None: "other"}},
            )
        assert self.seen_in(shop, "other") == ["green tea"]

    def test_of_a_connection_are_told_from_one_another(self, shop: Shop) -> None:
        shop.names()
        with shop.uow.scope(shop.app) as session:
            session.connection(execution_options={"schema_translate_map": {None: "other"}})
            assert session.scalars(PRODUCTS.options(FromCache())).all() == ["tea"]
        assert shop.names() == ["tea", "coffee", "salt"]
