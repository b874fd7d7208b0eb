"""A pool whose connections are all in use, for longer than a request waits."""

from __future__ import annotations

import pytest
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import NullPool

from tests.stage import Item, MakeStage, Stage

ONE = {"UNITOFWORK_ENGINE_OPTIONS": {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.05}}


@pytest.fixture
def stage(database_url: str, make_stage: MakeStage) -> Stage:
    stage = make_stage(database_url, **ONE)

    @stage.app.get("/")
    def view() -> ResponseReturnValue:
        return [item.name for item in stage.uow.session.scalars(select(Item))]

    return stage


def test_is_answered_with_503_and_when_to_come_back(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    with stage.engine.connect():
        response = stage.client.get("/")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert "No connection was to be had" in caplog.text
    assert stage.client.get("/").json == []


def test_is_answered_by_the_app_s_own_page_for_503(stage: Stage) -> None:
    stage.app.register_error_handler(503, lambda error: ("busy, busy", 503))
    with stage.engine.connect():
        assert stage.client.get("/").text == "busy, busy"


def test_is_the_app_s_own_handler_s_to_answer_where_there_is_one(stage: Stage) -> None:
    stage.app.register_error_handler(PoolTimeoutError, lambda error: ("later", 429))
    with stage.engine.connect():
        assert stage.client.get("/").status_code == 429


def test_is_waited_for_five_seconds_unless_the_user_says_otherwise(sqlite_url: str, make_stage: MakeStage) -> None:
    assert make_stage(sqlite_url).engine.pool.timeout() == 5.0  # type: ignore[attr-defined]
    assert make_stage(sqlite_url, **ONE).engine.pool.timeout() == 0.05  # type: ignore[attr-defined]
    assert make_stage(sqlite_url, UNITOFWORK_ENGINE_OPTIONS={"poolclass": NullPool}).client.get("/").status_code == 404
