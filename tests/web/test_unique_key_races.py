"""Two requests that want the same unique key at the same moment: one gets it, and the other is told so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest
from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tests.stage import Item, Stage
from tests.web.clients import Address, Client, served

ROUNDS: Final = 200


@pytest.mark.parametrize("when", ["in the view", "at the commit"])
def test_exactly_one_of_two_requests_gets_a_unique_key(stage: Stage, when: str) -> None:
    both_are_here = threading.Barrier(2)

    @stage.app.post("/items")
    def create() -> ResponseReturnValue:
        name = request.get_json()
        # Before the first statement: SQLite lets the two write one after the other, and only the first would get here.
        both_are_here.wait(30)
        stage.add(name)
        if when == "in the view":
            stage.uow.session.flush()
        return name, 201

    @stage.app.errorhandler(IntegrityError)
    def conflict(_: IntegrityError) -> ResponseReturnValue:
        taken = stage.uow.session.scalars(select(Item.name).where(Item.name == request.get_json())).one()
        return f"{taken} is taken", 409

    names = [f"item {number}" for number in range(ROUNDS)]

    def order_all(address: Address) -> list[tuple[int, str]]:
        with Client(address) as client:
            return [client.post("/items", name) for name in names]

    with served(stage.app, threads=2) as address, ThreadPoolExecutor(2) as clients:
        answers = list(clients.map(order_all, [address, address]))

    for name, *both in zip(names, *answers, strict=True):
        assert sorted(both) == [(201, name), (409, f"{name} is taken")]
    assert stage.names() == names
    assert stage.checked_out() == 0
