"""The fixtures, as a project sees them: with pytest-flask and without it, replaced, and used wrongly."""

from __future__ import annotations

import pytest

from .conftest import ALWAYS, APP, Project

TWICE = '@pytest.mark.parametrize("time", [1, 2])\n'

SESSION = f"""
from sqlalchemy.orm import Session

{TWICE}
def test_the_test_s_session_sees_what_views_commit(client, uow_session, time):
    assert isinstance(uow_session, Session)
    assert uow_session.scalars(select(Item.name)).all() == []
    client.post("/items/tea")
    assert uow_session.scalars(select(Item.name)).all() == ["tea"]

{TWICE}
def test_views_see_what_the_test_s_session_has_committed(client, uow_session, time):
    uow_session.add(Item(name="tea"))
    uow_session.commit()
    assert client.get("/items").json == ["tea"]
    assert client.post("/items/tea").status_code == 409

{TWICE}
def test_an_object_of_the_test_is_as_a_view_left_it(client, uow_session, time):
    item = Item(name="tea")
    uow_session.add(item)
    uow_session.commit()
    assert item.name == "tea"
    client.post("/rename/tea/coffee")
    assert item.name == "coffee"

{TWICE}
def test_a_commit_of_the_app_leaves_what_the_test_has_changed(client, uow_session, time):
    item = Item(name="tea")
    uow_session.add(item)
    uow_session.commit()
    item.name = "milk"
    with uow_session.no_autoflush:
        client.post("/items/coffee")
        assert item.name == "milk"

def test_the_extension_is_a_fixture(uow_session, uow):
    assert uow is globals()["uow"] or uow.metadata is Base.metadata
"""

# Flask's documentation writes these two by hand.
BY_HAND = """
import pytest
from flask import has_app_context
from shop import create_app

@pytest.fixture
def app():
    return create_app()

@pytest.fixture
def client(app):
    assert not has_app_context()
    return app.test_client()
"""


@pytest.mark.parametrize("scope", ["function", "session"])
def test_the_test_has_a_session_of_its_own(project: Project, scope: str) -> None:
    project(SESSION, scope=scope).assert_outcomes(passed=9)


def test_they_work_without_pytest_flask(sqlite_project: Project) -> None:
    sqlite_project(SESSION, "-p", "no:flask", conftest=BY_HAND).assert_outcomes(passed=9)


def test_they_work_where_pytest_flask_is_not_installed(sqlite_project: Project, pytester: pytest.Pytester) -> None:
    gone = """
import sys

class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pytest_flask":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Gone())
"""
    pytester.makepyfile(gone=gone)
    tests = (
        SESSION + "\ndef test_it_is_not_there():\n    with pytest.raises(ImportError):\n        import pytest_flask\n"
    )
    sqlite_project(tests, "-p", "gone", "-p", "no:flask", conftest=BY_HAND, apart=True).assert_outcomes(passed=10)


def test_the_session_needs_no_app_context(sqlite_project: Project) -> None:
    tests = """
from flask import has_app_context

def test_no_context(uow_session):
    uow_session.add(Item(name="tea"))
    uow_session.commit()
    assert uow_session.scalars(select(Item.name)).all() == ["tea"]
    assert not has_app_context()
"""
    sqlite_project(tests, "-p", "no:flask", conftest=BY_HAND).assert_outcomes(passed=1)


def test_an_app_of_another_name_is_named_by_a_fixture(sqlite_project: Project) -> None:
    conftest = """
import pytest
from shop import create_app

@pytest.fixture(scope="session")
def shop():
    return create_app()

@pytest.fixture
def uow_app(shop):
    return shop

@pytest.fixture
def client(uow_app):
    return uow_app.test_client()
"""
    sqlite_project(SESSION, conftest=conftest).assert_outcomes(passed=9)


