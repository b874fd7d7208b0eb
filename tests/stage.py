"""A small app to test with, and a look at its database from a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_unitofwork import UnitOfWork
from tests.conftest import Outside


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)


@dataclass
class Stage:
    """An app with one table, ready for views."""

    app: Flask
    uow: UnitOfWork
    outside: Outside

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    @property
    def engine(self) -> Engine:
        with self.app.app_context():
            return self.uow.engine

    def add(self, name: str) -> None:
        """Put an item into the current session."""
        self.uow.session.add(Item(name=name))

    def names(self) -> list[str]:
        """What a connection that knows nothing of the app sees in the table."""
        with self.outside(self.engine) as connection:
            return list(connection.scalars(select(Item.name).order_by(Item.id)))

    def checked_out(self) -> int:
        """How many connections the app's pool has lent out."""
        return self.engine.pool.checkedout()  # type: ignore[attr-defined, no-any-return]


MakeStage = Callable[..., Stage]


@pytest.fixture
def make_stage(outside: Outside) -> MakeStage:
    made: list[Stage] = []

    def make(url: str | dict[str, str], **config: Any) -> Stage:
        uow: UnitOfWork = config.pop("uow", None) or UnitOfWork(metadata=Base.metadata)
        flask = Flask(f"stage{len(made)}")
        # Error handlers and status 500 are what a client sees, so they are what the tests look at.
        flask.config.update(PROPAGATE_EXCEPTIONS=False, UNITOFWORK_DATABASES=url, SECRET_KEY="only for tests", **config)
        uow.init_app(flask)
        with flask.app_context():
            uow.create_all()
        stage = Stage(flask, uow, outside)
        made.append(stage)
        return stage

    return make


@pytest.fixture
def stage(database_url: str, make_stage: MakeStage) -> Stage:
    """The app on each database in turn."""
    return make_stage(database_url)


@pytest.fixture
def sqlite_stage(sqlite_url: str, make_stage: MakeStage) -> Stage:
    """The app on an SQLite file, for what does not depend on the database."""
    return make_stage(sqlite_url)
