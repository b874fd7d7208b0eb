"""A session belongs to one thread, which is looked after in debug and testing."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import copy_current_request_context
from sqlalchemy import select

from flask_unitofwork import OutsideScopeError
from tests.stage import Item, MakeStage, Stage


@pytest.fixture(params=["debug", "testing"])
def stage(request: pytest.FixtureRequest, sqlite_url: str, make_stage: MakeStage) -> Stage:
    return make_stage(sqlite_url, **{request.param.upper(): True})


def elsewhere(work: Any) -> Any:
    """Do *work* in another thread."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(work).result()


def names(session: Any) -> list[str]:
    return list(session.scalars(select(Item.name)))


@pytest.mark.parametrize("block", ["context", "scope"])
def test_another_thread_is_refused(stage: Stage, block: str) -> None:
    with stage.app.app_context() if block == "context" else stage.uow.scope(stage.app):
        session = stage.uow.session
        with pytest.raises(OutsideScopeError, match=r"In the thread, write: with uow\.scope\(app\) as session"):
            elsewhere(lambda: names(session))
        stage.add("tea")
        with pytest.raises(OutsideScopeError):
            elsewhere(session.flush)
        session.rollback()
    assert stage.names() == []


def test_a_lazy_load_in_another_thread_is_refused(stage: Stage) -> None:
    with stage.app.app_context():
        stage.add("tea")
        stage.uow.session.commit()
        item = stage.uow.session.scalars(select(Item)).one()
        stage.uow.session.expire(item)
        with pytest.raises(OutsideScopeError):
            elsewhere(lambda: item.name)


def test_a_thread_with_a_scope_or_a_context_of_its_own_is_not(stage: Stage) -> None:
    def in_scope() -> list[str]:
        with stage.uow.scope(stage.app) as session:
            return names(session)

    @stage.app.post("/")
    def view() -> list[str]:
        return [*elsewhere(in_scope), *elsewhere(copy_current_request_context(lambda: names(stage.uow.session)))]

    assert stage.client.post("/").json == []


def test_an_asynchronous_view_is_not(stage: Stage) -> None:
    @stage.app.post("/")
    async def view() -> str:
        stage.add("tea")
        await asyncio.to_thread(stage.uow.session.flush)
        return "added"

    assert stage.client.post("/").status_code == 200
    assert stage.names() == ["tea"]


def test_in_production_nobody_looks(sqlite_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(sqlite_url)
    with stage.app.app_context():
        session = stage.uow.session
        assert elsewhere(lambda: names(session)) == []
