"""Apps that tests make leave no connection behind, however many there are, and whoever still refers to them."""

from __future__ import annotations

import pytest

from .conftest import Project

# Apps are kept, so that it is not the garbage collector who closes their connections.
KEPT = """
import os
import pytest
from flask import Flask
from sqlalchemy import text
from shop import uow

KEPT = []

def create_app():
    app = Flask("kept", static_folder=None)
    app.config["UNITOFWORK_DATABASES"] = os.environ["SHOP_DATABASE"]
    uow.init_app(app)
    app.add_url_rule("/", "view", lambda: str(uow.session.scalar(text("SELECT 6 * 7"))))
    KEPT.append(app)
    return app

@pytest.fixture
def app():
    return create_app()
"""

FACTORIES = """
import os
from sqlalchemy import text
from conftest import KEPT, create_app

EACH = int(os.environ["APPS"]) // 2

@pytest.mark.parametrize("number", range(EACH))
def test_a_fixture_makes_an_app(client, number):
    assert client.get("/").text == "42"

@pytest.mark.parametrize("number", range(EACH))
def test_a_test_makes_an_app(number):
    with uow.scope(create_app()) as session:
        assert session.scalar(text("SELECT 6 * 7")) == 42
"""

ON_POSTGRESQL = """
from sqlalchemy import create_engine, text

def test_no_connection_is_left():
    engine = create_engine(os.environ["SHOP_DATABASE"])
    with engine.connect() as connection:
        others = connection.scalar(text(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ))
    engine.dispose()
    assert len(KEPT) == int(os.environ["APPS"])
    assert others == 0
"""

ON_SQLITE = """
from pathlib import Path

def files():
    opened = (os.readlink(one) for one in Path("/proc/self/fd").iterdir() if one.exists())
    return [one for one in opened if one.endswith((".db", ".db-wal", ".db-shm"))]

def test_no_file_is_left():
    assert len(KEPT) == int(os.environ["APPS"])
    assert files() == []
"""


def test_500_tests_leave_no_connection_open_on_postgresql(
    postgresql_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPS", "500")
    postgresql_project(FACTORIES + ON_POSTGRESQL, conftest=KEPT, apart=True).assert_outcomes(passed=501)


@pytest.mark.parametrize("memory", [False, True])
def test_100_tests_leave_no_file_open_on_sqlite(
    sqlite_project: Project, monkeypatch: pytest.MonkeyPatch, *, memory: bool
) -> None:
    monkeypatch.setenv("APPS", "100")
    if memory:
        monkeypatch.setenv("SHOP_DATABASE", "sqlite://")
    sqlite_project(FACTORIES + ON_SQLITE, conftest=KEPT, apart=True).assert_outcomes(passed=101)


def test_an_app_of_a_wider_fixture_keeps_its_connections_until_that_is_over(sqlite_project: Project) -> None:
    conftest = """
import pytest
from shop import create_app

@pytest.fixture(scope="module")
def wider():
    return create_app()

@pytest.fixture
def app(wider):
    return wider
"""
    tests = """
from sqlalchemy import event, text
disposed = []

def test_one(app, client):
    with app.app_context():
        event.listen(uow.engine, "engine_disposed", disposed.append)
    client.get("/items")

def test_two(client):
    client.get("/items")
    assert disposed == []
"""
    sqlite_project(tests, conftest=conftest).assert_outcomes(passed=2)


def test_an_app_that_was_made_at_import_is_left_alone(sqlite_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DATABASE", "sqlite://")  # empty once its engine is disposed of
    conftest = """
import pytest
from shop import Item, create_app, uow as extension

MADE = create_app()

@pytest.fixture
def app():
    return MADE

@pytest.fixture(scope="session", autouse=True)
def rows():
    with extension.scope(MADE) as session:
        extension.create_all()
        session.add(Item(name="tea"))
"""
    tests = """
@pytest.mark.parametrize("time", [1, 2])
def test_the_rows_are_there(client, time):
    assert client.get("/items").json == ["tea"]
"""
    sqlite_project(tests, conftest=conftest).assert_outcomes(passed=2)
