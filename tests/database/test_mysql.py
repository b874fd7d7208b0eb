"""MySQL's and MariaDB's defaults for the web: each is there, and each gives way to what the user says."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DataError, OperationalError

from flask_unitofwork.database import mysql
from flask_unitofwork.database.plan import EnginePlan
from tests.database.conftest import MakeEngines


def variable(engine: Engine, name: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"SELECT @@SESSION.{name}").scalar_one()


def modes(engine: Engine) -> set[str]:
    return set(str(variable(engine, "sql_mode")).split(","))


# -- defaults --------------------------------------------------------------------------------------------------------


def test_every_character_can_be_stored(mariadb_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(mariadb_url)["default"]

    assert variable(engine, "character_set_client") == "utf8mb4"
    with engine.connect() as connection:
        assert connection.execute(text("SELECT :cake"), {"cake": "🍰"}).scalar_one() == "🍰"


def test_a_connection_is_renewed_before_whoever_is_between_drops_it(
    mariadb_url: str, make_engines: MakeEngines
) -> None:
    engine = make_engines(mariadb_url)["default"]

    assert engine.pool._recycle == 230


def test_a_value_that_does_not_fit_is_an_error(mariadb_url: str, make_engines: MakeEngines) -> None:
    lax = {"url": mariadb_url, "connect_args": {"sql_mode": ""}}
    engines = make_engines({"default": mariadb_url, "lax": lax})
    with engines["default"].begin() as connection:
        connection.execute(text("CREATE TABLE note (name VARCHAR(3))"))

    with engines["default"].connect() as connection, pytest.raises(DataError, match="Data too long"):
        connection.execute(text("INSERT INTO note VALUES ('longer')"))
    with engines["lax"].connect() as connection:
        connection.execute(text("INSERT INTO note VALUES ('longer')"))


def test_the_servers_other_modes_are_left(mariadb_url: str, make_engines: MakeEngines) -> None:
    lax = {"url": mariadb_url, "connect_args": {"init_command": "SET SESSION sql_mode = 'ANSI_QUOTES'"}}
    engines = make_engines({"default": mariadb_url, "own": lax})

    assert {"STRICT_TRANS_TABLES", "NO_ENGINE_SUBSTITUTION"} <= modes(engines["default"])
    assert modes(engines["own"]) == {"ANSI_QUOTES"}


def test_without_timeouts_the_servers_own_are_left(mariadb_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(mariadb_url)["default"]

    assert variable(engine, "max_statement_time") == 0
    assert variable(engine, "innodb_lock_wait_timeout") == 50


# -- timeouts --------------------------------------------------------------------------------------------------------


def test_timeouts_are_the_sessions(mariadb_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(mariadb_url, statement_timeout=0.25, lock_timeout=1.2)["default"]

    assert variable(engine, "max_statement_time") == 0.25
    assert variable(engine, "innodb_lock_wait_timeout") == 2
    assert variable(engine, "lock_wait_timeout") == 2


def test_a_statement_that_takes_too_long_is_interrupted(mariadb_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(mariadb_url, statement_timeout=0.1)["default"]

    with engine.connect() as connection, pytest.raises(OperationalError, match="max_statement_time exceeded"):
        connection.execute(text("SELECT SLEEP(60)"))


def test_a_lock_is_waited_for_as_long_as_configured(mariadb_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(mariadb_url, lock_timeout=0.5)["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE stock (amount INTEGER) ENGINE = InnoDB"))
        connection.execute(text("INSERT INTO stock VALUES (1)"))

    with engine.connect() as holder, engine.connect() as waiting:
        holder.execute(text("UPDATE stock SET amount = 2"))
        begun = time.monotonic()
        with pytest.raises(OperationalError, match="Lock wait timeout exceeded"):
            waiting.execute(text("UPDATE stock SET amount = 3"))
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    ("is_mariadb", "statement_timeout", "expected"),
    [
        (True, 0.25, {"max_statement_time": "0.250000"}),
        (False, 0.25, {"max_execution_time": "250"}),
        (False, 0.0001, {"max_execution_time": "1"}),
        (False, None, {}),
    ],
)
def test_mariadb_and_mysql_name_and_count_the_statement_timeout_differently(
    is_mariadb: bool, statement_timeout: float | None, expected: dict[str, str]
) -> None:
    plan = EnginePlan(
        name="default",
        url=make_url("mysql+pymysql://localhost/shop"),
        options={},
        connect_args={"sql_mode": "ANSI"},
        statement_timeout=statement_timeout,
        lock_timeout=None,
        application_name="shop",
    )

    assert mysql.session_variables(plan, is_mariadb=is_mariadb) == expected


# -- the user wins ---------------------------------------------------------------------------------------------------


def test_the_urls_character_set_wins(mariadb_url: str, make_engines: MakeEngines) -> None:
    url = make_url(mariadb_url).update_query_dict({"charset": "latin1"})
    engine = make_engines(url.render_as_string(hide_password=False))["default"]

    assert variable(engine, "character_set_client") == "latin1"


def test_an_init_command_wins_for_what_it_sets(mariadb_url: str, make_engines: MakeEngines) -> None:
    own = {"url": mariadb_url, "connect_args": {"init_command": "SET SESSION innodb_lock_wait_timeout = 7"}}
    engine = make_engines({"default": own}, lock_timeout=3)["default"]

    assert variable(engine, "innodb_lock_wait_timeout") == 7
    assert variable(engine, "lock_wait_timeout") == 3


def test_an_engine_option_wins(mariadb_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines({"default": {"url": mariadb_url, "pool_recycle": 99}})["default"]

    assert engine.pool._recycle == 99


def test_an_init_command_that_sets_everything_leaves_nothing_to_set(
    mariadb_url: str, make_engines: MakeEngines
) -> None:
    own = {"url": mariadb_url, "connect_args": {"init_command": "SET sql_mode = 'TRADITIONAL'"}}

    assert "TRADITIONAL" in modes(make_engines({"default": own})["default"])
