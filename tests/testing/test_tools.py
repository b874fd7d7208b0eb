"""The plugin beside the tools that test suites are made with: each the real one, in a generated project."""

from __future__ import annotations

from .conftest import Project

FACTORIES = """
from factory import Sequence
from factory.alchemy import SQLAlchemyModelFactory
from flask_unitofwork.testing import current_test_session

class ItemFactory(SQLAlchemyModelFactory):
    class Meta:
        model = Item
        sqlalchemy_session_factory = current_test_session
        sqlalchemy_session_persistence = "commit"

    name = Sequence("item {}".format)

@pytest.fixture
def tea():
    return ItemFactory(name="tea")

@pytest.mark.parametrize("time", [1, 2])
def test_the_app_sees_what_a_factory_makes(client, time):
    ItemFactory(name="tea")
    assert client.get("/items").json == ["tea"]

def test_a_fixture_may_use_one(tea, client, uow_session):
    client.post("/rename/tea/coffee")
    assert tea.name == "coffee"
    assert tea in uow_session

@pytest.mark.uow_real_commits
@pytest.mark.parametrize("time", [1, 2])
def test_commits_may_be_real(client, time):
    ItemFactory.create_batch(3)
    assert len(client.get("/items").json) == 3
"""


def test_factory_boy(project: Project) -> None:
    project(FACTORIES).assert_outcomes(passed=5)


def test_a_factory_in_a_test_that_is_not_kept_apart_is_refused(sqlite_project: Project) -> None:
    tests = FACTORIES.partition("@pytest.mark.parametrize")[0] + "\ndef test_it():\n    ItemFactory()\n"
    result = sqlite_project(tests)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_it uses no fixture of the app*Let it use uow_session or client*"])


def test_a_factory_outside_of_tests_is_refused(sqlite_project: Project) -> None:
    tests = FACTORIES.partition("@pytest.mark.parametrize")[0] + "\nItemFactory()\n"
    result = sqlite_project(tests, apart=True)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*No test is in progress*Use it in tests and fixtures*"])


ASYNC = """
import asyncio
import pytest_asyncio

@pytest_asyncio.fixture
async def tea(uow_session):
    uow_session.add(Item(name="tea"))
    uow_session.commit()

# pytest-flask's own keeps the context of its last request, which can only be left in the context it was entered in.
@pytest.fixture
def visitor(app):
    return app.test_client()

@pytest.mark.asyncio
@pytest.mark.parametrize("time", [1, 2])
async def test_a_request_in_a_thread(visitor, tea, time):
    response = await asyncio.to_thread(visitor.get, "/items")
    assert response.json == ["tea"]
    assert (await asyncio.to_thread(visitor.post, "/items/milk")).status_code == 201

@pytest.mark.asyncio
async def test_a_request_in_the_loop_s_own_thread(visitor, uow_session):
    assert visitor.post("/items/coffee").status_code == 201
    assert uow_session.scalars(select(Item.name)).all() == ["coffee"]
"""


def test_pytest_asyncio(project: Project) -> None:
    project(ASYNC).assert_outcomes(passed=3)


ANY_ORDER = """
@pytest.mark.parametrize("number", range(20))
def test_each_finds_an_empty_shop(client, number):
    assert client.get("/items").json == []
    client.post(f"/items/{number}")

@pytest.mark.uow_real_commits
@pytest.mark.parametrize("number", range(3))
def test_real_commits_among_them(client, number):
    assert client.get("/items").json == []
    client.post(f"/items/{number}")
"""


def test_pytest_randomly(sqlite_project: Project) -> None:
    orders: set[tuple[str, ...]] = set()
    for seed in ("1", "2"):
        result = sqlite_project(ANY_ORDER, "-v", "-p", "randomly", f"--randomly-seed={seed}", scope="session")
        result.assert_outcomes(passed=23)
        ran = [line.split()[0] for line in result.outlines if " PASSED" in line]
        assert all("real_commits" in name for name in ran[-3:])
        orders.add(tuple(ran))
    assert len(orders) == 2


EXAMPLES = """
from hypothesis import given, settings
from hypothesis.strategies import lists, text
from flask_unitofwork.testing import isolated_example

NAMES = lists(text("abc", min_size=1, max_size=3), unique=True)

@given(names=NAMES)
@settings(max_examples=30, deadline=None)
def test_each_example_finds_an_empty_shop(app, names):
    with isolated_example(app) as session:
        client = app.test_client()
        assert client.get("/items").json == []
        for name in names:
            assert client.post(f"/items/{name}").status_code == 201
        assert session.scalars(select(Item.name).order_by(Item.id)).all() == names
        assert client.get("/items").json == names

@pytest.fixture
def bread(app):
    with uow.scope(app) as session:
        session.add(Item(name="bread"))

@pytest.mark.usefixtures("bread")
@given(name=text("abc", min_size=1, max_size=3))
@settings(max_examples=10, deadline=None)
def test_what_the_test_wrote_before_stays(app, name):
    with isolated_example(app) as session:
        session.add(Item(name=name))
        session.commit()
        assert app.test_client().get("/items").json == ["bread", name]

def test_nothing_is_left(client):
    assert client.get("/items").json == []

def test_it_needs_no_isolated_test():
    app = create_app()
    with app.app_context():
        uow.create_all()
    for _ in range(2):
        with isolated_example(app) as session:
            session.add(Item(name="tea"))
            session.commit()
"""


def test_hypothesis(project: Project) -> None:
    project(EXAMPLES, scope="session").assert_outcomes(passed=4)
