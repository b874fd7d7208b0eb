"""What an isolated test says to PostgreSQL, and when: it waits for little, and misses nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, stop_after_delay, wait_fixed

from flask_unitofwork.testing import isolated
from tests.servers.counting import CountingWire
from tests.stage import Item, MakeStage, Stage


@pytest.fixture
def wire(postgresql_url: str) -> Iterator[CountingWire]:
    with closing(CountingWire(postgresql_url)) as wire:
        yield wire


@pytest.fixture
def stage(wire: CountingWire, make_stage: MakeStage) -> Stage:
    """Its pool has a connection, and its view is known to work."""
    stage = make_stage(wire.url.render_as_string(hide_password=False))

    @stage.app.post("/<name>")
    def add(name: str) -> str:
        stage.add(name)
        stage.uow.session.flush()
        return "added"

    with isolated(stage.app):
        stage.client.post("/tea")
    return stage


def test_an_isolated_request_makes_no_more_round_trips_than_another(stage: Stage, wire: CountingWire) -> None:
    wire.forget()
    stage.client.post("/tea")
    alone = wire.round_trips
    wire.forget()
    with isolated(stage.app):
        stage.client.post("/coffee")
    assert wire.round_trips <= alone
    assert stage.names() == ["tea"]


def test_what_a_commit_puts_off_goes_with_the_next_statement(stage: Stage, wire: CountingWire) -> None:
    with isolated(stage.app):
        stage.client.post("/tea")
        wire.forget()
        with pytest.raises(DBAPIError), stage.uow.scope(stage.app) as session:
            session.execute(text("SELECT 1 / 0"))
        assert any(b"RELEASE SAVEPOINT" in sent for sent in wire.sent)
        with stage.uow.scope(stage.app) as session:  # whose failure has cost the view nothing
            assert session.scalars(select(Item.name)).all() == ["tea"]
    assert stage.names() == []


def test_a_commit_fails_where_the_server_has_hung_up_before(postgresql_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(postgresql_url)
    with isolated(stage.app):
        with stage.engine.connect() as connection:
            connection.execute(insert(Item).values(name="tea"))
            end_backend(stage, connection.scalar(text("SELECT pg_backend_pid()")))
            with pytest.raises(DBAPIError):
                connection.commit()
    with isolated(stage.app), stage.uow.scope(stage.app):
        stage.add("coffee")
    assert stage.names() == []


def test_a_test_whose_connection_was_lost_before_it_goes_on_with_another(stage: Stage) -> None:
    with stage.engine.connect() as connection:
        backend = connection.scalar(text("SELECT pg_backend_pid()"))
    end_backend(stage, backend)
    with isolated(stage.app):
        with pytest.raises(DBAPIError), stage.uow.scope(stage.app) as session:
            session.execute(text("SELECT 1"))
        with stage.uow.scope(stage.app) as session:
            stage.add("tea")
            session.flush()
        with stage.uow.scope(stage.app) as session:
            assert session.scalars(select(Item.name)).all() == ["tea"]
    assert stage.names() == []


def test_a_connection_that_was_never_asked_anything_is_given_back_as_it_was(stage: Stage) -> None:
    with isolated(stage.app):
        stage.engine.connect().close()
    with stage.uow.scope(stage.app):
        stage.add("tea")
    assert stage.names() == ["tea"]


def test_what_a_driver_is_asked_first_finds_that_the_transaction_has_begun(stage: Stage) -> None:
    with isolated(stage.app), closing(stage.engine.raw_connection()) as proxied:
        connection: Any = proxied.driver_connection
        with connection.cursor() as cursor, cursor.copy("COPY item (name) TO STDOUT") as copy:
            assert list(copy) == []
    with isolated(stage.app), closing(stage.engine.raw_connection()) as proxied:
        connection = proxied.driver_connection
        with connection.pipeline():  # libpq has none while an answer is to come
            pass
    assert stage.names() == []


def test_a_process_that_was_forked_says_nothing_of_what_was_put_off(postgresql_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(postgresql_url)
    with isolated(stage.app), closing(stage.engine.raw_connection()) as proxied:
        connection: Any = proxied.driver_connection
        with stage.uow.scope(stage.app) as session:
            stage.add("tea")
            session.flush()
        child = os.fork()
        if child == 0:
            with suppress(Exception):
                connection.cursor().execute("SELECT 1")
            os._exit(0)
        os.waitpid(child, 0)
        with stage.uow.scope(stage.app) as session:
            assert session.scalars(select(Item.name)).all() == ["tea"]
    assert stage.names() == []


def end_backend(stage: Stage, backend: Any) -> None:
    """End a server's process, and wait until it is gone."""
    with stage.outside(stage.engine) as connection:
        connection.execute(text("SELECT pg_terminate_backend(:backend)"), {"backend": backend})
        for attempt in Retrying(stop=stop_after_delay(30), wait=wait_fixed(0.05), reraise=True):
            with attempt:
                assert is_gone(backend)  # the server lists it no more before it has hung up


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it is somebody else's
        return False
    return False