def test_a_project_s_own_schema_replaces_the_plugin_s(sqlite_project: Project) -> None:
    conftest = """
import pytest
from sqlalchemy import text
from shop import create_app, uow as extension

@pytest.fixture(scope="session")
def app():
    return create_app()

@pytest.fixture(scope="session")
def uow_schema(app):
    with extension.scope(app) as session:
        session.execute(text("CREATE TABLE other (id INTEGER)"))
"""
    tests = """
from sqlalchemy import inspect

def test_the_tables_are_the_project_s(app, uow_session):
    assert inspect(uow_session.connection()).get_table_names() == ["other"]
"""
    sqlite_project(tests, conftest=conftest).assert_outcomes(passed=1)


def test_the_plugin_s_uow_schema_is_set_up_once_for_a_module_s_tests(postgresql_project: Project) -> None:
    tests = """
@pytest.mark.parametrize("round", range(3))
def test_it(client, round):
    assert client.post("/items/tea").status_code == 201
"""
    result = postgresql_project(tests, "--setup-show", scope="session")
    result.assert_outcomes(passed=3)
    assert result.stdout.str().count("SETUP    F uow_schema") == 1


@pytest.mark.parametrize("gives", ["None", "uow_schema"])
def test_a_uow_schema_that_asks_for_the_plugin_s_is_asked_for_each_test(
    postgresql_project: Project, gives: str
) -> None:
    tests = """
asked = []

def look(request):
    return asked.append(request.node.name)

class TestOne:
    @pytest.fixture
    def uow_schema(self, uow_schema, request):
        look(request)
        return %s

    @pytest.mark.parametrize("round", range(2))
    def test_with_more_tables(self, client, round):
        assert len(asked) == round + 1

@pytest.mark.parametrize("round", range(2))
def test_with_the_plugin_s(client, round):
    assert client.post("/items/tea").status_code == 201
    assert len(asked) in (0, 2)
"""
    postgresql_project(tests % gives, scope="session").assert_outcomes(passed=4)


SEEDED = """
import pytest
from shop import Item, create_app, uow as extension

@pytest.fixture(scope="{scope}")
def app():
    return create_app()

@pytest.fixture(scope="session")
def uow_seed():
    def fill(app):
        with extension.scope(app) as session:
            session.add(Item(name="bread"))
    return fill
"""


@pytest.mark.parametrize("scope", ["function", "session"])
def test_every_test_finds_the_seed(project: Project, scope: str) -> None:
    tests = """
@pytest.mark.uow_real_commits
def test_it_is_there_for_real_commits(client):
    assert client.get("/items").json == ["bread"]
    client.post("/items/tea")

@pytest.mark.uow_real_commits
def test_and_again_after_the_tables_were_emptied(client):
    assert client.get("/items").json == ["bread"]

def test_it_is_there(client):
    assert client.get("/items").json == ["bread"]
"""
    project(tests, conftest=SEEDED, scope=scope).assert_outcomes(passed=3)


@pytest.mark.parametrize("which", ["all", "marked", "off"])
def test_a_project_chooses_which_tests_are_rolled_back(
    sqlite_project: Project, pytester: pytest.Pytester, which: str
) -> None:
    pytester.makeini(f"[pytest]\nuow_isolation = {which}")
    rolled_back = {"all": [True, True], "marked": [False, True], "off": [False, False]}[which]
    mark = "@pytest.mark.uow_isolated" if which != "off" else ""
    tests = f"""
from shop import uow
made = create_app()

@pytest.fixture
def uow_app():
    return made

def add(name):
    with uow.scope(made) as session:
        session.add(Item(name=name))

def names():
    with uow.scope(made) as session:
        return session.scalars(select(Item.name)).all()

def test_tables():
    with made.app_context():
        uow.create_all()

def test_plain():
    add("plain")

def test_was_plain_rolled_back():
    assert ("plain" not in names()) is {rolled_back[0]}

{mark}
def test_marked():
    add("marked")

def test_was_marked_rolled_back():
    assert ("marked" not in names()) is {rolled_back[1]}
"""
    sqlite_project(tests).assert_outcomes(passed=5)


