"""What the extension costs a request that never touches the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder

from flask_unitofwork import UnitOfWork

from .asking import ask
from .rounds import compare, table

Request = Callable[[], bytes]


def request_to(app: Flask) -> Request:
    environ = EnvironBuilder("/").get_environ()
    return lambda: ask(app.wsgi_app, environ)[1]


def make_app() -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/", "hello", lambda: "Hello, World!")
    return app


@pytest.fixture
def with_extension() -> Iterator[Flask]:
    shop, uow = make_app(), UnitOfWork()
    shop.config["UNITOFWORK_DATABASES"] = "sqlite://"
    uow.init_app(shop)
    yield shop
    with shop.app_context():
        uow.dispose()


def test_no_database(with_extension: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    contestants = {"without the extension": request_to(make_app()), "with the extension": request_to(with_extension)}
    for request in contestants.values():
        assert request() == b"Hello, World!"
    results = compare(contestants, rounds=400, calls=100)
    with capsys.disabled():
        print("\n" + table("A request that never touches the database", results))
