"""After-commit hooks that wait for the test."""

from __future__ import annotations

import pytest

from flask_unitofwork import DemarcationError
from flask_unitofwork.testing import captured_hooks

from .shop import Order, Shop


def send_receipt() -> None:
    """A hook, which each test tells what to do."""


def test_hooks_are_kept_in_order_until_the_test_runs_them(shop: Shop) -> None:
    ran: list[str] = []

    @shop.app.post("/buy")
    def buy() -> str:
        shop.uow.on_commit(lambda: ran.append("first"))
        shop.uow.session.add(Order(customer="Ada"))
        shop.uow.on_commit(lambda: ran.append("second"))
        return "bought"

    with captured_hooks(app=shop.app) as hooks:
        assert shop.client.post("/buy").status_code == 200
        assert (ran, len(hooks)) == ([], 2)
        assert hooks.run() == [f"{buy.__module__}.{buy.__qualname__}.<locals>.<lambda>"] * 2
        assert (ran, len(hooks)) == (["first", "second"], 0)
    assert shop.client.post("/buy").status_code == 500  # there is an Ada
    assert ran == ["first", "second"]


def test_hooks_are_known_by_their_names(sqlite_shop: Shop) -> None:
    with captured_hooks(app=sqlite_shop.app) as hooks:
        with sqlite_shop.uow.scope(sqlite_shop.app):
            sqlite_shop.uow.on_commit(send_receipt)
        assert hooks.names == [f"{__name__}.send_receipt"]
        assert [hook.function for hook in hooks] == [send_receipt]
        assert "send_receipt" in repr(hooks)


def test_what_a_rollback_drops_is_not_captured(shop: Shop) -> None:
    def fail() -> None:
        with shop.uow.savepoint():
            shop.uow.on_commit(send_receipt)
            raise ZeroDivisionError

    with captured_hooks(app=shop.app) as hooks:
        with shop.uow.scope(shop.app), pytest.raises(ZeroDivisionError):
            fail()
        with pytest.raises(ZeroDivisionError), shop.uow.scope(shop.app):
            shop.uow.on_commit(send_receipt)
            raise ZeroDivisionError
        assert hooks.names == []


def test_after_rollback_hooks_run_as_ever(sqlite_shop: Shop) -> None:
    ran: list[str] = []
    with captured_hooks(app=sqlite_shop.app) as hooks:
        with pytest.raises(ZeroDivisionError), sqlite_shop.uow.scope(sqlite_shop.app):
            sqlite_shop.uow.on_rollback(lambda: ran.append("undone"))
            raise ZeroDivisionError
    assert (ran, list(hooks)) == (["undone"], [])


def test_a_hook_that_the_test_runs_writes_in_a_unit_of_its_own(shop: Shop) -> None:
    with captured_hooks(app=shop.app) as hooks:
        with shop.uow.scope(shop.app):
            shop.uow.on_commit(lambda: shop.uow.session.add(Order(customer="Grace")))
        assert shop.customers() == []
        hooks.run()
        assert shop.customers() == ["Grace"]


def test_hooks_that_a_hook_registers_run_as_well(sqlite_shop: Shop) -> None:
    ran: list[str] = []
    with captured_hooks(app=sqlite_shop.app) as hooks:
        with sqlite_shop.uow.scope(sqlite_shop.app):
            sqlite_shop.uow.on_commit(lambda: sqlite_shop.uow.on_commit(lambda: ran.append("inner")) and None)
        assert len(hooks.run()) == 2
    assert ran == ["inner"]


def test_a_failing_hook_is_raised_and_named(sqlite_shop: Shop) -> None:
    def explode() -> None:
        raise ZeroDivisionError

    with captured_hooks(app=sqlite_shop.app) as hooks:
        with sqlite_shop.uow.scope(sqlite_shop.app):
            sqlite_shop.uow.on_commit(explode)
            sqlite_shop.uow.on_commit(send_receipt)
        with pytest.raises(ZeroDivisionError) as caught:
            hooks.run()
        assert "explode" in caught.value.__notes__[0]
        assert hooks.names == [f"{__name__}.send_receipt"]


def test_capturing_twice_at_once_is_an_error(sqlite_shop: Shop) -> None:
    with captured_hooks(app=sqlite_shop.app):
        with pytest.raises(DemarcationError, match="captured already"), captured_hooks(app=sqlite_shop.app):
            pass
