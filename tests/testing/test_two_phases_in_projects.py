"""A project whose app commits in two phases: each test finds its databases empty, and nothing prepared in them."""

from __future__ import annotations

from .conftest import Project

CONFTEST = """
import os
import pytest
from flask import Flask
from sqlalchemy import insert
from shop import Item, uow

@pytest.fixture
def app():
    app = Flask("shop")
    url = os.environ["SHOP_DATABASE"].replace("mysql+pymysql", "mariadb+pymysql")
    app.config.update(UNITOFWORK_DATABASES={"default": url, "audit": url}, UNITOFWORK_TWO_PHASE=True)
    uow.init_app(app)

    @app.post("/<name>/<int:status>")
    def add(name, status):
        uow.session.add(Item(name=name))
        uow.session.flush()
        audit = uow.session.connection(bind_arguments={"bind": uow.get_engine("audit")})
        audit.execute(insert(Item).values(name=name + " too"))
        return "", status

    return app
"""

TESTS = """
from flask_unitofwork.database.commit_records import COMMIT_RECORDS

def left(app):
    with app.app_context(), uow.engine.connect() as connection:
        return (
            [len(connection.execute(select(table)).all()) for table in (Item.__table__, COMMIT_RECORDS)],
            [name for name in connection.recover_twophase() if b"uow:shop:" in bytes(str(name), "ascii")],
        )

def test_a_view_writes_in_both(app, client, assert_committed):
    assert left(app) == ([0, 0], [])
    assert client.post("/tea/201").status_code == 201
    assert_committed()
    assert left(app) == ([2, 1], [])

def test_a_view_is_refused(app, client, assert_rolled_back):
    assert left(app) == ([0, 0], [])
    assert client.post("/tea/409").status_code == 409
    assert_rolled_back()
    assert left(app) == ([0, 0], [])

def test_a_deadlock_when_it_prepares(app, client, uow_faults, assert_rolled_back):
    uow_faults.commit("deadlock")
    assert client.post("/tea/201").status_code == 500
    assert_rolled_back()
    assert left(app) == ([0, 0], [])

def test_it_is_left_prepared(app, uow_session):
    uow_session.add(Item(name="tea"))
    uow_session.prepare()

@pytest.mark.uow_real_commits
def test_for_real_a_view_writes_in_both(app, client, assert_committed):
    assert left(app) == ([0, 0], [])
    assert client.post("/tea/201").status_code == 201
    assert_committed()
    assert left(app) == ([2, 1], [])

@pytest.mark.uow_real_commits
def test_for_real_it_is_left_prepared(app):
    assert left(app) == ([0, 0], [])
    with app.app_context():
        connection = uow.session.connection()
        uow.session.add(Item(name="tea"))
        uow.session.prepare()
        connection.invalidate()

@pytest.mark.uow_real_commits
def test_for_real_nothing_is_left(app, client):
    assert left(app) == ([0, 0], [])
"""


def test_nothing_is_left_after_a_test(postgresql_project: Project) -> None:
    postgresql_project(TESTS, conftest=CONFTEST).assert_outcomes(passed=7)
