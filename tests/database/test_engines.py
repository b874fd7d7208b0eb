"""The engines of an app: found by name, viewed by intent, refused with a reason."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, dialects, select, text
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.pool import NullPool, StaticPool

from flask_unitofwork.config import Settings
from flask_unitofwork.database import Engines
from flask_unitofwork.database.intent import Intent
from flask_unitofwork.database.transactions import begin_as
from flask_unitofwork.exceptions import ConfigurationError, UnknownBindError
from tests.conftest import Outside
from tests.database.conftest import MakeEngines


def test_a_committed_row_is_seen_by_others_and_a_rolled_back_one_is_not(
    database_url: str, make_engines: MakeEngines, outside: Outside
) -> None:
    engine = make_engines(database_url)["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE product (name VARCHAR(20))"))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO product VALUES ('tea')"))
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO product VALUES ('rum')"))
        connection.rollback()

    with outside(engine) as connection:
        assert connection.scalars(text("SELECT name FROM product")).all() == ["tea"]


# -- by name ---------------------------------------------------------------------------------------------------------


def test_engines_are_a_mapping_by_name(make_engines: MakeEngines) -> None:
    engines = make_engines({"default": "sqlite://", "audit": {"url": "sqlite://"}})

    assert list(engines) == ["default", "audit"]
    assert len(engines) == 2
    assert "audit" in engines
    assert engines.get("audit") is engines["audit"]
    assert engines["audit"] is not engines["default"]


def test_an_unknown_name_is_an_error_that_names_the_known_ones(make_engines: MakeEngines) -> None:
    engines = make_engines({"default": "sqlite://", "audit": "sqlite://"})

    with pytest.raises(UnknownBindError) as raised:
        engines["audits"]

    assert str(raised.value) == (
        "There is no database 'audits'; UNITOFWORK_DATABASES has 'default', 'audit'."
        " Write one of these names, or add {'audits': \"<its URL>\"} to UNITOFWORK_DATABASES."
    )
    assert isinstance(raised.value, LookupError)
    assert "audits" not in engines
    assert engines.get("audits") is None
    with pytest.raises(UnknownBindError):
        engines["audits"]


def test_making_engines_opens_no_connection(make_engines: MakeEngines) -> None:
    nobody_listens = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"

    assert make_engines(nobody_listens)["default"].url.port == 1


# -- other kinds of databases ----------------------------------------------------------------------------------------


class ShopDialect(SQLiteDialect_pysqlite):
    """A kind of database that the package has never heard of."""

    name = "shopdb"
    supports_statement_cache = True


def test_a_kind_of_database_without_defaults_works_as_create_engine_makes_it(
    tmp_path: Path, make_engines: MakeEngines
) -> None:
    dialects.registry.register("shopdb", __name__, "ShopDialect")
    engines = make_engines(f"shopdb:///{tmp_path}/shop.db")

    with engines["default"].connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 0


# -- what the user says ----------------------------------------------------------------------------------------------


def test_a_databases_own_options_win_over_those_for_all(make_engines: MakeEngines) -> None:
    engines = make_engines(
        {"default": "sqlite://", "audit": {"url": "sqlite://", "pool_size": 2, "connect_args": {"timeout": 7}}},
        engine_options={"pool_size": 3, "connect_args": {"timeout": 1, "cached_statements": 50}},
    )

    assert pool_size(engines["default"]) == 3
    assert pool_size(engines["audit"]) == 2
    with engines["default"].connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 1000
    with engines["audit"].connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 7000


def pool_size(engine: Engine) -> int:
    pool: Any = engine.pool
    size: int = pool.size()
    return size


def test_a_pool_class_of_the_users_choice_is_used(database_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines({"default": {"url": database_url, "poolclass": NullPool}})["default"]

    assert isinstance(engine.pool, NullPool)
    with engine.connect() as connection:
        assert connection.scalar(select(1)) == 1


def test_connections_that_the_user_makes_are_used(database_url: str, make_engines: MakeEngines) -> None:
    if database_url == "sqlite://":
        database_url = "sqlite:///:memory:?check_same_thread=false"
    own = create_engine(database_url, poolclass=StaticPool)
    made: list[object] = []

    def create() -> Any:
        made.append(connection := own.raw_connection().driver_connection)
        return connection

    engine = make_engines({"default": {"url": database_url, "creator": create, "poolclass": StaticPool}})["default"]
    with engine.connect() as connection:
        assert connection.connection.driver_connection is made[0]
        assert connection.scalar(select(1)) == 1


def test_a_pool_that_the_user_makes_is_used(database_url: str, make_engines: MakeEngines) -> None:
    pool = create_engine(database_url).pool
    engine = make_engines({"default": {"url": database_url, "pool": pool}})["default"]

    assert engine.pool is pool
    with engine.connect() as connection:
        assert connection.scalar(select(1)) == 1


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql+pg8000://localhost/shop", '[postgresql]" and begin the URL with "postgresql+psycopg://".'),
        ("mysql+cymysql://localhost/shop", '[mysql]" and begin the URL with "mysql+pymysql://".'),
        ("mariadb+cymysql://localhost/shop", '[mysql]" and begin the URL with "mariadb+pymysql://".'),
    ],
)
def test_a_missing_driver_is_an_error_that_names_what_to_install(
    url: str, advice: str, make_engines: MakeEngines
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        make_engines(url)

    message = str(raised.value)
    assert message.startswith("UNITOFWORK_DATABASES['default']: the driver of ")
    assert 'Run pip install "flask-unitofwork' in message
    assert message.endswith(advice)


def test_a_missing_driver_of_another_kind_of_database_is_named(make_engines: MakeEngines) -> None:
    with pytest.raises(ConfigurationError, match=r"driver of 'mssql\+pymssql' is not installed \(.*\)\. Install it\.$"):
        make_engines("mssql+pymssql://localhost/shop")


def test_an_unknown_kind_of_database_is_an_error(make_engines: MakeEngines) -> None:
    with pytest.raises(ConfigurationError, match=r"\['default'\]: SQLAlchemy knows no database 'postgres'"):
        make_engines("postgres://localhost/shop")


def test_an_asynchronous_driver_is_refused(make_engines: MakeEngines) -> None:
    with pytest.raises(ConfigurationError, match=r"'postgresql\+psycopg_async' is an asynchronous driver"):
        make_engines("postgresql+psycopg_async://localhost/shop")


def test_an_option_that_create_engine_does_not_know_is_an_error_that_names_the_database(
    make_engines: MakeEngines,
) -> None:
    with pytest.raises(ConfigurationError, match=r"\['audit'\]: create_engine refuses these options: .*pool_siz"):
        make_engines({"default": "sqlite://", "audit": {"url": "sqlite://", "pool_siz": 3}})


def test_a_replica_of_another_kind_than_its_primary_is_an_error(make_engines: MakeEngines) -> None:
    databases = {
        "default": {
            "url": "sqlite:///shop.db",
            "replicas": ["sqlite:///copy.db", "postgresql+psycopg://localhost/shop"],
        }
    }
    with pytest.raises(ConfigurationError) as raised:
        make_engines(databases)

    assert str(raised.value) == (
        "UNITOFWORK_DATABASES['default'][\"replicas\"][1] is a postgresql database, but its primary is sqlite:"
        " a replica is a copy that the primary's own server feeds."
        " To use another database beside this one, give it a name of its own in UNITOFWORK_DATABASES."
    )


def test_replicas_of_the_primarys_kind_are_accepted(make_engines: MakeEngines) -> None:
    make_engines({"default": {"url": "sqlite:///shop.db", "replicas": ["sqlite:///copy.db"]}})


# -- going away ------------------------------------------------------------------------------------------------------


def test_disposing_closes_idle_connections_and_the_engines_go_on(database_url: str, make_engines: MakeEngines) -> None:
    engines = make_engines(database_url)
    with engines["default"].connect() as connection:
        before = connection.connection.driver_connection
        connection.scalar(select(1))

    engines.dispose()

    with engines["default"].connect() as connection:
        assert connection.connection.driver_connection is not before
        assert connection.scalar(select(1)) == 1


def test_hundreds_of_apps_leave_nothing_behind(database_url: str) -> None:
    settings = Settings.from_config({"UNITOFWORK_DATABASES": database_url}, instance_path="instance")
    use_engines(settings)
    # What other tests left to the garbage collector may take it two rounds: a finalizer lets go of the rest.
    gc.collect()
    gc.collect()
    before = open_things()

    for _ in range(200 if database_url.startswith("sqlite") else 50):
        use_engines(settings)

    gc.collect()
    gc.collect()
    assert {name: count for name, count in open_things().items() if count > before[name]} == {}


def use_engines(settings: Settings) -> None:
    engines = Engines(settings)
    with engines["default"].connect() as connection:
        begin_as(connection, Intent(writes=True))
        connection.scalar(select(1))
    engines.dispose()


def open_things() -> dict[str, int]:
    folders = {Path("/dev/shm"), Path(tempfile.gettempdir())}
    return {
        "files and sockets": len(list(Path("/dev/fd").iterdir())),
        "threads": threading.active_count(),
        "backing files": sum(1 for folder in folders for _ in folder.glob(f"unitofwork-{os.getpid()}-*")),
        "engines": sum(isinstance(found, (Engine, Engines)) for found in gc.get_objects()),
    }
