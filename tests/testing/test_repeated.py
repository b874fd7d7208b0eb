"""Queries that a loop repeats, told from those that are merely alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from flask_unitofwork.testing import RepeatedStatementWarning
from flask_unitofwork.testing.own_session import session_for_test
from flask_unitofwork.testing.repeated import Repetitions
from flask_unitofwork.testing.statements import recorder_for

from .shop import Order, Shop


@pytest.fixture
def repetitions(shop: Shop) -> Iterator[Repetitions]:
    counted = Repetitions(3)
    with recorder_for(shop.app, counted.count):
        yield counted


def test_lazy_loads_in_a_loop_are_told_with_their_count_and_line(shop: Shop, repetitions: Repetitions) -> None:
    shop.place("Ada", "Grace", "Lin")
    shop.client.get("/lines")
    with pytest.raises(AssertionError) as caught:
        repetitions.fail()
    message = str(caught.value)
    assert "One query was sent 3 times in one unit of work. Load Order.lines with the query before" in message
    assert "FROM shop_line" in message
    assert "shop.py:" in message
    with pytest.warns(RepeatedStatementWarning, match="One query was sent 3 times") as warned:
        repetitions.warn()
    assert warned[0].filename.endswith("shop.py")


def test_requests_do_not_add_up(shop: Shop, repetitions: Repetitions) -> None:
    shop.place("Ada", "Grace")
    for _ in range(3):
        shop.client.get("/lines")
        shop.client.get("/lines/eager")
    repetitions.fail()


def test_what_the_test_asks_for_itself_does_not_count(shop: Shop, repetitions: Repetitions) -> None:
    shop.place("Ada", "Grace", "Lin")
    with session_for_test(shop.app) as session:
        orders = session.scalars(select(Order)).all()
        assert [len(order.lines) for order in orders] == [2, 2, 2]
    repetitions.fail()


def test_lists_of_different_length_are_one_query(shop: Shop, repetitions: Repetitions) -> None:
    with shop.uow.scope(shop.app) as session:
        for ids in ([1], [1, 2], [1, 2, 3]):
            session.scalars(select(Order.id).where(Order.id.in_(ids))).all()
    assert [times for _, times in repetitions.repeated] == [3]


def test_lines_and_databases_are_told_apart_and_writes_do_not_count(shop: Shop, repetitions: Repetitions) -> None:
    with shop.uow.scope(shop.app) as session:
        session.scalars(select(Order.id)).all()
        session.scalars(select(Order.id)).all()
        session.scalars(select(Order.id)).all()
        for customer in ("Ada", "Grace", "Lin"):
            session.add(Order(customer=customer))
            session.flush()
    assert repetitions.repeated == []
