"""The wire that is some way off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import make_url

from .contestants.terms import postgresql_url as libpq_url
from .delaying import DelayingWire

SECONDS = 0.1


@pytest.fixture
def wire(postgresql_url: str) -> Iterator[DelayingWire]:
    wire = DelayingWire(libpq_url(make_url(postgresql_url)), SECONDS)
    yield wire
    wire.close()


def test_an_answer_comes_after_the_way_there_and_back(wire: DelayingWire) -> None:
    with psycopg.connect(wire.url, autocommit=True) as connection:
        begin = time.perf_counter()
        assert connection.execute("SELECT 42").fetchone() == (42,)
        assert time.perf_counter() - begin >= 2 * SECONDS


def test_many_messages_are_under_way_at_the_same_time(wire: DelayingWire) -> None:
    connections = [psycopg.connect(wire.url, autocommit=True) for _ in range(10)]

    def ask(connection: psycopg.Connection) -> object:
        return connection.execute("SELECT 42").fetchone()

    with ThreadPoolExecutor(10) as threads:
        begin = time.perf_counter()
        assert list(threads.map(ask, connections)) == [(42,)] * 10
        assert time.perf_counter() - begin < 10 * 2 * SECONDS
    for connection in connections:
        connection.close()


def test_large_answers_arrive_whole(wire: DelayingWire) -> None:
    with psycopg.connect(wire.url) as connection:
        assert connection.execute("SELECT repeat('x', 3000000)").fetchone() == ("x" * 3_000_000,)


def test_the_wire_tells_how_much_it_has_carried(wire: DelayingWire) -> None:
    before = wire.punctuality()
    with psycopg.connect(wire.url, autocommit=True) as connection:
        connection.execute("SELECT 42")
    assert wire.punctuality().messages > before.messages
    assert "messages" in str(wire.punctuality())


def test_a_server_that_hangs_up_is_noticed(wire: DelayingWire) -> None:
    with (
        psycopg.connect(wire.url, autocommit=True) as connection,
        pytest.raises(psycopg.OperationalError),
    ):
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
