"""Attributes that are loaded when code reads them, and are said to be."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from flask_unitofwork.testing import assert_no_lazy_loads

from .shop import Line, Order, Shop


def test_what_a_query_loads_is_no_lazy_load(shop: Shop) -> None:
    shop.place("Ada")
    with assert_no_lazy_loads(app=shop.app):
        assert shop.client.get("/lines/eager").json == [2]
        assert shop.client.get("/orders").json == ["Ada"]


def test_a_relationship_that_is_loaded_when_it_is_read_fails_the_block(shop: Shop) -> None:
    shop.place("Ada", "Grace")
    with pytest.raises(AssertionError) as caught, assert_no_lazy_loads(app=shop.app):
        shop.client.get("/lines")
    message = str(caught.value)
    assert message.startswith("2 attributes were loaded only when code read them.")
    assert "selectinload" in message
    assert len(re.findall(r"shop\.py:\d+, in .*: lazy load of Order\.lines", message)) == 2
    assert "SELECT shop_order" not in message


def test_a_deferred_column_that_is_read_fails_the_block(shop: Shop) -> None:
    shop.place("Ada")
    with pytest.raises(AssertionError, match=r"lazy load of columns of Order that were expired or deferred"):
        with assert_no_lazy_loads(app=shop.app):
            shop.client.get("/notes")


def test_an_expired_column_that_is_read_fails_the_block(sqlite_shop: Shop) -> None:
    sqlite_shop.place("Ada")
    with sqlite_shop.uow.scope(sqlite_shop.app) as session:
        order = session.scalars(select(Order)).one()
        session.expire(order)
        with pytest.raises(AssertionError, match="1 attribute was loaded"), assert_no_lazy_loads(app=sqlite_shop.app):
            assert order.customer == "Ada"


def test_what_code_asks_for_by_name_is_no_lazy_load(sqlite_shop: Shop) -> None:
    sqlite_shop.place("Ada")
    with sqlite_shop.uow.scope(sqlite_shop.app) as session, assert_no_lazy_loads(app=sqlite_shop.app):
        order = session.scalars(select(Order).options(selectinload(Order.lines))).one()
        session.refresh(order)
        session.get(Line, order.lines[0].id)


def test_what_a_flush_needs_is_no_lazy_load(sqlite_shop: Shop) -> None:
    sqlite_shop.place("Ada")
    with assert_no_lazy_loads(app=sqlite_shop.app), sqlite_shop.uow.scope(sqlite_shop.app) as session:
        session.delete(session.scalars(select(Order)).one())
    assert sqlite_shop.customers() == []
