"""PostgreSQL's defaults for the web: each is there, and each gives way to what the user says."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import OperationalError

from flask_unitofwork.config import Settings
from flask_unitofwork.database import Engines
from tests.database.conftest import MakeEngines


def setting(engine: Engine, name: str) -> str:
    with engine.connect() as connection:
        value: str = connection.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one()
    return value


def parameters(engine: Engine) -> dict[str, str]:
    """What the driver connected with."""
    with engine.connect() as connection:
        driver: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # it is psycopg
        return driver.info.get_parameters()


# -- defaults --------------------------------------------------------------------------------------------------------


def test_the_server_is_told_which_application_is_connected(postgresql_url: str) -> None:
    settings = Settings.from_config({"UNITOFWORK_DATABASES": postgresql_url}, instance_path="instance")
    shop, anonymous = Engines(settings, application_name="shop"), Engines(settings)

    assert setting(shop["default"], "application_name") == "shop"
    assert setting(anonymous["default"], "application_name") == "flask_unitofwork"
    shop.dispose()
    anonymous.dispose()


def test_a_host_that_is_gone_is_noticed(postgresql_url: str, make_engines: MakeEngines) -> None:
    sent = parameters(make_engines(postgresql_url)["default"])

    assert sent["connect_timeout"] == "10"
    assert {name: sent[name] for name in ("keepalives_idle", "keepalives_interval", "keepalives_count")} == {
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
    }


def test_without_timeouts_the_servers_own_are_left(postgresql_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(postgresql_url)["default"]

    assert "options" not in parameters(engine)
    assert setting(engine, "statement_timeout") == "0"
    assert setting(engine, "lock_timeout") == "0"
    assert setting(engine, "idle_in_transaction_session_timeout") == "0"


# -- timeouts --------------------------------------------------------------------------------------------------------


def test_timeouts_come_with_the_connection(postgresql_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(postgresql_url, statement_timeout=2.5, lock_timeout=0.0001)["default"]

    assert parameters(engine)["options"] == "-c statement_timeout=2500 -c lock_timeout=1"
    assert setting(engine, "statement_timeout") == "2500ms"
    assert setting(engine, "lock_timeout") == "1ms"


def test_a_statement_that_takes_too_long_is_cancelled(postgresql_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(postgresql_url, statement_timeout=0.1)["default"]

    with engine.connect() as connection, pytest.raises(OperationalError, match="due to statement timeout"):
        connection.execute(text("SELECT pg_sleep(60)"))


def test_a_lock_is_waited_for_as_long_as_configured(postgresql_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(postgresql_url, lock_timeout=0.1)["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE stock AS SELECT 1 AS amount"))

    with engine.connect() as holder, engine.connect() as waiting:
        holder.execute(text("UPDATE stock SET amount = 2"))
        begun = time.monotonic()
        with pytest.raises(OperationalError, match="due to lock timeout"):
            waiting.execute(text("UPDATE stock SET amount = 3"))
    assert time.monotonic() - begun < 10


def test_connections_that_the_user_makes_have_the_timeouts(postgresql_url: str, make_engines: MakeEngines) -> None:
    url = make_url(postgresql_url)

    def connect() -> Any:
        return psycopg.connect(host=url.host, port=url.port, user=url.username, dbname=url.database)

    database = {"default": {"url": postgresql_url, "creator": connect}}
    limited = make_engines(database, statement_timeout=3, lock_timeout=2)["default"]
    unlimited = make_engines(database)["default"]

    with limited.connect() as connection:
        connection.rollback()
    assert setting(limited, "statement_timeout") == "3s"
    assert setting(limited, "lock_timeout") == "2s"
    assert setting(unlimited, "statement_timeout") == "0"


# -- the user wins ---------------------------------------------------------------------------------------------------


def test_the_urls_application_name_wins(postgresql_url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(f"{postgresql_url}?application_name=mine&connect_timeout=3")["default"]

    assert setting(engine, "application_name") == "mine"
    assert parameters(engine)["connect_timeout"] == "3"


def test_the_environments_application_name_wins(
    postgresql_url: str, make_engines: MakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGAPPNAME", "mine")

    assert setting(make_engines(postgresql_url)["default"], "application_name") == "mine"


def test_connect_args_win(postgresql_url: str, make_engines: MakeEngines) -> None:
    own = {"application_name": "mine", "keepalives_idle": 99, "options": "-c statement_timeout=7s -c work_mem=8MB"}
    engine = make_engines(
        {"default": {"url": postgresql_url, "connect_args": own}}, statement_timeout=1, lock_timeout=2
    )["default"]

    assert setting(engine, "application_name") == "mine"
    assert parameters(engine)["keepalives_idle"] == "99"
    assert setting(engine, "statement_timeout") == "7s"
    assert setting(engine, "work_mem") == "8MB"
    assert setting(engine, "lock_timeout") == "2s", "the user's options have displaced the app's timeout"


def test_the_environments_options_win(
    postgresql_url: str, make_engines: MakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=7s")
    engine = make_engines(postgresql_url, statement_timeout=1, lock_timeout=2)["default"]

    assert setting(engine, "statement_timeout") == "7s"
    assert setting(engine, "lock_timeout") == "2s"
