"""Work that may run again, run twice, and what differs."""

from __future__ import annotations

import uuid
from itertools import count

import pytest
from flask import redirect
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from flask_unitofwork.testing import Rehearsal, rehearsed_retries

from .shop import Line, Order, Shop, Visit


@pytest.fixture
def rehearsal(shop: Shop) -> Rehearsal:
    return Rehearsal(shop.app)


@pytest.fixture
def sqlite_rehearsal(sqlite_shop: Shop) -> Rehearsal:
    return Rehearsal(sqlite_shop.app)


def said(rehearsal: Rehearsal) -> str:
    with pytest.raises(AssertionError) as caught:
        rehearsal.assert_same()
    return str(caught.value)


def test_a_view_that_may_run_again_is_run_twice_and_kept_once(shop: Shop, rehearsal: Rehearsal) -> None:
    runs: list[int] = []

    @shop.app.post("/buy")
    @shop.uow.transaction(attempts=2)
    def buy() -> Response:
        runs.append(shop.uow.current.attempt)
        order = Order(customer="Ada", lines=[Line(product="tea"), Line(product="milk")])
        shop.uow.session.add(order)
        shop.uow.session.flush()
        shop.uow.session.add(Visit(path=f"/orders/{order.id}"))
        return redirect(f"/orders/{order.id}")

    with rehearsal.listening():
        assert shop.client.post("/buy").status_code == 302
    rehearsal.assert_same()
    assert (runs, rehearsal.rehearsed) == ([1, 2], ["POST /buy"])
    assert shop.customers() == ["Ada"]
    with shop.uow.scope(shop.app) as session:
        assert session.scalar(select(func.count()).select_from(Visit)) == 1


def test_what_may_not_run_again_is_left_alone(shop: Shop, rehearsal: Rehearsal) -> None:
    with rehearsal.listening():
        assert shop.client.post("/orders/Ada").status_code == 201
    assert rehearsal.rehearsed == []


def test_a_second_run_that_writes_something_else_is_told(shop: Shop, rehearsal: Rehearsal) -> None:
    numbers = count()

    @shop.app.post("/number")
    @shop.uow.transaction(attempts=2)
    def number() -> str:
        shop.uow.session.add(Order(customer=f"customer {next(numbers)}"))
        return "done"

    with rehearsal.listening():
        shop.client.post("/number")
    message = said(rehearsal)
    assert message.startswith("What may be run again does not do the same when it is")
    assert "POST /number: the value of 'customer' differs in:\n  INSERT INTO shop_order" in message
    assert "customer 1" not in message
    assert shop.customers() == ["customer 1"]


def test_a_second_run_that_writes_less_is_told(sqlite_shop: Shop, sqlite_rehearsal: Rehearsal) -> None:
    waiting = ["Ada"]

    @sqlite_shop.app.post("/take")
    @sqlite_shop.uow.transaction(attempts=2)
    def take() -> str:
        sqlite_shop.uow.session.execute(select(Order).with_for_update())
        if waiting:
            sqlite_shop.uow.session.add(Order(customer=waiting.pop()))
        return "done"

    with sqlite_rehearsal.listening():
        assert sqlite_shop.client.post("/take").status_code == 200
    assert "POST /take: only the first run sent:\n  INSERT INTO shop_order" in said(sqlite_rehearsal)


def test_another_answer_and_other_hooks_are_told(sqlite_shop: Shop, sqlite_rehearsal: Rehearsal) -> None:
    runs = count(1)

    def first_hook() -> None: ...

    def second_hook() -> None: ...

    @sqlite_shop.app.post("/answer")
    @sqlite_shop.uow.transaction(attempts=2)
    def answer() -> tuple[dict[str, object], int]:
        sqlite_shop.uow.session.add(Order(customer="Ada"))
        run = next(runs)
        sqlite_shop.uow.on_commit(first_hook if run == 1 else second_hook)
        return {"order": {"total": run, "token": "a" * run}}, 200 + run

    with sqlite_rehearsal.listening():
        sqlite_shop.client.post("/answer")
    message = said(sqlite_rehearsal)
    assert "POST /answer: status: first 201 CREATED, then 202 ACCEPTED" in message
    assert "POST /answer: body at 'order.token': first " in message
    assert "first_hook, then " in message
    sqlite_rehearsal.ignore("token")
    assert "body at 'order.total'" in said(sqlite_rehearsal)


