"""A unit of work that has written a table neither reads nor keeps what is cached of it, until it is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from flask_unitofwork import Session
from flask_unitofwork.caching import FromCache, invalidates
from tests.caching.conftest import MakeShop
from tests.caching.shop import Customer, Product, Shop, elsewhere

PRODUCTS = select(Product.name).order_by(Product.id)
CUSTOMERS = select(Customer.name).order_by(Customer.id)


def names(session: Session, statement: Any = PRODUCTS) -> Any:
    return session.scalars(statement.options(FromCache())).all()


WRITES: dict[str, Callable[[Session], Any]] = {
    "an object that waits to be flushed": lambda session: session.add(Product(name="rice")),
    "insert()": lambda session: session.execute(insert(Product).values(name="rice")),
    "text()": lambda session: session.execute(
        text("INSERT INTO products (name, kind, price) VALUES ('rice', 'plain', 1)")
    ),
    "text() that says what it writes": lambda session: session.execute(
        text("INSERT INTO products (name, kind, price) VALUES ('rice', 'plain', 1)"),
        execution_options=invalidates(Product),
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("is_cached", [True, False])
def test_it_sees_what_it_has_written_and_others_do_not(
    shop: Shop, write: Callable[[Session], Any], is_cached: bool
) -> None:
    if is_cached:
        shop.names()
    with shop.writing() as session:
        write(session)
        assert names(session) == ["tea", "coffee", "salt", "rice"]
        assert names(session) == ["tea", "coffee", "salt", "rice"]
        if shop.engine().dialect.name != "sqlite" or is_cached:
            with elsewhere() as threads:
                assert threads.submit(shop.names).result(30) == ["tea", "coffee", "salt"]
        session.rollback()
    assert shop.names() == ["tea", "coffee", "salt"]


def test_it_is_answered_again_when_it_is_committed(shop: Shop) -> None:
    with shop.writing() as session:
        session.add(Product(name="rice"))
        session.commit()
        assert names(session)[-1] == "rice"
        shop.forget()
        assert names(session)[-1] == "rice"
        assert shop.sent == []


def test_it_is_answered_as_to_other_tables(shop: Shop) -> None:
    shop.get(CUSTOMERS)
    with shop.writing() as session:
        session.execute(update(Product).values(price=7))
        shop.forget()
        assert names(session, CUSTOMERS) == ["Ann", "Bob"]
        assert shop.sent == []


def test_it_does_not_know_what_text_has_written(shop: Shop) -> None:
    shop.get(CUSTOMERS)
    with shop.writing() as session:
        session.execute(text("UPDATE products SET price = 7"))
        shop.forget()
        assert names(session, CUSTOMERS) == ["Ann", "Bob"]
        assert len(shop.sent) == 1


def test_its_changed_objects_are_not_written_over_where_nothing_is_flushed(shop: Shop) -> None:
    shop.get(select(Product))
    with shop.writing() as session:
        tea = session.get_one(Product, 1)
        tea.name = "green tea"
        with session.no_autoflush:
            names(session, select(Product))
        assert tea.name == "green tea"
        assert tea in session.dirty


def test_one_around_it_is_answered_as_before(busy_url: str, make_shop: MakeShop) -> None:
    shop = make_shop(busy_url)
    shop.names()
    with shop.writing() as outer:
        with shop.uow.independent_transaction() as inner:
            inner.add(Product(name="rice"))
            inner.flush()
            assert names(outer) == ["tea", "coffee", "salt"]
        shop.names()
        assert names(outer)[-1] == "rice"


class TestALock:
    def test_asks_the_database_for_what_it_guards(self, postgresql_url: str, make_shop: MakeShop) -> None:
        shop = make_shop(postgresql_url)
        shop.names()
        with shop.writing() as session:
            session.get_one(Product, 1, with_for_update=True)
            shop.forget()
            names(session)
            assert len(shop.sent) == 1

    def test_of_the_transaction_s_settings_asks_the_database(self, postgresql_url: str, make_shop: MakeShop) -> None:
        shop = make_shop(postgresql_url)
        with shop.writing() as session:
            session.execute(text("CREATE SCHEMA other"))
            session.execute(text("CREATE TABLE other.products AS SELECT * FROM products WHERE id = 1"))
        shop.names()
        with shop.writing() as session:
            session.execute(text("SET LOCAL search_path = other"))
            assert names(session) == ["tea"]
        assert shop.names() == ["tea", "coffee", "salt"]


def test_a_session_on_somebody_else_s_connection_asks_the_database(shop: Shop) -> None:
    """Its commit is not the last word: that transaction may be rolled back."""
    shop.names()
    engine = shop.engine()
    with engine.connect() as connection, connection.begin() as transaction, shop.app.app_context():
        session = shop.uow.registry(bind=connection)
        session.add(Product(name="rice"))
        session.commit()
        assert names(session)[-1] == "rice"
        shop.uow.registry.remove()
        transaction.rollback()
    assert shop.names() == ["tea", "coffee", "salt"]
