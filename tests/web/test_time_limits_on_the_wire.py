"""Time limits of an app travel with its connections: no request waits for the network because of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import select, text

from tests.servers.counting import CountingWire
from tests.stage import Item, MakeStage, Stage

LIMITS: Final = {"UNITOFWORK_STATEMENT_TIMEOUT": 7, "UNITOFWORK_LOCK_TIMEOUT": 3}

# What the server says of the two limits, in its own units.
QUESTIONS: Final = {
    "postgresql": (
        "SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout')",
        "7s 3s",
    ),
    "mysql": ("SELECT CONCAT(FORMAT(@@max_statement_time, 0), ' ', @@innodb_lock_wait_timeout)", "7 3"),
}

MakeShop = Callable[..., tuple[Stage, CountingWire]]


@pytest.fixture
def make_shop(server_url: str, make_stage: MakeStage) -> Iterator[MakeShop]:
    """Makes an app that reads and writes over a counted wire, with one connection."""
    wires: list[CountingWire] = []

    def make(**config: Any) -> tuple[Stage, CountingWire]:
        wire = CountingWire(server_url)
        wires.append(wire)
        options = {"pool_size": 1, "max_overflow": 0}
        url = wire.url.render_as_string(hide_password=False)
        stage = make_stage(url, UNITOFWORK_ENGINE_OPTIONS=options, **config)

        @stage.app.route("/", methods=["GET", "POST"])
        def view() -> ResponseReturnValue:
            if request.method == "POST":
                stage.add(request.args["name"])
            return [item.name for item in stage.uow.session.scalars(select(Item))]

        return stage, wire

    yield make
    for wire in wires:
        wire.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("reads", ["autocommit", "transaction"])
def test_cost_no_round_trip(make_shop: MakeShop, method: str, reads: str) -> None:
    counted: list[int] = []
    for number, config in enumerate(({}, LIMITS)):
        stage, wire = make_shop(UNITOFWORK_READS=reads, **config)
        stage.client.open("/?name=first", method=method)  # connects, and learns what the database is
        wire.forget()
        for again in range(3):
            assert stage.client.open(f"/?name={number}-{again}", method=method).status_code == 200
        counted.append(wire.round_trips)
        assert not any(b"timeout" in sent or b"max_statement_time" in sent for sent in wire.sent), wire.sent
        with stage.app.app_context():
            for item in stage.uow.session.scalars(select(Item)):
                stage.uow.session.delete(item)
            stage.uow.session.commit()
            stage.uow.dispose()
    without, with_limits = counted
    assert with_limits == without


@pytest.mark.parametrize("reads", ["autocommit", "transaction"])
def test_are_in_force_for_readers_and_writers(make_shop: MakeShop, reads: str) -> None:
    stage, _ = make_shop(UNITOFWORK_READS=reads, **LIMITS)
    question, answer = QUESTIONS[stage.engine.dialect.name]
    stage.app.add_url_rule(
        "/limits", "limits", lambda: str(stage.uow.session.scalar(text(question))), methods=["GET", "POST"]
    )
    for method in ("GET", "POST", "GET"):
        assert stage.client.open("/limits", method=method).text == answer
