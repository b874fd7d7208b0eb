"""`UnitOfWork(scopefunc=…)`: scopes that the user's code names."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from flask import Flask, has_request_context, request
from greenlet import getcurrent, greenlet
from sqlalchemy import select

from flask_unitofwork import OutsideScopeError, ScopeFunction, Session, State, UnitOfWork
from tests.stage import Base, Item, MakeStage, Stage

_conversation: ContextVar[str | None] = ContextVar("conversation", default=None)


@contextmanager
def conversation(name: str | None) -> Generator[None]:
    """A token made by hand is the scope's name for a while."""
    before = _conversation.set(name)
    try:
        yield
    finally:
        _conversation.reset(before)


def current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs here
        return None


def current_request() -> object:
    return request._get_current_object() if has_request_context() else None  # type: ignore[attr-defined]


@pytest.fixture
def make_scoped(sqlite_url: str, make_stage: MakeStage) -> Callable[[ScopeFunction], Stage]:
    return lambda scopefunc: make_stage(sqlite_url, uow=UnitOfWork(metadata=Base.metadata, scopefunc=scopefunc))


def add_and_commit(stage: Stage, name: str) -> None:
    with stage.uow.transaction():
        stage.add(name)


class TestAToken:
    def test_names_a_session_that_outlives_requests(self, make_scoped: Callable[[ScopeFunction], Stage]) -> None:
        stage = make_scoped(_conversation.get)
        sessions: list[Session] = []

        @stage.app.post("/<name>/<title>")
        def say(name: str, title: str) -> str:
            with conversation(name):
                stage.add(title)
                sessions.append(stage.uow.session)
                return str(len(stage.uow.session.new))

        client = stage.client
        assert [client.post(f"/ada/{title}").text for title in ("tea", "milk")] == ["1", "2"]
        assert client.post("/bo/sugar").text == "1"
        assert sessions[0] is sessions[1] is not sessions[2]
        assert stage.names() == []
        with conversation("ada"), stage.app.app_context():
            stage.uow.session.commit()
            stage.uow.registry.remove()
        with conversation("bo"), stage.app.app_context():
            stage.uow.registry.remove()
        assert stage.names() == ["tea", "milk"]

    def test_is_over_when_the_session_is_removed(self, make_scoped: Callable[[ScopeFunction], Stage]) -> None:
        stage = make_scoped(_conversation.get)
        with stage.app.app_context(), conversation("ada"):
            assert not stage.uow.registry.registry.has()
            session, unit = stage.uow.session, stage.uow.current
            session.add(Item(name="tea"))
            session.flush()
            assert stage.uow.registry.registry.has()
            stage.uow.registry.remove()
            assert not stage.uow.registry.registry.has()
            assert stage.uow.session is not session
            assert stage.uow.current is not unit
            stage.uow.registry.remove()
        assert stage.names() == []
        assert stage.checked_out() == 0

    def test_that_is_none_leaves_the_scope_to_the_request(self, make_scoped: Callable[[ScopeFunction], Stage]) -> None:
        stage = make_scoped(_conversation.get)

        @stage.app.post("/<name>")
        def create(name: str) -> str:
            stage.add(name)
            return "created"

        assert stage.client.post("/tea").text == "created"
        assert stage.names() == ["tea"]

    def test_gives_way_to_a_scope_block(self, make_scoped: Callable[[ScopeFunction], Stage]) -> None:
        stage = make_scoped(_conversation.get)
        with stage.app.app_context(), conversation("ada"):
            outer = stage.uow.session
            with stage.uow.scope() as session:
                assert stage.uow.session is session is not outer
                stage.add("tea")
            assert stage.uow.session is outer
            stage.uow.registry.remove()
        assert stage.names() == ["tea"]

    def test_needs_no_app_context_where_there_is_one_app(self, make_scoped: Callable[[ScopeFunction], Stage]) -> None:
        stage = make_scoped(_conversation.get)
        with conversation("ada"):
            add_and_commit(stage, "tea")
            stage.uow.registry.remove()
        assert stage.names() == ["tea"]
        with pytest.raises(OutsideScopeError, match="There is no unit of work here"):
            stage.uow.session  # noqa: B018  nobody names a scope, and there is no app context

    def test_is_each_app_s_own(
        self, sqlite_url: str, make_stage: MakeStage, make_scoped: Callable[[ScopeFunction], Stage]
    ) -> None:
        first = make_scoped(_conversation.get)
        second = make_stage("sqlite://", uow=first.uow)
        with conversation("ada"):
            with first.app.app_context():
                session = first.uow.session
            with second.app.app_context():
                assert second.uow.session is not session
            with pytest.raises(OutsideScopeError):
                first.uow.session  # noqa: B018  of which app?
            assert not first.uow.registry.registry.has()
            for stage in (first, second):
                with stage.app.app_context():
                    stage.uow.registry.remove()

    def test_that_has_no_hash_is_an_error(self, make_scoped: Callable[[ScopeFunction], Stage]) -> None:
        unhashable: Any = list
        stage = make_scoped(unhashable)
        message = "The scope function has returned an object of type list, which cannot name a scope"
        with stage.app.app_context(), pytest.raises(OutsideScopeError, match=message):
            stage.uow.session  # noqa: B018


