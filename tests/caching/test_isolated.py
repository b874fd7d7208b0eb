"""Caches in tests that are rolled back: what a test has cached is its own, as its rows are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import Table, select, text

from flask_unitofwork.caching import FromCache
from flask_unitofwork.testing.isolation import isolated, isolated_again
from flask_unitofwork.testing.truncation import empty_tables, tables_to_empty
from tests.caching.shop import Product, Shop, elsewhere

PRODUCTS = select(Product.name).order_by(Product.id)


def test_a_test_sees_its_own_commits_and_leaves_nothing_in_the_cache(shop: Shop) -> None:
    shop.names()
    for name in ("green tea", "white tea"):
        with isolated(shop.app):
            assert shop.names()[0] == "tea"
            shop.rename(name)
            assert shop.names()[0] == name
            assert not shop.asks(PRODUCTS)
    assert not shop.asks(PRODUCTS)
    assert shop.names() == ["tea", "coffee", "salt"]


def test_a_test_finds_nothing_in_the_cache(shop: Shop) -> None:
    shop.names()
    with isolated(shop.app):
        assert shop.asks(PRODUCTS)


def test_a_part_of_a_test_leaves_nothing_in_the_cache(shop: Shop) -> None:
    with isolated(shop.app):
        shop.rename("green tea")
        shop.names()
        with isolated_again(shop.app):
            assert shop.names()[0] == "green tea"
            shop.rename("white tea")
            assert shop.names()[0] == "white tea"
        assert shop.names()[0] == "green tea"


def test_rollbacks_in_a_test_count_for_nothing(shop: Shop) -> None:
    with isolated(shop.app):
        shop.names()
        with shop.writing() as session:
            session.get_one(Product, 1).name = "green tea"
            session.flush()
            assert session.scalars(PRODUCTS.options(FromCache())).all()[0] == "green tea"
            session.rollback()
        assert not shop.asks(PRODUCTS)
        assert shop.names()[0] == "tea"


def test_threads_of_a_test_share_its_cache(shop: Shop) -> None:
    with isolated(shop.app):
        shop.rename("green tea")
        shop.names()
        with elsewhere() as threads:
            shop.forget()
            assert threads.submit(shop.names).result(30)[0] == "green tea"
        assert shop.sent == []


def test_tables_that_are_emptied_after_a_test_are_empty_in_the_cache(shop: Shop) -> None:
    shop.names()
    tables: Mapping[str, Sequence[Table]] = tables_to_empty(shop.app)
    empty_tables(shop.app, tables)
    assert shop.names() == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_kept_in_a_test_is_what_is_kept_in_production(shop: Shop, method: str) -> None:
    def view() -> Any:
        shop.uow.session.execute(text("SELECT 1"))
        return shop.uow.session.scalars(PRODUCTS.options(FromCache())).all()

    with isolated(shop.app):
        shop.request(view, method)
        shop.forget()
        shop.request(view, method)
        in_a_test = len(shop.sent)
    shop.request(view, method)
    shop.forget()
    shop.request(view, method)
    assert len(shop.sent) == in_a_test
