"""Lazy loads from the cache, and what becomes of loader options."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from sqlalchemy import event, inspect, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import ORMExecuteState, aliased, defer, raiseload, selectinload, with_loader_criteria

from flask_unitofwork import CacheError
from flask_unitofwork.caching import FromCache, RelationshipCache
from flask_unitofwork.caching.pickling import propagated_options
from tests.caching.conftest import MakeShop
from tests.caching.shop import Customer, Line, Order, Product, Shop

CUSTOMERS = select(Customer).order_by(Customer.id)


class TestRelationshipCache:
    def test_answers_lazy_loads_of_collections(self, shop: Shop) -> None:
        statement = CUSTOMERS.options(RelationshipCache(Customer.orders))

        def view() -> Any:
            return [[order.id for order in customer.orders] for customer in shop.uow.session.scalars(statement)]

        assert shop.request(view) == [[1], []]
        shop.forget()
        assert shop.request(view) == [[1], []]
        assert [one for one in shop.sent if "orders" in one] == []
        with shop.writing() as session:
            session.add(Order(customer_id=2))
        assert shop.request(view) == [[1], [2]]

    def test_answers_lazy_loads_of_one_object(self, shop: Shop) -> None:
        statement = select(Order).options(RelationshipCache(Order.customer, "default"))

        def view() -> Any:
            return shop.uow.session.scalars(statement).one().customer.name

        assert shop.request(view) == "Ann"
        shop.forget()
        assert shop.request(view) == "Ann"
        assert [one for one in shop.sent if "customers" in one] == []
        with shop.writing() as session:
            session.get_one(Customer, 1).name = "Anna"
        assert shop.request(view) == "Anna"

    def test_goes_with_objects_that_are_from_the_cache(self, shop: Shop) -> None:
        statement = select(Order).options(
            FromCache(),
            RelationshipCache(Order.customer),
            RelationshipCache(Order.lines),
            RelationshipCache(Line.product),
        )

        def view() -> Any:
            order = shop.uow.session.scalars(statement).one()
            return order.customer.name, [line.product.name for line in order.lines]

        assert shop.request(view) == ("Ann", ["tea"])
        shop.forget()
        assert shop.request(view) == ("Ann", ["tea"])
        assert shop.sent == []
        shop.rename()
        assert shop.request(view) == ("Ann", ["green tea"])

    def test_leaves_other_relationships_to_the_database(self, sqlite_shop: Shop) -> None:
        statement = select(Order).options(RelationshipCache(Order.customer))

        def view() -> Any:
            return len(sqlite_shop.uow.session.scalars(statement).one().lines)

        sqlite_shop.request(view)
        sqlite_shop.forget()
        assert sqlite_shop.request(view) == 1
        assert len(sqlite_shop.sent) == 2

    def test_leaves_eager_loads_alone(self, sqlite_shop: Shop) -> None:
        statement = CUSTOMERS.options(selectinload(Customer.orders), RelationshipCache(Customer.orders))

        def view() -> Any:
            return [len(customer.orders) for customer in sqlite_shop.uow.session.scalars(statement)]

        for _ in range(2):
            sqlite_shop.forget()
            assert sqlite_shop.request(view) == [1, 0]
            assert len(sqlite_shop.sent) == 2

    @pytest.mark.parametrize("attribute", [Order.id, Order, "customer", None])
    def test_is_about_a_relationship(self, attribute: Any) -> None:
        with pytest.raises(CacheError, match="RelationshipCache is about a relationship"):
            RelationshipCache(attribute)


class TestLoaderOptions:
    def test_are_those_of_the_statement_that_is_answered(self, shop: Shop) -> None:
        statement = CUSTOMERS.options(raiseload(Customer.orders), FromCache())

        def view() -> None:
            ann = shop.uow.session.scalars(statement).all()[0]
            with pytest.raises(InvalidRequestError, match="raise"):
                _ = ann.orders

        shop.request(view)
        shop.request(view)

    def test_make_another_result(self, shop: Shop) -> None:
        def unloaded(*options: Any) -> set[str]:
            return set(inspect(shop.get(CUSTOMERS.options(*options))[0]).unloaded)

        for _ in range(2):
            assert unloaded() == {"orders"}
            assert unloaded(selectinload(Customer.orders)) == set()
            assert unloaded(defer(Customer.name)) == {"name", "orders"}

    def test_of_lazy_loads_apply_to_objects_from_the_cache(self, shop: Shop) -> None:
        """A lambda cannot be pickled."""
        least = 2
        statement = CUSTOMERS.options(with_loader_criteria(Order, lambda order: order.id >= least), FromCache())
        with shop.writing() as session:
            session.add(Order(customer_id=1))

        def view() -> Any:
            return [order.id for order in shop.uow.session.scalars(statement).all()[0].orders]

        assert shop.request(view) == shop.request(view) == [2]

    def test_are_found_in_a_statement(self) -> None:
        here, elsewhere = RelationshipCache(Order.customer), FromCache()
        assert propagated_options(select(Order).options(here, elsewhere)) == (here,)


tenant: ContextVar[str] = ContextVar("tenant")


class TestListenersThatChangeStatements:
    """Such as those that show each tenant its own rows: they come first, whenever they were registered."""

    @pytest.fixture
    def tenants(self, shop: Shop) -> Iterator[Shop]:
        factory = shop.app.extensions["unitofwork.state"].sessions

        def only_own(state: ORMExecuteState) -> None:
            own = tenant.get(None)
            if state.is_select and own is not None and not state.is_column_load and not state.is_relationship_load:
                state.statement = state.statement.options(
                    with_loader_criteria(Customer, lambda customer: customer.name == own)
                )

        event.listen(factory, "do_orm_execute", only_own)
        yield shop
        event.remove(factory, "do_orm_execute", only_own)

    def test_make_another_result(self, tenants: Shop) -> None:
        def seen_by(name: str) -> Any:
            token = tenant.set(name)
            try:
                return tenants.names(CUSTOMERS), tenants.names(select(Customer.name))
            finally:
                tenant.reset(token)

        for _ in range(2):
            assert seen_by("Ann") == (["Ann"], ["Ann"])
            assert seen_by("Bob") == (["Bob"], ["Bob"])
            assert tenants.names(CUSTOMERS) == ["Ann", "Bob"]

    def test_of_one_session_keep_it_from_being_answered(self, sqlite_shop: Shop) -> None:
        """They come after the cache, which does not see what they make of the statement."""
        sqlite_shop.names(CUSTOMERS)

        def only_ann(state: ORMExecuteState) -> None:
            statement: Any = state.statement
            state.statement = statement.where(Customer.name == "Ann")

        with sqlite_shop.uow.scope(sqlite_shop.app) as session:
            event.listen(session, "do_orm_execute", only_ann)
            assert len(session.scalars(CUSTOMERS.options(FromCache())).all()) == 1
        assert sqlite_shop.names(CUSTOMERS) == ["Ann", "Bob"]


def test_what_is_said_last_counts(sqlite_shop: Shop) -> None:
    statement = select(Product.name).options(FromCache("nowhere"))
    assert sqlite_shop.names(statement) == ["tea", "coffee", "salt"]


def test_aliases_have_options_too(shop: Shop) -> None:
    other = aliased(Customer)
    for _ in range(2):
        ann = shop.get(select(other).options(selectinload(other.orders)).order_by(other.id))[0]
        assert [order.id for order in ann.orders] == [1]


def test_a_session_s_own_options_are_those_of_the_loads(sqlite_url: str, make_shop: MakeShop) -> None:
    shop = make_shop(sqlite_url, UNITOFWORK_SESSION_OPTIONS={"info": {"till": 1}, "strong_identity_map": 50})
    seen: list[Any] = []
    factory = shop.app.extensions["unitofwork.state"].sessions
    event.listen(factory, "do_orm_execute", lambda state: seen.append(state.session.info["till"]))
    with shop.uow.scope(shop.app) as session:
        session.info["till"] = 2
        session.scalars(select(Product).options(FromCache())).all()
    assert seen == [2, 2]