class TestARequest:
    def test_is_the_scope_without_a_scope_function(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage
        sessions: list[Session] = []

        @stage.app.post("/<name>")
        def create(name: str) -> str:
            assert stage.uow.registry() is stage.uow.session
            sessions.append(stage.uow.session)
            stage.add(name)
            return "created"

        for name in ("tea", "milk"):
            stage.client.post(f"/{name}")
        assert sessions[0] is not sessions[1]
        assert stage.names() == ["tea", "milk"]

    def test_named_by_hand_is_committed_and_removed_by_hand(
        self, make_scoped: Callable[[ScopeFunction], Stage]
    ) -> None:
        stage = make_scoped(current_request)

        @stage.app.post("/<name>")
        def create(name: str) -> str:
            add_and_commit(stage, name)
            return "created"

        @stage.app.teardown_request
        def remove(_error: BaseException | None) -> None:
            stage.uow.registry.remove()

        for name in ("tea", "milk"):
            assert stage.client.post(f"/{name}").text == "created"
        assert stage.names() == ["tea", "milk"]
        assert stage.checked_out() == 0


class TestAThread:
    def test_has_a_session_of_its_own(self, make_scoped: Callable[[ScopeFunction], Stage]) -> None:
        stage = make_scoped(threading.current_thread)
        sessions: list[Session] = []

        def work(name: str) -> None:
            for step in range(2):
                add_and_commit(stage, f"{name} {step}")
                sessions.append(stage.uow.session)
            stage.uow.registry.remove()

        for name in ("first", "second"):
            thread = threading.Thread(target=work, args=(name,))
            thread.start()
            thread.join()
        assert sessions[0] is sessions[1] is not sessions[2] is sessions[3]
        assert stage.names() == ["first 0", "first 1", "second 0", "second 1"]

    def test_cannot_use_another_s_session_while_testing(self, make_scoped: Callable[[ScopeFunction], Stage]) -> None:
        stage = make_scoped(threading.current_thread)
        stage.app.config["TESTING"] = True
        session = stage.uow.session
        caught: list[BaseException] = []

        def intrude() -> None:
            try:
                session.scalars(select(Item))
            except OutsideScopeError as error:
                caught.append(error)

        thread = threading.Thread(target=intrude)
        thread.start()
        thread.join()
        assert len(caught) == 1
        assert session.scalars(select(Item)).all() == []
        stage.uow.registry.remove()


class TestAGreenlet:
    def test_has_a_session_of_its_own(self, make_scoped: Callable[[ScopeFunction], Stage]) -> None:
        stage, main = make_scoped(getcurrent), getcurrent()

        def work(name: str) -> None:
            stage.add(name)
            first = stage.uow.session
            main.switch()
            assert stage.uow.session is first
            assert [one.name for one in first.new] == [name]
            first.commit()
            stage.uow.registry.remove()

        workers = [greenlet(work) for _ in range(2)]
        for worker, name in zip(workers, ("tea", "milk"), strict=True):
            worker.switch(name)
        for worker in workers:
            worker.switch()
        assert stage.names() == ["tea", "milk"]


class TestAnAsyncioTask:
    def test_has_a_session_of_its_own_in_one_request(self, make_scoped: Callable[[ScopeFunction], Stage]) -> None:
        stage = make_scoped(current_task)

        async def work(name: str, everybody: asyncio.Barrier) -> Session:
            stage.add(name)
            await everybody.wait()
            session = stage.uow.session
            assert [one.name for one in session.new] == [name]
            session.commit()
            stage.uow.registry.remove()
            return session

        @stage.app.post("/")
        async def create() -> str:
            everybody = asyncio.Barrier(2)
            sessions = await asyncio.gather(work("tea", everybody), work("milk", everybody))
            return str(len(set(map(id, sessions))))

        assert stage.client.post("/").text == "2"
        assert sorted(stage.names()) == ["milk", "tea"]


class Token:
    """A name that can go away."""


class TestANameThatGoesAway:
    def test_takes_its_unit_along_and_says_what_is_lost(
        self, make_scoped: Callable[[ScopeFunction], Stage], caplog: pytest.LogCaptureFixture
    ) -> None:
        tokens: list[Token] = [Token()]
        stage = make_scoped(lambda: tokens[-1] if tokens else None)
        stage.add("tea")
        stage.uow.session.flush()
        unit = stage.uow.current
        tokens.clear()
        gc.collect()
        assert stage.checked_out() == 0
        assert stage.names() == []
        assert unit.state is State.ROLLED_BACK
        (record,) = caplog.records
        assert record.getMessage() == (
            "What named a scope has gone away with work that nobody committed, so it is rolled back: statements that were"
            " sent to the database. Write uow.session.commit() and uow.registry.remove() where the scope ends."
        )

    def test_in_silence_where_nothing_is_lost(
        self, make_scoped: Callable[[ScopeFunction], Stage], caplog: pytest.LogCaptureFixture
    ) -> None:
        tokens: list[Token] = [Token()]
        stage = make_scoped(lambda: tokens[-1] if tokens else None)
        add_and_commit(stage, "tea")
        tokens.clear()
        gc.collect()
        assert caplog.records == []
        assert stage.names() == ["tea"]


def test_two_threads_that_begin_one_scope_get_one_session(make_scoped: Callable[[ScopeFunction], Stage]) -> None:
    stage = make_scoped(lambda: "all threads")
    together = threading.Barrier(4)
    units: list[object] = []

    def begin() -> None:
        together.wait()
        units.append(stage.uow.current)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, units))) == 1
    stage.uow.registry.remove()


def test_the_app_context_needs_an_app_of_this_unit_of_work() -> None:
    uow = UnitOfWork(scopefunc=lambda: "token")
    with Flask("stranger").app_context(), pytest.raises(Exception, match="was never given to a UnitOfWork"):
        uow.session  # noqa: B018
