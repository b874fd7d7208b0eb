"""A connection rests with the session that has read on it, until that reads on or somebody else needs one."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread
from typing import Any, Final

import pytest
from flask import Response
from sqlalchemy import Engine, event, inspect, select
from sqlalchemy.orm import Session

from tests.stage import Item, MakeStage, Stage

ONE_CONNECTION: Final = {"pool_size": 1, "max_overflow": 0}


@pytest.fixture
def small(database_url: str, make_stage: MakeStage) -> Stage:
    """An app that has one connection for all, and two items."""
    stage = make_stage(database_url, UNITOFWORK_ENGINE_OPTIONS=ONE_CONNECTION, TESTING=True)
    with stage.uow.scope(stage.app):
        stage.add("tea")
        stage.add("milk")
    return stage


@pytest.fixture
def checkouts(small: Stage) -> Iterator[list[object]]:
    """One entry each time that a connection leaves the pool."""
    seen: list[object] = []
    engine = small.engine

    def checkout(*_: object) -> None:
        seen.append(None)

    event.listen(engine, "checkout", checkout)
    yield seen
    event.remove(engine, "checkout", checkout)


def names(session: Session) -> list[str]:
    return list(session.scalars(select(Item.name).order_by(Item.id)))


def take(engine: Engine) -> None:
    """Need a connection, in another thread, and give it back."""

    def use() -> None:
        engine.connect().close()

    thread = Thread(target=use)
    thread.start()
    thread.join()


def test_a_reader_goes_on_with_the_connection_it_had(small: Stage, checkouts: list[object]) -> None:
    with small.uow.scope(small.app, reads="autocommit") as session:
        for _ in range(5):
            names(session)
    assert len(checkouts) == 1


def test_a_connection_that_rests_counts_as_idle(small: Stage) -> None:
    with small.uow.scope(small.app, reads="autocommit") as session:
        names(session)
        assert small.checked_out() == 0
        assert not session.in_transaction()
        assert session.get_transaction() is None


def test_a_unit_that_reads_from_two_databases_ends_without_a_word(
    database_url: str, another_url: Callable[[], str], make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make_stage({"default": database_url, "other": another_url()})
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    with stage.uow.scope(stage.app, reads="autocommit") as session:
        for bind in stage.uow.engines.values():
            session.scalar(select(1), bind_arguments={"bind": bind})
    del session
    gc.collect()
    assert complaints == []


def test_who_needs_a_connection_takes_one_that_rests(small: Stage, checkouts: list[object]) -> None:
    with small.uow.scope(small.app, reads="autocommit") as session:
        assert names(session) == ["tea", "milk"]
        take(small.engine)
        assert names(session) == ["tea", "milk"]
    assert len(checkouts) == 3
    assert small.checked_out() == 0


def test_objects_stay_as_they_are_when_their_connection_is_taken(small: Stage) -> None:
    with small.uow.scope(small.app, reads="autocommit") as session:
        tea = session.scalars(select(Item).where(Item.name == "tea")).one()
        take(small.engine)
        assert not inspect(tea).expired
        assert session.get(Item, tea.id) is tea
        session.expire(tea)
        assert tea.name == "tea"


def test_what_waits_to_be_written_survives_that_the_connection_is_taken(small: Stage) -> None:
    with small.uow.scope(small.app, reads="autocommit") as session:
        tea = session.scalars(select(Item).where(Item.name == "tea")).one()
        tea.name = "green tea"
        session.add(Item(name="sugar"))
        take(small.engine)
        assert session.in_transaction()
    assert small.names() == ["green tea", "milk", "sugar"]


@pytest.mark.parametrize(
    "end", ["commit", "rollback", "close", "reset", "invalidate", "release", "begin", "connection", "flush"]
)
@pytest.mark.parametrize("taken", [False, True])
def test_whatever_else_a_session_does_it_does_without_the_resting_connection(
    small: Stage, end: str, taken: bool, checkouts: list[object]
) -> None:
    with small.uow.scope(small.app, reads="autocommit") as session:
        names(session)
        if taken:
            take(small.engine)
        if end == "flush":
            session.add(Item(name="sugar"))
        getattr(session, end)()
    assert small.checked_out() == 0
    assert small.names() == ["tea", "milk", "sugar"][: 3 if end == "flush" else 2]


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("method", ["bulk_save_objects", "bulk_insert_mappings", "bulk_update_mappings"])
def test_bulk_methods_begin_a_transaction(small: Stage, method: str, taken: bool) -> None:
    arguments: dict[str, tuple[Any, ...]] = {
        "bulk_save_objects": ([Item(name="sugar")],),
        "bulk_insert_mappings": (Item, [{"name": "sugar"}]),
        "bulk_update_mappings": (Item, [{"id": 1, "name": "sugar"}]),
    }
    with small.uow.scope(small.app, reads="autocommit") as session:
        names(session)
        if taken:
            take(small.engine)
        getattr(session, method)(*arguments[method])
        assert session.in_transaction()
        session.rollback()
        assert names(session) == ["tea", "milk"]
        getattr(session, method)(*arguments[method])
    assert "sugar" in small.names()


def test_a_statement_inside_a_statement_leaves_the_connection_in_use(small: Stage) -> None:
    with small.uow.scope(small.app, reads="autocommit") as session:
        in_use: list[int] = []

        @event.listens_for(session, "do_orm_execute")
        def execute(state: Any) -> None:
            if "inner" not in state.execution_options:
                names_inside = session.scalars(select(Item.name), execution_options={"inner": True}).all()
                assert len(names_inside) == 2
                in_use.append(small.checked_out())

        assert names(session) == ["tea", "milk"]
        assert in_use == [1]
        assert small.checked_out() == 0


def test_a_connection_in_a_transaction_is_never_taken(small: Stage) -> None:
    small.engine.pool._timeout = 0.01  # type: ignore[attr-defined]  # nobody will give one back
    with small.uow.scope(small.app, reads="autocommit") as session:
        names(session)
        session.add(Item(name="sugar"))
        session.flush()
        with pytest.raises(Exception, match="QueuePool limit"), small.engine.connect():
            pass
        assert names(session) == ["tea", "milk", "sugar"]


def test_a_connection_in_use_is_not_taken_after_the_commit_of_a_request_either(small: Stage) -> None:
    """What a request reads after its commit, it reads alone on its connection."""
    engine = small.engine
    engine.pool._timeout = 0.01  # type: ignore[attr-defined]  # nobody will give one back
    refused: list[BaseException | None] = []

    def rob(*_: object) -> None:
        with ThreadPoolExecutor(1) as thread:
            refused.append(thread.submit(engine.connect).exception())

    @small.app.get("/")
    def view() -> list[str]:
        return names(small.uow.session)

    @small.app.after_request
    def read_again(response: Response) -> Response:
        event.listen(engine, "before_cursor_execute", rob)
        assert names(small.uow.session) == ["tea", "milk"]
        event.remove(engine, "before_cursor_execute", rob)
        return response

    assert small.client.get("/").json == ["tea", "milk"]
    assert ["QueuePool limit" in str(error) for error in refused] == [True]
    assert small.checked_out() == 0


def test_views_that_read_and_wait_share_one_connection(small: Stage) -> None:
    """Each of eight requests reads, waits until all have read, and reads again."""
    everybody = Barrier(8)

    @small.app.get("/")
    def view() -> list[str]:
        first = names(small.uow.session)
        everybody.wait(timeout=30)
        assert names(small.uow.session) == first
        return first

    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(small.client.get, "/") for _ in range(8)]
    assert [answer.result().json for answer in answers] == [["tea", "milk"]] * 8
    assert small.checked_out() == 0


def test_whoever_waits_gets_the_connection_when_the_statement_ends(small: Stage) -> None:
    """One thread waits for the connection of a statement that runs; it need not wait for the request's end."""
    executing, waiting, answered = Event(), Event(), Event()
    engine = small.engine

    def execute(*_: object) -> None:
        if not executing.is_set():
            executing.set()
            assert waiting.wait(timeout=30)

    def use() -> None:
        assert executing.wait(timeout=30)
        waiting.set()
        engine.connect().close()
        answered.set()

    thread = Thread(target=use)
    thread.start()
    with small.uow.scope(small.app, reads="autocommit") as session:
        event.listen(engine, "before_cursor_execute", execute)
        names(session)
        assert answered.wait(timeout=30)
        assert names(session) == ["tea", "milk"]
    thread.join()


def test_many_threads_that_read_take_connections_from_one_another(database_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(database_url, UNITOFWORK_ENGINE_OPTIONS={"pool_size": 2, "max_overflow": 1})
    with stage.uow.scope(stage.app):
        stage.add("tea")

    def read(times: int) -> int:
        found = 0
        with stage.uow.scope(stage.app, reads="autocommit") as session:
            for _ in range(times):
                session.expire_all()
                found += len(session.scalars(select(Item)).all())
        return found

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(read, [40] * 24)) == [40] * 24
    assert stage.checked_out() == 0
    assert stage.engine.pool.checkedin() <= 2  # type: ignore[attr-defined]


def test_a_rollback_undoes_what_was_added_changed_and_deleted_after_a_read(small: Stage) -> None:
    with small.uow.scope(small.app, reads="autocommit") as session:
        tea, milk = session.scalars(select(Item).order_by(Item.id)).all()
        bread = Item(name="bread")
        session.add(bread)
        tea.name = "coffee"
        session.delete(milk)
        session.rollback()
        assert inspect(bread).transient
        assert inspect(milk).persistent
        assert [*session.new, *session.dirty, *session.deleted] == []
    with small.uow.scope(small.app) as session:
        assert names(session) == ["tea", "milk"]
