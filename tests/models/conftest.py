"""An engine and a plain session on each database; what is asked here needs no app."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session

from tests.models.library import Base


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


class Statements(list[str]):
    """The SQL that went to the database."""


@pytest.fixture
def statements(engine: Engine) -> Statements:
    sent = Statements()
    event.listen(engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
    return sent


@pytest.fixture
def web() -> Flask:
    """An app without databases: for requests, their arguments and its secret key."""
    web = Flask(__name__)
    web.secret_key = "a secret of tests"
    return web
