"""Runs pytest on small generated projects, as a user has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from tests.stage import make_stage, sqlite_stage, stage
from tests.testing.shop import shop, shop_at, sqlite_shop, treatment

__all__ = ["Project", "make_stage", "project", "shop", "shop_at", "sqlite_shop", "sqlite_stage", "stage", "treatment"]

pytest_plugins = ["pytester"]

APP = """
import os
import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy import String
from flask_unitofwork import UnitOfWork

class Base(DeclarativeBase):
    pass

class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)

uow = UnitOfWork(metadata=Base.metadata)

def create_app():
    app = Flask("shop")
    app.config.update(UNITOFWORK_DATABASES=os.environ["SHOP_DATABASE"], PROPAGATE_EXCEPTIONS=False)
    uow.init_app(app)

    @app.post("/items/<name>")
    def add(name):
        uow.session.add(Item(name=name))
        return "added", 201

    @app.post("/rename/<name>/<new>")
    def rename(name, new):
        uow.session.scalars(select(Item).where(Item.name == name)).one().name = new
        return "renamed"

    @app.post("/refused/<name>")
    def refuse(name):
        uow.session.add(Item(name=name))
        uow.session.flush()
        return "refused", 409

    @app.get("/items")
    def names():
        return list(uow.session.scalars(select(Item.name).order_by(Item.id)))

    app.register_error_handler(IntegrityError, lambda error: ("taken", 409))
    return app
"""

CONFTEST = """
import pytest
from shop import create_app

@pytest.fixture(scope="{scope}")
def app():
    return create_app()
"""

# pytest-asyncio warns of a default that it will change one day.
ALWAYS: Final = (
    *("-p", "no:cacheprovider", "-p", "no:randomly", "-W", "error"),
    *("-W", "ignore:The configuration option"),
)

Project = Callable[..., pytest.RunResult]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Project:
    """Run pytest on a project with an app, a conftest and the given tests, on each database in turn."""
    return _project(pytester, monkeypatch, database_url)


@pytest.fixture
def sqlite_project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> Project:
    """The same on an SQLite file, for what does not depend on the database."""
    return _project(pytester, monkeypatch, sqlite_url)


@pytest.fixture
def postgresql_project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, postgresql_url: str) -> Project:
    """The same on PostgreSQL."""
    return _project(pytester, monkeypatch, postgresql_url)


def _project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, url: str) -> Project:
    """Runs pytest on a project whose database is at *url*: in this process, or in one *apart*."""
    monkeypatch.setenv("SHOP_DATABASE", url)

    def run(
        tests: str,
        *arguments: str,
        scope: str = "function",
        conftest: str = CONFTEST,
        apart: bool = False,
    ) -> pytest.RunResult:
        pytester.makepyfile(shop=APP, test_shop="import pytest\nfrom shop import *\n" + tests)
        pytester.makeconftest(conftest.replace("{scope}", scope))
        # A process of its own takes some ten times as long, most of it for imports.
        start = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        return start(*ALWAYS, *arguments)

    return run
