"""Versions of Flask after 3.1 pass their context to the methods that are wrapped here."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request
from sqlalchemy.exc import IntegrityError

from flask_unitofwork import UnitOfWork
from flask_unitofwork.web.context import current_context
from tests.conftest import Outside
from tests.stage import Base, Item, Stage


class LaterFlask(Flask):
    """Flask 3.1 with the signatures of its successor."""

    def preprocess_request(self, ctx: Any) -> Any:  # type: ignore[override]
        return super().preprocess_request()

    def dispatch_request(self, ctx: Any) -> Any:  # type: ignore[override]
        return super().dispatch_request()

    def handle_user_exception(self, ctx: Any, e: Exception) -> Any:  # type: ignore[override]
        return super().handle_user_exception(e)

    def handle_exception(self, ctx: Any, e: Exception) -> Any:  # type: ignore[override]
        return super().handle_exception(e)

    def process_response(self, ctx: Any, response: Any) -> Any:  # type: ignore[override]
        return super().process_response(response)

    def full_dispatch_request(self) -> Any:
        methods: Any = self
        ctx = current_context()
        try:
            value = methods.preprocess_request(ctx)
            if value is None:
                value = methods.dispatch_request(ctx)
        except Exception as error:  # noqa: BLE001
            value = methods.handle_user_exception(ctx, error)
        return methods.process_response(ctx, self.make_response(value))


@pytest.fixture
def later(sqlite_url: str, outside: Outside) -> Any:
    app, uow = LaterFlask("later"), UnitOfWork(metadata=Base.metadata)
    app.config["UNITOFWORK_DATABASES"] = sqlite_url
    uow.init_app(app)
    with app.app_context():
        uow.create_all()
        yield Stage(app, uow, outside)
        uow.dispose()


def test_requests_are_settled_the_same(later: Stage) -> None:
    @later.app.post("/<name>")
    def add(name: str) -> str:
        later.add(name)
        return "added"

    @later.app.post("/fails/<name>")
    def fail(name: str) -> str:
        later.add(name)
        raise KeyError(name)

    later.app.register_error_handler(KeyError, lambda error: "handled")
    later.app.register_error_handler(IntegrityError, lambda error: ("taken", 409))

    assert later.client.post("/tea").status_code == 200
    assert later.client.post("/fails/coffee").text == "handled"
    assert later.client.post("/tea").status_code == 409
    assert later.names() == ["tea"]


def test_a_write_after_the_response_that_fails_reaches_the_error_handlers(later: Stage) -> None:
    later.app.register_error_handler(IntegrityError, lambda error: ("taken", 409))
    later.app.add_url_rule("/<name>", "name", lambda name: name)

    @later.app.after_request
    def audit(response: Any) -> Any:
        later.uow.session.add(Item(name=request.path))
        return response

    assert later.client.get("/tea").status_code == 200
    assert later.client.get("/tea").status_code == 409
    assert later.names() == ["/tea"]
