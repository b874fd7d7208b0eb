"""A session on an empty shop, and what it sends."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event

from flask_unitofwork import Session, UnitOfWork
from tests.states.shop import Base


@pytest.fixture
def uow_isolation() -> None:
    """Nothing has to be rolled back: each test has a database of its own."""


@pytest.fixture
def uow(database_url: str) -> Iterator[UnitOfWork]:
    """A unit of work in progress on each database in turn, with the shop's tables."""
    flask = Flask("shop")
    flask.config["UNITOFWORK_DATABASES"] = database_url
    uow = UnitOfWork(flask, metadata=Base.metadata)
    with flask.app_context():
        uow.create_all()
        yield uow
        uow.session.close()
        uow.drop_all()
        uow.dispose()


@pytest.fixture
def session(uow: UnitOfWork) -> Session:
    return uow.session


@contextmanager
def statements(engine: Engine) -> Generator[list[str]]:
    """What is sent to *engine* in the block."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)
