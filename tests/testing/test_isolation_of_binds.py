"""Isolation where an app has several databases, or one under several names, or where several apps have one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, nullcontext, suppress
from typing import Any, Final

import pytest
from flask import Flask, request
from sqlalchemy import ClauseElement, Engine, String, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, ORMExecuteState, mapped_column

from flask_unitofwork import ShardedSession, UnitOfWork
from flask_unitofwork.testing import isolated
from tests.conftest import Outside
from tests.testing.conftest import Project


class Base(DeclarativeBase):
    pass


class Reader(Base):
    __tablename__ = "binds_reader"

    # Whoever distributes rows also distributes their keys.
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(50))


def a_copy_for_reads(_mapper: object, _clause: object, /, *, writes: bool) -> str | None:
    return None if writes or request.method != "GET" else "copy"


def by_parity(_mapper: object, instance: Any, _clause: object = None, /) -> str:
    return "default" if instance is None or instance.id % 2 else "even"


def by_key(_mapper: Mapper[Any], primary_key: Any, /, **_: Any) -> Iterable[str]:
    return ["default" if primary_key[0] % 2 else "even"]


def everywhere(_state: ORMExecuteState, /) -> Iterable[str]:
    return ["default", "even"]


def no_opinion(_mapper: object, _clause: ClauseElement | None, /, *, writes: bool) -> None:
    del writes


SHARDED: Final = {
    "class_": ShardedSession,
    "shards": ["default", "even"],
    "shard_chooser": by_parity,
    "identity_chooser": by_key,
    "execute_chooser": everywhere,
}


class Library:
    """An app with readers in its databases."""

    def __init__(self, databases: dict[str, Any], *, makes_tables: bool = True, **config: Any) -> None:
        self.app = Flask("library")
        self.app.config.update(UNITOFWORK_DATABASES=databases, PROPAGATE_EXCEPTIONS=False, TESTING=True, **config)
        self.uow = UnitOfWork(self.app, metadata=Base.metadata)
        for engine in self.engines.values() if makes_tables else ():
            Base.metadata.create_all(engine)

    @property
    def engines(self) -> dict[str, Engine]:
        with self.app.app_context():
            return dict(self.uow.engines)

    def names(self, bind: str) -> list[str]:
        """What a Core connection of the app reads in one of its databases."""
        with self.engines[bind].connect() as connection:
            return list(connection.scalars(select(Reader.name).order_by(Reader.id)))


MakeLibrary = Callable[..., Library]

Treat = Callable[..., Any]


@pytest.fixture
def make_library() -> Iterator[MakeLibrary]:
    made: list[Library] = []

    def make(databases: dict[str, Any], **options: Any) -> Library:
        made.append(Library(databases, **options))
        return made[-1]

    yield make
    for library in made:
        with library.app.app_context():
            library.uow.dispose()


@pytest.fixture(params=["isolated", "real"])
def treat(request: pytest.FixtureRequest, outside: Outside) -> Treat:
    """A block for apps that is isolated, and looked at afterwards; or not, so that tests can say what is true."""
    is_isolated = request.param == "isolated"

    def treated(*libraries: Library) -> ExitStack:
        end = ExitStack()
        for library in libraries:
            if is_isolated:
                end.callback(check_empty, library, outside)
        for library in libraries:
            end.enter_context(isolated(library.app) if is_isolated else nullcontext())
        return end

    return treated


def check_empty(library: Library, outside: Outside) -> None:
    for engine in library.engines.values():
        with outside(engine) as connection:
            assert connection.scalars(select(Reader.name)).all() == []


def is_in_memory(url: str) -> bool:
    return url == "sqlite://"


def test_two_names_of_one_database(database_url: str, make_library: MakeLibrary, treat: Treat) -> None:
    library = make_library({"default": database_url, "same": {"url": database_url, "pool_pre_ping": True}})
    with treat(library):
        with library.uow.scope(library.app) as session:
            session.add(Reader(id=1, name="Ada"))
        assert library.names("same") == ([] if is_in_memory(database_url) else ["Ada"])
        with library.engines["same"].begin() as connection:
            connection.execute(insert(Reader).values(id=2, name="Bob"))
        assert library.names("default") == (["Ada"] if is_in_memory(database_url) else ["Ada", "Bob"])
        with suppress(LookupError), library.uow.scope(library.app) as session:
            session.add(Reader(id=3, name="never"))
            session.flush()
            raise LookupError
        assert "never" not in library.names("same") + library.names("default")


@pytest.mark.parametrize("opens", ["default", "same"])
def test_whichever_name_is_used_first_the_other_connects_in_the_test(
    database_url: str, make_library: MakeLibrary, treat: Treat, opens: str
) -> None:
    if is_in_memory(database_url):
        return  # it has one name
    make_library({"default": database_url})
    library = make_library({"default": database_url, "same": database_url}, makes_tables=False)
    with treat(library):
        with library.engines[opens].begin() as connection:
            connection.execute(insert(Reader).values(id=1, name="Ada"))
        assert [library.names(bind) for bind in ("default", "same")] == [["Ada"], ["Ada"]]


def test_reads_that_go_to_a_copy_find_what_the_primary_has_committed(
    database_url: str, make_library: MakeLibrary, treat: Treat
) -> None:
    if is_in_memory(database_url):
        return  # it cannot have a second name
    library = make_library(
        {"default": database_url, "copy": database_url},
        UNITOFWORK_BIND_CHOOSERS=[a_copy_for_reads, no_opinion],
    )
    asked: list[str] = []

    @library.app.route("/", methods=["GET", "POST"])
    def readers() -> list[str]:
        session = library.uow.session
        if request.method == "POST":
            session.add(Reader(id=1, name="Ada"))
            session.flush()
        asked.append("copy" if session.get_bind(Reader) is library.engines["copy"] else "default")
        return list(session.scalars(select(Reader.name)))

    client = library.app.test_client()
    with treat(library):
        assert [client.get("/").json, client.post("/").json, client.get("/").json] == [[], ["Ada"], ["Ada"]]
    assert len(asked) == 3


def test_an_engine_is_used_beside_sessions(
    database_url: str, another_url: Callable[[], str], make_library: MakeLibrary, treat: Treat
) -> None:
    library = make_library({"default": database_url, "reports": another_url()})
    reports = library.engines["reports"]

    @library.app.post("/<int:key>/<int:status>")
    def report(key: int, status: int) -> tuple[str, int]:
        library.uow.session.add(Reader(id=key, name="in default"))
        with library.uow.get_engine("reports").begin() as connection:
            connection.execute(insert(Reader).values(id=key, name=f"in reports {key}"))
        with reports.connect() as connection:
            connection.execute(insert(Reader).values(id=key + 10, name="never committed"))
        return "", status

    with treat(library):
        client = library.app.test_client()
        assert [client.post("/1/201").status_code, client.post("/2/409").status_code] == [201, 409]
        assert library.names("default") == ["in default"]
        assert library.names("reports") == ["in reports 1", "in reports 2"]
        with reports.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(insert(Reader).values(id=3, name="in autocommit"))
            connection.rollback()
        assert library.names("reports")[-1] == "in autocommit"


def test_the_rows_of_a_table_are_in_several_databases(
    database_url: str, another_url: Callable[[], str], make_library: MakeLibrary, treat: Treat
) -> None:
    library = make_library({"default": database_url, "even": another_url()}, UNITOFWORK_SESSION_OPTIONS=SHARDED)
    session = library.uow.registry

    @library.app.post("/<int:key>/<int:status>")
    def add(key: int, status: int) -> tuple[str, int]:
        session.add_all([Reader(id=key, name=f"{key}"), Reader(id=key + 1, name=f"{key + 1}")])
        session.flush()
        with suppress(LookupError), library.uow.savepoint():
            session.add_all([Reader(id=key + 100, name="never"), Reader(id=key + 101, name="never")])
            session.flush()
            raise LookupError
        return "", status

    @library.app.get("/")
    def names() -> dict[str, Any]:
        ada = session.get(Reader, 1)
        return {"all": sorted(session.scalars(select(Reader.name))), "one": ada and ada.name}

    client = library.app.test_client()
    with treat(library):
        assert client.get("/").json == {"all": [], "one": None}
        assert [client.post("/1/201").status_code, client.post("/3/409").status_code] == [201, 409]
        assert client.post("/1/201").status_code == 500  # there are such rows
        assert client.get("/").json == {"all": ["1", "2"], "one": "1"}
        assert [library.names("default"), library.names("even")] == [["1"], ["2"]]


def test_two_apps_have_one_database(database_url: str, make_library: MakeLibrary, treat: Treat) -> None:
    if is_in_memory(database_url):
        return  # it is an engine's alone
    shop, office = make_library({"default": database_url}), make_library({"main": database_url, "default": "sqlite://"})
    with treat(shop, office):
        with shop.uow.scope(shop.app) as session:
            session.add(Reader(id=1, name="by the shop"))
        with office.engines["main"].begin() as connection:
            connection.execute(insert(Reader).values(id=2, name="by the office"))
        with shop.uow.scope(shop.app) as session:
            assert sorted(session.scalars(select(Reader.name))) == ["by the office", "by the shop"]
        assert office.names("main") == ["by the shop", "by the office"]
        assert office.names("default") == []


OFFICE = """
import os
from flask import Flask

