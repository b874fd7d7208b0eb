"""What became of the last request, and why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from flask_unitofwork.testing import Outcomes
from flask_unitofwork.testing.outcomes import watched_outcomes

from .shop import Order, Shop


@pytest.fixture
def outcomes(shop: Shop) -> Iterator[Outcomes]:
    with watched_outcomes(shop.app) as watched:
        yield watched


@pytest.fixture
def sqlite_outcomes(sqlite_shop: Shop) -> Iterator[Outcomes]:
    with watched_outcomes(sqlite_shop.app) as watched:
        yield watched


def refused(outcomes: Outcomes) -> str:
    """What assert_committed() says against it."""
    with pytest.raises(AssertionError) as caught:
        outcomes.assert_committed()
    outcomes.assert_rolled_back()
    return str(caught.value)


def test_a_request_that_succeeds_was_committed(shop: Shop, outcomes: Outcomes) -> None:
    shop.client.post("/orders/Ada")
    outcomes.assert_committed()
    with pytest.raises(AssertionError, match=r"POST /orders/Ada was not rolled back\. It was committed\."):
        outcomes.assert_rolled_back()


def test_a_failed_commit_is_the_reason(shop: Shop, outcomes: Outcomes) -> None:
    shop.client.post("/orders/Ada")
    assert shop.client.post("/orders/Ada").status_code == 500
    message = refused(outcomes)
    assert message.startswith("POST /orders/Ada was not committed. It was rolled back: IntegrityError: ")


def test_an_exception_of_the_view_is_the_reason(sqlite_shop: Shop, sqlite_outcomes: Outcomes) -> None:
    @sqlite_shop.app.post("/fail")
    def fail() -> str:
        sqlite_shop.uow.session.add(Order(customer="Ada"))
        raise ValueError("no tea left")

    assert sqlite_shop.client.post("/fail").status_code == 500
    message = refused(sqlite_outcomes)
    assert "It was rolled back: ValueError: no tea left (raised at " in message
    assert "in test_an_exception_of_the_view_is_the_reason.<locals>.fail)" in message


def test_the_policy_s_refusal_is_the_reason(sqlite_shop: Shop, sqlite_outcomes: Outcomes) -> None:
    @sqlite_shop.app.post("/refuse")
    def refuse() -> tuple[str, int]:
        sqlite_shop.uow.session.add(Order(customer="Ada"))
        return "no", 422

    sqlite_shop.client.post("/refuse")
    assert "the commit policy refused the response, whose status is 422" in refused(sqlite_outcomes)


def test_the_place_that_doomed_it_is_the_reason(sqlite_shop: Shop, sqlite_outcomes: Outcomes) -> None:
    uow = sqlite_shop.uow

    @sqlite_shop.app.post("/doom")
    def doom() -> str:
        uow.session.add(Order(customer="Ada"))
        uow.doom("a rehearsal")
        return "done"

    @sqlite_shop.app.post("/swallow")
    def swallow() -> str:
        try:
            with uow.transaction():
                raise KeyError("tea")
        except KeyError:
            pass
        return "done"

    assert sqlite_shop.client.post("/doom").status_code == 200
    assert "uow.doom('a rehearsal') asked for it at " in refused(sqlite_outcomes)
    assert sqlite_shop.client.post("/swallow").status_code == 500
    assert "KeyError left a transaction() block at " in refused(sqlite_outcomes)


def test_code_that_rolls_back_by_hand_is_named(sqlite_shop: Shop, sqlite_outcomes: Outcomes) -> None:
    @sqlite_shop.app.post("/undo")
    def undo() -> str:
        sqlite_shop.uow.session.add(Order(customer="Ada"))
        sqlite_shop.uow.session.rollback()
        return "undone"

    sqlite_shop.client.post("/undo")
    assert "in test_code_that_rolls_back_by_hand_is_named.<locals>.undo" in refused(sqlite_outcomes)


def test_work_that_nobody_committed_is_named(sqlite_shop: Shop, sqlite_outcomes: Outcomes) -> None:
    with sqlite_shop.app.app_context():
        sqlite_shop.uow.session.scalars(select(Order)).all()
    message = refused(sqlite_outcomes)
    assert "The last unit of work was not committed" in message
    assert "its scope ended, and nobody had committed it" in message


def test_units_inside_a_request_are_not_its_outcome(shop: Shop, outcomes: Outcomes) -> None:
    @shop.app.post("/hooked")
    def hooked() -> tuple[str, int]:
        shop.uow.session.add(Order(customer="Ada"))
        shop.uow.current.hooks.after_rollback.clear()
        shop.uow.on_rollback(lambda: shop.uow.session.add(Order(customer="Trail")))
        return "no", 409

    shop.client.post("/hooked")
    refused(outcomes)
    assert shop.customers() == ["Trail"]


def test_each_run_of_a_view_is_told(sqlite_shop: Shop, sqlite_outcomes: Outcomes) -> None:
    @sqlite_shop.app.post("/twice")
    @sqlite_shop.uow.explicit_commit
    def twice() -> str:
        sqlite_shop.uow.session.add(Order(customer="Ada"))
        sqlite_shop.uow.session.commit()
        sqlite_shop.uow.session.add(Order(customer="Grace"))
        sqlite_shop.uow.session.rollback()
        return "done"

    sqlite_shop.client.post("/twice")
    message = refused(sqlite_outcomes)
    assert "Its transactions ended like this:\n1. committed\n2. rolled back: code rolled it back" in message
    assert [one.state.value for one in sqlite_outcomes.endings] == ["committed", "rolled back"]


def test_without_a_transaction_there_is_no_outcome(sqlite_shop: Shop, sqlite_outcomes: Outcomes) -> None:
    for ask in (sqlite_outcomes.assert_committed, sqlite_outcomes.assert_rolled_back):
        with pytest.raises(AssertionError, match="the test has made no request"):
            ask()
    assert sqlite_outcomes.endings == []
    sqlite_shop.client.get("/nowhere")
    with pytest.raises(AssertionError, match="GET /nowhere was not committed: it has begun no transaction"):
        sqlite_outcomes.assert_committed()
