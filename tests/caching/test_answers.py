"""What is answered from a cache, and what a session gets then."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from sqlalchemy import exists, func, inspect, select, union
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import aliased, joinedload, selectin_polymorphic, selectinload, subqueryload, with_polymorphic

from flask_unitofwork.caching import FromCache
from tests.caching.conftest import MakeShop
from tests.caching.shop import Counted, Customer, Line, Order, Product, Shop, Special, memory

other = aliased(Product)
cheap = select(Product.id).where(Product.price < 500).cte("cheap")
some = select(Line.product_id).where(Line.quantity > 0).subquery()

# Statements, and the tables that each of them reads.
STATEMENTS: dict[str, tuple[Any, set[str]]] = {
    "an entity": (select(Customer), {"customers"}),
    "a column": (select(Customer.name), {"customers"}),
    "a function": (select(func.count()).select_from(Customer), {"customers"}),
    "a table without the ORM": (select(Customer.__table__.c.name), {"customers"}),
    "a union": (union(select(Customer.name), select(Product.name)), {"customers", "products"}),
    "an alias": (select(other.name), {"products"}),
    "a join": (select(Order.id).join(Order.customer), {"customers", "orders"}),
    "a CTE": (select(cheap.c.id), {"products"}),
    "a subquery in FROM": (select(some.c.product_id), {"order_lines"}),
    "a subquery in WHERE": (
        select(Customer.name).where(Customer.id.in_(select(Order.customer_id))),
        {"customers", "orders"},
    ),
    "EXISTS": (select(Customer.name).where(exists().where(Order.customer_id == Customer.id)), {"customers", "orders"}),
    "from_statement": (select(Customer).from_statement(select(Customer).order_by(Customer.id)), {"customers"}),
    "joinedload": (select(Customer).options(joinedload(Customer.orders)), {"customers", "orders"}),
    "selectinload": (
        select(Customer).options(selectinload(Customer.orders).selectinload(Order.lines)),
        {"customers", "order_lines", "orders"},
    ),
    "subqueryload": (select(Customer).options(subqueryload(Customer.orders)), {"customers", "orders"}),
    "a joined subclass": (select(Special), {"products", "specials"}),
    "with_polymorphic": (select(with_polymorphic(Product, [Special])), {"products", "specials"}),
    "selectin_polymorphic": (
        select(Product).options(selectin_polymorphic(Product, [Special])),
        {"products", "specials"},
    ),
    "a column_property": (select(Counted), {"customers", "orders"}),
}

WRITES: dict[str, Any] = {
    "customers": lambda: Customer(name="Cleo"),
    "orders": lambda: Order(customer_id=1),
    "order_lines": lambda: Line(order_id=1, product_id=1),
    "products": lambda: Product(name="rice"),
    "specials": lambda: Special(name="figs", reason="new"),
}


@pytest.mark.parametrize(("statement", "tables"), STATEMENTS.values(), ids=STATEMENTS)
class TestAStatement:
    def test_is_answered_without_the_database(self, shop: Shop, statement: Any, tables: set[str]) -> None:
        first = [str(row) for row in plain(shop.get(statement))]
        shop.get(statement)  # from_statement() changes the statement that it is given when it is first executed
        shop.forget()
        assert [str(row) for row in plain(shop.get(statement))] == first
        assert shop.sent == []
        assert first

    def test_is_asked_again_when_one_of_its_tables_was_written_and_only_then(
        self, sqlite_shop: Shop, statement: Any, tables: set[str]
    ) -> None:
        shop = sqlite_shop
        for table, make in WRITES.items():
            shop.get(statement)
            shop.get(statement)
            assert not shop.asks(statement)
            with shop.writing() as session:
                session.add(make())
            written = {"products", "specials"} if table == "specials" else {table}
            assert shop.asks(statement) is bool(written & tables), table


def plain(rows: Any) -> list[Any]:
    """Names in the place of objects."""
    return [getattr(row, "name", row) for row in rows]


class TestASession:
    def test_gets_objects_of_its_own_as_merge_gives_them(self, shop: Shop) -> None:
        def view() -> tuple[Any, ...]:
            session = shop.uow.session
            tea = session.scalars(select(Product).where(Product.id == 1).options(FromCache())).one()
            again = session.get(Product, 1)
            return tea, tea is again, inspect(tea).persistent, tea in session.dirty, tea.name

        first, *seen = shop.request(view)
        shop.forget()
        second, *seen_again = shop.request(view)
        assert seen == seen_again == [True, True, False, "tea"]
        assert first is not second
        assert shop.sent == []

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_is_answered_in_each_mode(self, shop: Shop, method: str) -> None:
        shop.names()
        shop.forget()

        def view() -> Any:
            names = shop.uow.session.scalars(select(Product.name).order_by(Product.id).options(FromCache())).all()
            return names, shop.engine().pool.checkedout()  # type: ignore[attr-defined]

        assert shop.request(view, method) == (["tea", "coffee", "salt"], 0)
        assert shop.sent == []

    def test_fills_the_cache_in_each_mode(self, shop: Shop) -> None:
        def view() -> Any:
            return shop.uow.session.scalars(select(Product.name).order_by(Product.id).options(FromCache())).all()

        shop.request(view, "POST")
        shop.forget()
        assert shop.names() == ["tea", "coffee", "salt"]
        assert shop.sent == []

    def test_that_changes_an_object_changes_nobody_else_s(self, shop: Shop) -> None:
        statement = select(Product).where(Product.id == 1)
        with shop.writing() as session:
            for _ in range(2):  # what was loaded, and what was kept
                tea = session.scalars(statement.options(FromCache())).one()
                tea.price = 1
                assert shop.get(statement)[0].price == 100
                session.rollback()

    def test_keeps_what_it_has_loaded_before_out_of_the_cache(self, shop: Shop) -> None:
        """Its objects are older than the statement, and know more than the statement asks for."""
        statement = select(Customer).order_by(Customer.id)
        with shop.uow.scope(shop.app, reads="autocommit") as session:
            ann = session.scalars(statement.options(selectinload(Customer.orders))).all()[0]
            assert [order.id for order in ann.orders] == [1]
            with shop.writing() as another:
                another.get_one(Customer, 1).name = "Anna"
                another.add(Order(customer_id=1))
            session.scalars(statement.options(FromCache())).all()
        anna = shop.get(statement)[0]
        assert anna.name == "Anna"
        assert "orders" in inspect(anna).unloaded

    def test_that_gets_objects_by_their_key_is_answered(self, shop: Shop) -> None:
        def view() -> str:
            return shop.uow.session.get_one(Product, 1, options=[FromCache()]).name

        assert shop.request(view) == "tea"
        shop.forget()
        assert shop.request(view) == "tea"
        assert shop.sent == []
        shop.rename()
        assert shop.request(view) == "green tea"

    def test_gets_each_kind_of_result(self, shop: Shop) -> None:
        statement = select(Product.id, Product.name).order_by(Product.id).options(FromCache())

        def view() -> Any:
            session = shop.uow.session
            return (
                session.execute(statement).all(),
                session.execute(statement).mappings().first(),
                session.scalar(statement),
                session.scalars(statement).all(),
                session.execute(statement).columns("name").all(),
                [row[Product.name] for row in session.execute(statement).mappings()],
            )

        first = shop.request(view)
        shop.forget()
        assert shop.request(view) == first
        assert shop.sent == []
        assert first[2:4] == (1, [1, 2, 3])

    def test_must_not_forget_unique_where_the_cache_is_empty_or_not(self, shop: Shop) -> None:
        statement = select(Customer).options(joinedload(Customer.orders), FromCache()).order_by(Customer.id)
        with shop.writing() as session:
            session.add(Order(customer_id=1))

        def view() -> Any:
            return [customer.name for customer in shop.uow.session.scalars(statement).unique()]

        assert shop.request(view) == shop.request(view) == ["Ann", "Bob"]

    def test_without_the_option_is_never_answered(self, shop: Shop) -> None:
        shop.names()

        def view() -> Any:
            with pytest.raises(InvalidRequestError):
                shop.uow.session.scalars(select(Customer).options(joinedload(Customer.orders))).all()
            return shop.uow.session.scalars(select(Product.name).order_by(Product.id)).all()

        shop.forget()
        assert shop.request(view) == ["tea", "coffee", "salt"]
        assert len(shop.sent) == 2

    def test_that_wants_what_the_database_has_now_gets_it(self, sqlite_shop: Shop) -> None:
        statement = select(Product).order_by(Product.id)
        sqlite_shop.get(statement)
        assert sqlite_shop.asks(statement.execution_options(populate_existing=True))

    def test_refreshes_an_object_from_the_database(self, sqlite_shop: Shop) -> None:
        def view() -> Any:
            tea = sqlite_shop.uow.session.get_one(Product, 1, options=[FromCache()])
            sqlite_shop.uow.session.refresh(tea)

        sqlite_shop.request(view)
        sqlite_shop.forget()
        sqlite_shop.request(view)
        assert len(sqlite_shop.sent) == 1

    def test_may_be_given_nothing(self, shop: Shop) -> None:
        statement = select(Product).where(Product.id == -1)
        assert shop.get(statement) == []
        assert not shop.asks(statement)
        with shop.writing() as session:
            session.add(Product(id=-1, name="debt"))
        assert shop.names(statement) == ["debt"]


class TestHowOld:
    """Regions have the clock of the process; what is older than nothing at all needs no clock to be too old."""

    def test_a_result_may_be_the_region_says(self, sqlite_url: str, make_shop: MakeShop) -> None:
        shop = make_shop(sqlite_url, region=memory(expiration_time=1e-9))
        shop.names()
        assert shop.asks(select(Product.name).order_by(Product.id))

    def test_a_result_may_be_the_statement_says(self, sqlite_shop: Shop) -> None:
        statement = select(Product.name)
        assert sqlite_shop.asks(statement, expiration_time=1e-9)
        assert sqlite_shop.asks(statement, expiration_time=1e-9)
        assert not sqlite_shop.asks(statement, expiration_time=3600)

    def test_a_result_may_be_of_any_age_until_it_is_stale(self, sqlite_url: str, make_shop: MakeShop) -> None:
        shop = make_shop(sqlite_url, region=memory(expiration_time=1e-9))
        statement = select(Product.name)
        shop.get(statement)
        assert not shop.asks(statement, ignore_expiration=True)
        shop.rename()
        assert shop.asks(statement, ignore_expiration=True)

    def test_a_region_that_is_invalidated_as_a_whole_answers_nothing(self, sqlite_shop: Shop) -> None:
        sqlite_shop.names()
        region: Any = sqlite_shop.region
        region.invalidate()
        assert sqlite_shop.asks(select(Product.name).order_by(Product.id))


def test_a_cache_keeps_one_result_for_a_statement_and_its_values_however_often_it_is_stale(sqlite_url: str) -> None:
    kept: dict[str, Any] = {}
    shop = Shop(sqlite_url, region=memory(arguments={"cache_dict": kept}))
    shop.names()
    before = len(kept)
    for number in range(3):
        shop.rename(f"tea {number}")
        shop.names()
    assert len(kept) == before
    shop.close()


def test_no_session_is_kept_alive_by_the_cache(sqlite_shop: Shop) -> None:
    with sqlite_shop.uow.scope(sqlite_shop.app) as session:
        session.scalars(select(Product).options(FromCache())).all()
        gc.collect()
        assert list(session.identity_map.values()) == []