# -- bad use ---------------------------------------------------------------------------------------------------------


def told(result: pytest.RunResult, *lines: str) -> None:
    text = " ".join(part.strip("E ") for part in result.outlines + result.errlines)
    for line in lines:
        assert line in text


def test_an_app_without_the_extension_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import flask, pytest

        @pytest.fixture
        def app():
            return flask.Flask("plain")

        def test_it(uow_session):
            pass
    """)
    result = pytester.runpytest_subprocess(*ALWAYS)
    result.assert_outcomes(errors=1)
    told(result, "The fixture `app` gave the app 'plain', which has no UnitOfWork", "Write uow.init_app(app)")


def test_a_fixture_that_gives_no_app_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def app():
            return "shop"

        def test_it(uow):
            pass
    """)
    result = pytester.runpytest_subprocess(*ALWAYS, "-p", "no:flask")
    result.assert_outcomes(errors=1)
    told(result, "The fixture `app` gave an object of type str, and not a Flask app", "`uow_app`")


def test_a_project_without_an_app_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(uow_session):\n    pass")
    result = pytester.runpytest_subprocess(*ALWAYS)
    result.assert_outcomes(errors=1)
    told(result, "write a fixture of that name in conftest.py that returns your Flask app")


def test_other_plugins_apps_and_clients_are_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def app():
            return "an application of something else"

        @pytest.fixture
        def client():
            return "a client of something else"

        def test_app(app):
            pass

        def test_client(client):
            pass
    """)
    pytester.runpytest_subprocess(*ALWAYS, "-p", "no:flask").assert_outcomes(passed=2)


def test_markers_that_exclude_each_other_are_told(sqlite_project: Project) -> None:
    tests = """
@pytest.mark.uow_isolated
@pytest.mark.uow_real_commits
def test_both(client):
    pass
"""
    told(sqlite_project(tests), "test_both is marked uow_isolated and uow_real_commits", "Leave one of them out")


def test_the_nearest_marker_decides(sqlite_project: Project) -> None:
    tests = """
pytestmark = pytest.mark.uow_real_commits

@pytest.mark.uow_isolated
def test_one(client, uow_isolation):
    assert uow_isolation.name == "ISOLATED"

def test_two(client, uow_isolation):
    assert uow_isolation.name == "REAL_COMMITS"
"""
    sqlite_project(tests).assert_outcomes(passed=2)


def test_a_mark_that_the_configuration_contradicts_is_told(sqlite_project: Project, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nuow_isolation = off")
    result = sqlite_project("@pytest.mark.uow_isolated\ndef test_it(client):\n    pass")
    told(result, "uow_isolation = off turns isolation off", "Write uow_isolation = marked")


@pytest.mark.parametrize(
    ("ini", "message"),
    [
        ("uow_isolation = sometimes", 'uow_isolation must be "auto", "all", "marked" or "off"; it is \'sometimes\''),
        ("uow_alembic = migrations", "which does not exist. Name your alembic.ini, or the folder that has env.py"),
    ],
)
def test_an_option_that_cannot_be_is_told(pytester: pytest.Pytester, ini: str, message: str) -> None:
    pytester.makeini(f"[pytest]\n{ini}")
    pytester.makepyfile(shop=APP)
    result = pytester.runpytest_subprocess(*ALWAYS)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told(result, message)


def test_a_fixture_uow_of_a_projects_own_is_its_own(sqlite_project: Project) -> None:
    tests = """
def test_it_is_whatever_the_project_says(uow):
    assert uow == "a unit of work, but of another kind"
"""
    conftest = """
import pytest

@pytest.fixture
def uow():
    return "a unit of work, but of another kind"
"""
    sqlite_project(tests, conftest=conftest).assert_outcomes(passed=1)
