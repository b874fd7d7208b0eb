"""How many statements a block sends, and what the failure says of them."""

from __future__ import annotations

import re
from threading import Thread

import pytest
from flask import Flask

from flask_unitofwork import ConfigurationError, NotInitializedError, OutsideScopeError
from flask_unitofwork.testing import assert_max_statements, assert_statements

from .shop import Line, Order, Shop


def test_what_requests_send_is_counted(shop: Shop) -> None:
    shop.place("Ada", "Grace")
    with assert_statements(1, app=shop.app):
        assert shop.client.get("/orders").json == ["Ada", "Grace"]
    with assert_statements(3, app=shop.app):
        assert shop.client.get("/lines").json == [2, 2]
    with assert_statements(0, app=shop.app):
        assert shop.client.get("/nowhere").status_code == 404
    with assert_max_statements(3, app=shop.app):
        shop.client.get("/lines")
        assert shop.client.get("/nowhere").status_code == 404


def test_begin_commit_and_savepoints_are_not_counted(shop: Shop) -> None:
    with assert_statements(2, app=shop.app):
        assert shop.client.post("/orders/Ada").status_code == 201
    with assert_statements(1, app=shop.app), shop.uow.scope(shop.app) as session:
        with shop.uow.savepoint():
            session.add(Order(customer="Grace"))
    assert shop.customers() == ["Ada", "Grace"]


def test_the_failure_lists_the_statements_and_the_lines_that_sent_them(shop: Shop) -> None:
    shop.place("Ada", "Grace")
    with pytest.raises(AssertionError) as caught, assert_statements(1, app=shop.app):
        shop.client.get("/lines")
    head, first, second, third = re.split(r"\n+\d\. ", str(caught.value))
    assert head == "1 statement was expected, and 3 statements were sent:"
    assert first.startswith("SELECT shop_order.id")
    assert re.search(r"shop\.py:\d+, in .*lines", first)
    for lazy in (second, third):
        assert "FROM shop_line" in lazy
        assert re.search(r"shop\.py:\d+, in .*: lazy load of Order\.lines$", lazy.strip())


def test_the_failure_names_the_template_s_line(sqlite_shop: Shop) -> None:
    sqlite_shop.place("Ada")
    with pytest.raises(AssertionError) as caught, assert_statements(1, app=sqlite_shop.app):
        sqlite_shop.client.get("/lines/page")
    assert "<template>:2, in root: lazy load of Order.lines" in str(caught.value)


def test_what_the_closing_commit_writes_is_said_to_be_its_own(sqlite_shop: Shop) -> None:
    with pytest.raises(AssertionError) as caught, assert_statements(0, app=sqlite_shop.app):
        sqlite_shop.client.post("/orders/Ada")
    assert str(caught.value).count("written by the closing commit") == 2
    assert f"{__name__.rpartition('.')[2]}.py:" in str(caught.value)


def test_values_are_left_out_unless_asked_for(sqlite_shop: Shop) -> None:
    with pytest.raises(AssertionError) as caught, assert_statements(0, app=sqlite_shop.app):
        sqlite_shop.client.post("/orders/Ada")
    assert "Ada" not in str(caught.value)
    with pytest.raises(AssertionError, match="'customer': 'Grace'"):
        with assert_statements(0, app=sqlite_shop.app, parameters=True):
            sqlite_shop.client.post("/orders/Grace")


def test_other_databases_are_counted_and_named(shop: Shop) -> None:
    with pytest.raises(AssertionError) as caught, assert_max_statements(1, app=shop.app):
        shop.client.get("/count")
    assert str(caught.value).startswith("At most 1 statement was expected, and 2 statements were sent:")
    assert "[visits] INSERT INTO shop_visit" in str(caught.value)


def test_what_other_threads_send_is_counted(shop: Shop) -> None:
    with assert_statements(2, app=shop.app):
        for _ in range(2):
            thread = Thread(target=lambda: shop.client.get("/orders"))
            thread.start()
            thread.join()


def test_the_block_s_own_error_is_not_hidden(sqlite_shop: Shop) -> None:
    with pytest.raises(ZeroDivisionError), assert_statements(5, app=sqlite_shop.app):
        sqlite_shop.client.get("/orders")
        raise ZeroDivisionError


def test_nothing_is_recorded_after_the_block(sqlite_shop: Shop) -> None:
    with assert_statements(1, app=sqlite_shop.app) as sent:
        sqlite_shop.client.get("/orders")
    sqlite_shop.client.get("/orders")
    assert len(sent) == 1


def test_blocks_count_apart_from_one_another(sqlite_shop: Shop) -> None:
    with assert_statements(2, app=sqlite_shop.app):
        sqlite_shop.client.get("/orders")
        with assert_statements(1, app=sqlite_shop.app):
            sqlite_shop.client.get("/orders")


def test_the_current_app_need_not_be_named(sqlite_shop: Shop) -> None:
    with sqlite_shop.app.app_context(), assert_statements(1):
        sqlite_shop.uow.session.get(Line, 1)


def test_bad_use_is_told_what_to_write(sqlite_shop: Shop) -> None:
    with pytest.raises(OutsideScopeError, match=r"assert_statements\(…, app=app\)"), assert_statements(1):
        pass
    with pytest.raises(NotInitializedError, match=r"uow\.init_app\(app\)"):
        with assert_max_statements(1, app=Flask("plain")):
            pass
    for count in (-1, True, "2"):
        with pytest.raises(ConfigurationError, match=r"such as assert_statements\(2\); it got"):
            with assert_statements(count, app=sqlite_shop.app):  # type: ignore[arg-type]
                pass