office_uow = UnitOfWork(metadata=Base.metadata)

def make_office(url=None):
    app = Flask("office")
    app.config["UNITOFWORK_DATABASES"] = url or os.environ["SHOP_DATABASE"]
    office_uow.init_app(app)
    return app

@pytest.fixture(scope="module")
def wide():
    return make_office()

@pytest.fixture(params=["module", "function", "in the test"])
def office(request, app):
    if request.param == "module":
        return lambda: request.getfixturevalue("wide")
    if request.param == "function":
        office = make_office()
        return lambda: office
    return make_office

@pytest.mark.parametrize("round", range(2))
def test_an_app_on_the_same_database_is_isolated_too(client, office, round):
    office = office()
    assert client.get("/items").json == []
    with office_uow.scope(office) as session:
        session.add(Item(name="by the office"))
    assert client.get("/items").json == ["by the office"]
    assert client.post("/items/tea").status_code == 201
    with office_uow.scope(office) as session:
        assert session.scalars(select(Item.name).order_by(Item.id)).all() == ["by the office", "tea"]

def test_an_app_on_another_database_is_left_alone(app, tmp_path):
    for round in range(2):
        office = make_office(f"sqlite:///{tmp_path}/office.db")
        with office_uow.scope(office) as session:
            if round:
                assert session.scalars(select(Item.name)).all() == ["kept"]
            else:
                office_uow.create_all()
                session.add(Item(name="kept"))
"""


def test_a_project_with_two_apps(project: Project, database_url: str) -> None:
    if is_in_memory(database_url):
        return  # it is an engine's alone
    project(OFFICE, scope="module").assert_outcomes(passed=7)