def test_a_second_run_that_fails_is_told(sqlite_shop: Shop, sqlite_rehearsal: Rehearsal) -> None:
    tickets = iter(["one"])

    @sqlite_shop.app.post("/ticket")
    @sqlite_shop.uow.transaction(attempts=2)
    def ticket() -> str:
        sqlite_shop.uow.session.add(Order(customer=next(tickets)))
        return "done"

    with sqlite_rehearsal.listening():
        assert sqlite_shop.client.post("/ticket").status_code == 500
    assert "POST /ticket: its second run did not come to its commit" in said(sqlite_rehearsal)


def test_times_and_uuids_may_differ(sqlite_shop: Shop, sqlite_rehearsal: Rehearsal) -> None:
    @sqlite_shop.app.post("/token")
    @sqlite_shop.uow.transaction(attempts=2)
    def token() -> dict[str, str]:
        made = str(uuid.uuid4())
        sqlite_shop.uow.session.add(Order(customer=made))
        return {"token": made, "link": f"<a href='/{made}'>"}

    with sqlite_rehearsal.listening():
        sqlite_shop.client.post("/token")
    sqlite_rehearsal.assert_same()


def test_a_function_that_may_run_again_is_rehearsed_as_well(shop: Shop, rehearsal: Rehearsal) -> None:
    runs = count()

    @shop.uow.transaction(attempts=2)
    def book() -> None:
        shop.uow.session.add(Order(customer=f"run {next(runs)}"))

    with rehearsal.listening(), shop.app.app_context():
        book()
    assert rehearsal.rehearsed == ["A function that may run again"]
    assert "the value of 'customer' differs" in said(rehearsal)
    assert shop.customers() == ["run 1"]


def test_what_has_committed_on_its_way_is_not_run_again(shop: Shop, rehearsal: Rehearsal) -> None:
    if shop.uow_engine.dialect.name == "sqlite":
        return  # its one writer is the transaction around

    @shop.app.post("/audit")
    @shop.uow.transaction(attempts=2)
    def audit() -> str:
        with shop.uow.independent_transaction() as session:
            session.add(Order(customer="Trail"))
        shop.uow.session.add(Order(customer="Ada"))
        return "done"

    with rehearsal.listening():
        assert shop.client.post("/audit").status_code == 200
    assert rehearsal.rehearsed == []


def test_the_block_fails_at_its_end(sqlite_shop: Shop) -> None:
    runs = count()

    @sqlite_shop.app.post("/count")
    @sqlite_shop.uow.transaction(attempts=2)
    def counted() -> str:
        sqlite_shop.uow.session.add(Order(customer="Ada"))
        return str(next(runs))

    with pytest.raises(AssertionError, match="body: first '0', then '1'"), rehearsed_retries(app=sqlite_shop.app):
        sqlite_shop.client.post("/count")


def test_what_comes_after_a_view_is_not_taken_for_it(sqlite_shop: Shop, sqlite_rehearsal: Rehearsal) -> None:
    @sqlite_shop.app.post("/fail")
    @sqlite_shop.uow.transaction(attempts=2)
    def fail() -> str:
        raise ValueError

    @sqlite_shop.app.errorhandler(ValueError)
    def note(_error: ValueError) -> str:
        sqlite_shop.uow.session.add(Order(customer="Trail"))
        return "noted"

    with sqlite_rehearsal.listening():
        assert sqlite_shop.client.post("/fail").status_code == 200
    assert (sqlite_rehearsal.rehearsed, sqlite_shop.customers()) == ([], ["Trail"])
