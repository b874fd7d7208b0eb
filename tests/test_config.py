"""An app's settings: read once, checked before anything is done, and never quoted where they may hold a password."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import make_url

from flask_unitofwork.config import Settings
from flask_unitofwork.exceptions import ConfigurationError, UnitOfWorkError

SHOP = "sqlite:///shop.db"


def settings(**given: Any) -> Settings:
    config = {f"UNITOFWORK_{name.upper()}": value for name, value in {"databases": SHOP, **given}.items()}
    return Settings.from_config(config, instance_path="/srv/shop")


# -- what is read ----------------------------------------------------------------------------------------------------


def test_a_url_is_enough() -> None:
    read = settings()

    assert list(read.databases) == ["default"]
    assert read.commit == "success"
    assert read.commit_policy is None
    assert read.reads == "autocommit"
    assert read.nested_context == "isolate"
    assert read.attempts == 1
    assert read.statement_timeout is None
    assert read.lock_timeout is None
    assert (read.pool_timeout, read.pool_max_waiting, read.pool_retry_after) == (5.0, None, 1)
    assert read.two_phase is False
    assert dict(read.engine_options) == {}
    assert dict(read.session_options) == {}


def test_an_apps_configuration_is_read_and_its_other_keys_are_left() -> None:
    app = Flask(__name__)
    app.config.update(
        UNITOFWORK_DATABASES="sqlite://",
        UNITOFWORK_COMMIT="explicit",
        UNITOFWORK_READS="transaction",
        UNITOFWORK_NESTED_CONTEXT="join",
        UNITOFWORK_STATEMENT_TIMEOUT=30,
        UNITOFWORK_LOCK_TIMEOUT=0.5,
        UNITOFWORK_ENGINE_OPTIONS={"pool_size": 3, "connect_args": {"timeout": 1}},
        UNITOFWORK_SESSION_OPTIONS={"expire_on_commit": False},
    )

    read = Settings.from_config(app.config, instance_path=app.instance_path)

    assert (read.commit, read.reads, read.nested_context) == ("explicit", "transaction", "join")
    assert (read.statement_timeout, read.lock_timeout) == (30.0, 0.5)
    assert dict(read.engine_options) == {"pool_size": 3, "connect_args": {"timeout": 1}}
    assert dict(read.session_options) == {"expire_on_commit": False}


def test_none_stands_for_the_default() -> None:
    read = settings(commit=None, statement_timeout=None, engine_options=None)

    assert read.commit == "success"
    assert read.statement_timeout is None
    assert dict(read.engine_options) == {}


def test_a_policy_is_kept() -> None:
    def always(_response: object) -> bool:
        return True

    assert settings(commit_policy=always).commit_policy is always


def test_databases_are_read_by_name() -> None:
    read = settings(
        databases={
            "default": {"url": SHOP, "pool_size": 3, "replicas": ["sqlite:///copy.db", make_url("sqlite://")]},
            "audit": make_url("sqlite:///audit.db"),
        }
    )

    assert list(read.databases) == ["default", "audit"]
    default = read.databases["default"]
    assert default.name == "default"
    assert default.url.database == "/srv/shop/shop.db"
    assert [url.database for url in default.replicas] == ["/srv/shop/copy.db", None]
    assert dict(default.options) == {"pool_size": 3}
    assert read.databases["audit"].url.database == "/srv/shop/audit.db"
    assert read.databases["audit"].replicas == ()


def test_settings_do_not_change() -> None:
    options = {"pool_size": 3}
    read = settings(engine_options=options)
    options["pool_size"] = 5

    assert read.engine_options["pool_size"] == 3
    with pytest.raises(FrozenInstanceError):
        read.commit = "explicit"  # type: ignore[misc]  # that is the point
    with pytest.raises(TypeError):
        read.databases["audit"] = read.databases["default"]  # type: ignore[index]  # that is the point


# -- where SQLite's files are ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("sqlite:///shop.db", "sqlite:////srv/shop/shop.db"),
        ("sqlite:///data/shop.db?timeout=3", "sqlite:////srv/shop/data/shop.db?timeout=3"),
        ("sqlite:////var/shop.db", "sqlite:////var/shop.db"),
        ("sqlite+pysqlite:///shop.db", "sqlite+pysqlite:////srv/shop/shop.db"),
        ("sqlite:///file:shop.db?mode=ro&uri=true", "sqlite:///file:/srv/shop/shop.db?mode=ro&uri=true"),
        ("sqlite:///file:/var/shop.db?uri=true", "sqlite:///file:/var/shop.db?uri=true"),
        ("sqlite:///file:///var/shop.db?uri=true", "sqlite:///file:///var/shop.db?uri=true"),
        ("sqlite:///file:shop.db", "sqlite:////srv/shop/file:shop.db"),
        ("sqlite:///shop.db?uri=true", "sqlite:///shop.db?uri=true"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file::memory:?uri=true", "sqlite:///file::memory:?uri=true"),
        ("sqlite:///file:?uri=true", "sqlite:///file:?uri=true"),
        ("sqlite:///file:shop?mode=memory&uri=true", "sqlite:///file:shop?mode=memory&uri=true"),
        ("postgresql+psycopg://shop@db/shop", "postgresql+psycopg://shop@db/shop"),
        ("mysql+pymysql://shop@db/shop", "mysql+pymysql://shop@db/shop"),
    ],
)
def test_relative_sqlite_paths_are_under_the_instance_folder(url: str, read: str) -> None:
    assert settings(databases=url).databases["default"].url == make_url(read)


def test_a_uri_survives_an_instance_folder_with_characters_that_mean_something_in_uris() -> None:
    config = {"UNITOFWORK_DATABASES": "sqlite:///file:shop.db?uri=true"}

    read = Settings.from_config(config, instance_path="/srv/100% mine?")

    assert read.databases["default"].url.database == "file:/srv/100%25%20mine%3F/shop.db"


def test_a_relative_instance_folder_is_where_the_app_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    read = Settings.from_config({"UNITOFWORK_DATABASES": SHOP}, instance_path="instance")

    assert read.databases["default"].url.database == str(tmp_path / "instance" / "shop.db")


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"commits": True}, "UNITOFWORK_COMMITS is not a setting of flask_unitofwork. Did you mean UNITOFWORK_COMMIT?"),
        ({"database": SHOP}, "UNITOFWORK_DATABASE is not a setting .* Did you mean UNITOFWORK_DATABASES?"),
        ({"xyz": 1}, "UNITOFWORK_XYZ is not a setting of flask_unitofwork. The settings are: UNITOFWORK_ATTEMPTS, "),
        ({"databases": None}, "UNITOFWORK_DATABASES is not set, so there is no database to connect to."),
        (
            {"databases": 3},
            r"UNITOFWORK_DATABASES must be a database URL \(a str or a sqlalchemy.URL\); it is of type int.",
        ),
        ({"databases": "shop.db"}, "UNITOFWORK_DATABASES is not a database URL. It has the form dialect"),
        ({"databases": {}}, 'UNITOFWORK_DATABASES has no "default" database, .* it has: none.'),
        (
            {"databases": {"audit": SHOP}},
            'has no "default" database, .* Name one of them "default"; it has: \'audit\'.',
        ),
        (
            {"databases": {"default": SHOP, 3: SHOP}},
            r"UNITOFWORK_DATABASES\[3\]: a database's name must be a non-empty str.",
        ),
        (
            {"databases": {"default": SHOP, "": SHOP}},
            r"UNITOFWORK_DATABASES\[''\]: a database's name must be a non-empty",
        ),
        ({"databases": {"default": {}}}, r"UNITOFWORK_DATABASES\['default'\] has no \"url\". Write "),
        (
            {"databases": {"default": {"url": 3}}},
            r"UNITOFWORK_DATABASES\['default'\]\[\"url\"\] must be a database URL",
        ),
        ({"databases": {"default": {3: 4}}}, r"UNITOFWORK_DATABASES\['default'\] must be a dict whose keys are option"),
        (
            {"databases": {"default": {"url": SHOP, "replicas": SHOP}}},
            r"UNITOFWORK_DATABASES\['default'\]\[\"replicas\"\] must be a list of database URLs; it is of type str.",
        ),
        (
            {"databases": {"default": {"url": SHOP, "replicas": [SHOP, 3]}}},
            r"UNITOFWORK_DATABASES\['default'\]\[\"replicas\"\]\[1\] must be a database URL",
        ),
        (
            {"databases": {"default": {"url": SHOP, "connect_args": 3}}},
            r"UNITOFWORK_DATABASES\['default'\]\[\"connect_args\"\] must be a dict whose keys are option names",
        ),
        ({"commit": "always"}, "UNITOFWORK_COMMIT must be 'success' or 'explicit'; it is 'always'."),
        ({"commit": True}, "UNITOFWORK_COMMIT must be 'success' or 'explicit'; it is of type bool."),
        ({"reads": "never"}, "UNITOFWORK_READS must be 'autocommit' or 'transaction'; it is 'never'."),
        ({"nested_context": "share"}, "UNITOFWORK_NESTED_CONTEXT must be 'isolate' or 'join'; it is 'share'."),
        ({"commit_policy": 200}, "UNITOFWORK_COMMIT_POLICY must be a callable that takes the response .* of type int."),
        ({"pool_timeout": -1}, "UNITOFWORK_POOL_TIMEOUT must be a number of seconds, 0 or more; it is -1."),
        ({"pool_timeout": "5"}, "UNITOFWORK_POOL_TIMEOUT must be a number of seconds, 0 or more; it is of type str."),
        ({"pool_max_waiting": -1}, "UNITOFWORK_POOL_MAX_WAITING must be a whole number, 0 or more; it is -1."),
        ({"pool_retry_after": 0}, "UNITOFWORK_POOL_RETRY_AFTER must be a whole number, 1 or more; it is 0."),
        ({"attempts": 0}, "UNITOFWORK_ATTEMPTS must be a whole number, 1 or more; it is 0."),
        ({"attempts": True}, "UNITOFWORK_ATTEMPTS must be a whole number, 1 or more; it is of type bool."),
        ({"attempts": 1.5}, "UNITOFWORK_ATTEMPTS must be a whole number, 1 or more; it is of type float."),
        (
            {"lock_timeout": "5s"},
            "UNITOFWORK_LOCK_TIMEOUT must be a number of seconds above 0, or None; it is of type str.",
        ),
        ({"lock_timeout": 0}, "UNITOFWORK_LOCK_TIMEOUT must be a number of seconds above 0, or None; it is 0."),
        ({"lock_timeout": float("inf")}, "UNITOFWORK_LOCK_TIMEOUT must be a number of seconds above 0, .* it is inf."),
        ({"lock_timeout": float("nan")}, "UNITOFWORK_LOCK_TIMEOUT must be a number of seconds above 0, .* it is nan."),
        ({"statement_timeout": True}, "UNITOFWORK_STATEMENT_TIMEOUT must be a number of seconds .* of type bool."),
        ({"two_phase": 1}, "UNITOFWORK_TWO_PHASE must be True or False; it is of type int."),
        (
            {"engine_options": ["echo"]},
            "UNITOFWORK_ENGINE_OPTIONS must be a dict whose keys are option names; .* list.",
        ),
        ({"engine_options": {1: 2}}, "UNITOFWORK_ENGINE_OPTIONS must be a dict whose keys are option names; .* dict."),
        (
            {"engine_options": {"connect_args": "timeout=3"}},
            r"UNITOFWORK_ENGINE_OPTIONS\[\"connect_args\"\] must be a dict whose keys are option names; .* str.",
        ),
        ({"session_options": 1}, "UNITOFWORK_SESSION_OPTIONS must be a dict whose keys are option names; .* int."),
        (
            {"inspector": True},
            "UNITOFWORK_INSPECTOR is not available in this version: leave it out, or set it to False.",
        ),
    ],
)
def test_bad_input_is_refused_by_its_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message.replace("?", r"\?")) as raised:
        settings(**given)

    assert isinstance(raised.value, UnitOfWorkError)
    assert isinstance(raised.value, ValueError)


def test_what_this_version_cannot_do_may_be_switched_off() -> None:
    assert settings(attempts=1, inspector=False, record_statements=False).attempts == 1


@pytest.mark.parametrize(
    "given",
    [
        {"databases": "postgresql//shop:s3cret@db/shop"},
        {"databases": {"default": SHOP, "audit": ["postgresql://shop:s3cret@db/shop"]}},
        {"databases": {"default": {"url": "postgresql//shop:s3cret@db/shop"}}},
        {"databases": {"audit": "postgresql://shop:s3cret@db/shop"}},
        {"engine_options": "password=s3cret"},
        {"lock_timeout": "s3cret"},
    ],
)
def test_a_password_is_never_in_a_message(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        settings(**given)

    told: BaseException | None = raised.value
    while told is not None:
        assert not re.search("s3cret", str(told))
        told = told.__cause__
    assert raised.value.__context__ is None or raised.value.__suppress_context__
