"""Who reads in a transaction after all: the app, a view, a part of a view."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.typing import ResponseReturnValue
from flask.views import MethodView
from sqlalchemy import select

from flask_unitofwork import UnitOfWork
from flask_unitofwork.transaction import Transaction
from tests.stage import Item, MakeStage, Stage


def held_after_a_read(stage: Stage) -> str:
    stage.uow.session.scalars(select(Item)).all()
    return str(stage.checked_out())


@pytest.mark.parametrize(
    "choose",
    [
        lambda uow: uow.transaction(),
        lambda uow: uow.transaction(isolation_level="SERIALIZABLE"),
        lambda uow: uow.read_only(),
        lambda uow: uow.read_only(isolation_level="REPEATABLE READ"),
    ],
    ids=["transaction", "serializable", "read_only", "snapshot"],
)
@pytest.mark.parametrize("kind", ["function", "method", "class"])
def test_a_view_may_choose_a_transaction(stage: Stage, choose: Callable[[UnitOfWork], Transaction], kind: str) -> None:
    decorate = choose(stage.uow)

    def function() -> str:
        return held_after_a_read(stage)

    class Decorated(MethodView):
        decorators = [decorate]  # noqa: RUF012  as Flask declares it

        def get(self) -> ResponseReturnValue:
            return held_after_a_read(stage)

    class ByMethod(MethodView):
        @decorate
        def get(self) -> ResponseReturnValue:
            return held_after_a_read(stage)

    views = {"function": decorate(function), "class": Decorated.as_view("view"), "method": ByMethod.as_view("view")}
    stage.app.add_url_rule("/", "view", views[kind])
    stage.app.add_url_rule("/plain", "plain", function)
    early: list[str] = []
    stage.app.before_request(lambda: early.append(held_after_a_read(stage)))

    assert stage.client.get("/").text == "1"
    assert stage.client.get("/plain").text == "0"
    assert early == ["1", "0"]  # from the first statement of the request on
    assert stage.checked_out() == 0


def test_a_part_of_a_view_may_choose_a_transaction(stage: Stage) -> None:
    @stage.app.get("/")
    def view() -> ResponseReturnValue:
        before = held_after_a_read(stage)
        with stage.uow.transaction(isolation_level="REPEATABLE READ"):
            inside = held_after_a_read(stage)
        return [before, inside, held_after_a_read(stage)]

    assert stage.client.get("/").json == ["0", "1", "1"]  # to the commit of the request
    assert stage.checked_out() == 0


def test_an_app_may_choose_transactions_for_all(database_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(database_url, UNITOFWORK_READS="transaction")
    stage.app.add_url_rule("/", "view", lambda: held_after_a_read(stage))
    assert stage.client.get("/").text == "1"
