"""Each worker of a test run has databases of its own, and nothing is left of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, make_url, text
from sqlalchemy.pool import NullPool

from flask_unitofwork import ConfigurationError
from flask_unitofwork.testing.worker_databases import WorkerDatabases

from .conftest import Project

CONFTEST = """
import os
import pytest
from flask import Flask
from shop import create_app

@pytest.fixture(scope="session")
def app(uow_worker_url):
    os.environ["SHOP_DATABASE"] = uow_worker_url(os.environ["SHOP_SERVER"])
    return create_app()
"""

# Each test writes for real, and looks whether another worker does the same beside it.
WORKERS = """
import os, pathlib

@pytest.fixture
def worker(uow_session, pytestconfig):
    here = pathlib.Path(__file__).parent
    name = getattr(pytestconfig, "workerinput", {"workerid": "main"})["workerid"]
    here.joinpath("seen", name).write_text(os.environ["SHOP_DATABASE"])

@pytest.mark.uow_real_commits
@pytest.mark.parametrize("number", range(6))
def test_nobody_else_writes_here(client, worker, number):
    assert client.get("/items").json == []
    assert client.post("/items/tea").status_code == 201
    assert client.get("/items").json == ["tea"]
"""


@pytest.fixture
def seen(pytester: pytest.Pytester) -> Path:
    """Where the tests of the project write which database each worker has."""
    return pytester.mkdir("seen")


@pytest.fixture
def base(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL whose database need not exist."""
    url = make_url(database_url)
    base = url if url.get_backend_name() == "sqlite" else url.set(database=f"{url.database}_shop")
    text = base.render_as_string(hide_password=False)
    monkeypatch.setenv("SHOP_SERVER", text)
    return text


@pytest.fixture
def postgresql(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The server, and in the environment the URL of a database that does not exist."""
    url = make_url(postgresql_url).set(database="shop_test")
    monkeypatch.setenv("SHOP_SERVER", url.render_as_string(hide_password=False))
    engine = create_engine(postgresql_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


def all_databases(url: str) -> set[str]:
    engine = create_engine(url, poolclass=NullPool)
    if engine.dialect.name in {"mysql", "mariadb"}:
        return set(inspect(engine).get_schema_names())
    with engine.connect() as connection:
        return set(connection.scalars(text("SELECT datname FROM pg_database")))


def databases(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return {name for name in connection.scalars(text("SELECT datname FROM pg_database")) if "shop_test" in name}


def test_each_worker_has_a_database_of_its_own_until_the_run_is_over(
    project: Project, base: str, seen: Path, database_url: str
) -> None:
    project(WORKERS, "-n", "2", conftest=CONFTEST).assert_outcomes(passed=6)
    used = [file.read_text() for file in seen.iterdir()]
    assert len(used) == 2
    for url in map(make_url, used):
        if url.get_backend_name() == "sqlite":
            assert not url.database or not Path(url.database).exists()
        else:
            assert url.database not in all_databases(database_url)
    if base != "sqlite://":
        assert len({base, *used}) == 3


def test_a_run_without_workers_has_one_as_well(postgresql_project: Project, postgresql: Engine, seen: Path) -> None:
    postgresql_project(WORKERS, conftest=CONFTEST).assert_outcomes(passed=6)
    assert make_url((seen / "main").read_text()).database == "shop_test_main"
    assert databases(postgresql) == set()


def test_on_postgresql_tables_are_made_by_one_worker_and_copied_by_the_others(
    postgresql_project: Project, postgresql: Engine, seen: Path
) -> None:
    made = (
        CONFTEST
        + """
@pytest.fixture(scope="session")
def uow_seed():
    import pathlib
    from shop import Item, uow

    def fill(app):
        with open("made", "a") as file:
            file.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")
        with uow.scope(app) as session:
            session.add(Item(name="bread"))
    return fill
"""
    )
    # Whoever leaves last drops what is copied: nobody leaves here before all have come.
    tests = """
import os, pathlib, time

@pytest.mark.parametrize("number", range(12))
def test_it_is_seeded(client, number, worker_id):
    assert client.get("/items").json == ["bread"]
    client.post("/items/tea")
    pathlib.Path("seen", worker_id).touch()
    until = time.monotonic() + 60
    while len(os.listdir("seen")) < 3 and time.monotonic() < until:
        time.sleep(0.01)
"""
    postgresql_project(tests, "-n", "3", conftest=made).assert_outcomes(passed=12)
    assert len(Path("made").read_text().split()) == 1
    assert databases(postgresql) == set()


KILLED = """
import os, signal

def test_that_kills_its_worker(client):
    client.post("/items/tea")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_run_drops_what_a_crashed_worker_left(
    postgresql_project: Project, postgresql: Engine, seen: Path
) -> None:
    postgresql_project(KILLED, "-n", "1", "--max-worker-restart=0", conftest=CONFTEST)
    left = databases(postgresql)
    assert "shop_test_gw0" in left
    assert len(left) == 2  # the other one is the template
    postgresql_project(WORKERS, conftest=CONFTEST).assert_outcomes(passed=6)
    assert databases(postgresql) == set()


def test_two_runs_beside_each_other_have_their_own(postgresql: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    url = make_url(str(postgresql.url)).set(database="shop_test")
    one, other = WorkerDatabases("main", "1"), WorkerDatabases("main", "2")
    assert make_url(one.url(url)).database == "shop_test_main"
    assert make_url(other.url(url)).database == "shop_test_main_2"
    assert one.url(url) == one.url(url)
    one.drop()
    assert databases(postgresql) == {"shop_test_main_2"}
    other.drop()
    assert databases(postgresql) == set()


def test_a_worker_s_database_keeps_all_letters(mariadb_url: str) -> None:
    databases = WorkerDatabases("main", "1")
    engine = create_engine(databases.url(mariadb_url), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE words (word VARCHAR(20))"))
        connection.execute(text("INSERT INTO words VALUES ('Muñoz 🍞')"))
        assert connection.scalar(text("SELECT word FROM words")) == "Muñoz 🍞"
    databases.drop()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql+psycopg://localhost", r"this URL has none.*it need not exist"),
        ("sqlite:///file:tests.db?uri=true", r'write "sqlite:///tests\.db"'),
        ("oracle+oracledb://localhost/shop", r"and not on oracle.*worker_id"),
    ],
)
def test_a_url_that_no_database_can_be_made_from_is_told(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        WorkerDatabases("main", "1").url(url)


def test_a_name_that_is_too_long_is_told(postgresql: Engine) -> None:
    databases = WorkerDatabases("gw0", "1")
    with pytest.raises(ConfigurationError, match=r"63 bytes\. Write a shorter name"):
        databases.url(postgresql.url.set(database="x" * 60))
    databases.drop()


def test_a_user_who_may_not_make_databases_is_told(postgresql: Engine) -> None:
    with postgresql.connect() as connection:
        connection.execute(text("CREATE ROLE tester LOGIN"))
    try:
        databases = WorkerDatabases("main", "1")
        with pytest.raises(Exception, match="permission denied") as caught:
            databases.url(postgresql.url.set(username="tester", database="shop_test"))
        assert "ALTER ROLE … CREATEDB" in " ".join(caught.value.__notes__)
        databases.drop()
    finally:
        with postgresql.connect() as connection:
            connection.execute(text("DROP ROLE tester"))
