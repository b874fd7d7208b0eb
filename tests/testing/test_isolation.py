"""Isolation, as a project with pytest-flask sees it: every test starts from the same rows."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_unitofwork import NotInitializedError, UnitOfWork
from flask_unitofwork.testing import isolated
from tests.conftest import Outside

from .conftest import ALWAYS, Project

WRITERS = """
@pytest.mark.parametrize("round", range(3))
def test_a_view_s_commit_is_seen_by_the_test_and_gone_in_the_next(client, round):
    assert client.get("/items").json == []
    assert client.post("/items/tea").status_code == 201
    assert client.get("/items").json == ["tea"]
    assert [item.name for item in uow.session.scalars(select(Item))] == ["tea"]

@pytest.mark.parametrize("round", range(2))
def test_commits_rollbacks_and_failed_flushes_behave_as_in_production(client, round):
    assert client.post("/items/tea").status_code == 201
    assert client.post("/items/tea").status_code == 409
    assert client.post("/refused/coffee").status_code == 409
    assert client.post("/items/milk").status_code == 201
    assert client.get("/items").json == ["tea", "milk"]

@pytest.mark.parametrize("round", range(2))
def test_what_the_test_itself_commits_is_rolled_back_as_well(app, round):
    with app.app_context():
        uow.session.add(Item(name="tea"))
        uow.session.commit()
    with uow.scope(app) as session:
        session.add(Item(name="coffee"))
    with app.app_context():
        uow.session.add(Item(name="lost"))
        uow.session.flush()
        uow.session.rollback()
        assert list(uow.session.scalars(select(Item.name).order_by(Item.id))) == ["tea", "coffee"]
"""


@pytest.mark.parametrize("scope", ["function", "session"])
def test_each_test_is_rolled_back(project: Project, scope: str) -> None:
    project(WRITERS, scope=scope).assert_outcomes(passed=7)


def test_tests_without_the_extension_are_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import flask
        import pytest

        @pytest.fixture
        def app():
            return flask.Flask("plain")

        def test_plain(client):
            assert client.get("/").status_code == 404

        def test_nothing():
            pass
    """)
    pytester.runpytest_subprocess(*ALWAYS).assert_outcomes(passed=2)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "isolated_item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


def test_a_block_is_isolated_and_others_see_nothing_of_it(database_url: str, outside: Outside) -> None:
    uow = UnitOfWork(metadata=Base.metadata)
    shop = Flask("shop")
    shop.config["UNITOFWORK_DATABASES"] = database_url
    uow.init_app(shop)
    with shop.app_context():
        uow.create_all()
        engine = uow.engine

    with isolated(shop):
        with uow.scope(shop) as session:
            session.add(Item(name="tea"))
        with uow.scope(shop) as session:
            assert session.scalars(select(Item.name)).all() == ["tea"]
        with outside(engine) as connection:
            assert connection.scalars(select(Item.name)).all() == []

    with outside(engine) as connection:
        assert connection.scalars(select(Item.name)).all() == []
    with uow.scope(shop) as session:
        session.add(Item(name="coffee"))
    with outside(engine) as connection:
        assert connection.scalars(select(Item.name)).all() == ["coffee"]
    engine.dispose()


def test_an_app_without_the_extension_cannot_be_isolated() -> None:
    with pytest.raises(NotInitializedError, match=r"uow\.init_app\(app\)"), isolated(Flask("plain")):
        pass
