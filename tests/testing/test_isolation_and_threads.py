"""Threads of an isolated test: they see its data, get in nobody's way, and never wait for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from werkzeug.serving import make_server

from flask_unitofwork.testing import isolated
from tests.stage import Item, Stage

PATIENCE = 60


def in_test(stage: Stage) -> list[str]:
    with stage.uow.scope(stage.app, reads="autocommit") as session:
        return sorted(session.scalars(select(Item.name)))


def test_a_server_in_a_thread_sees_what_the_test_has_made_and_the_other_way_round(stage: Stage) -> None:
    uow = stage.uow

    @stage.app.route("/items/<name>", methods=["GET", "POST"])
    def items(name: str) -> list[str]:
        if name == "new":
            stage.add("by the server")
        return sorted(uow.session.scalars(select(Item.name)))

    server = make_server("127.0.0.1", 0, stage.app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/items"
    try:
        with isolated(stage.app):
            with uow.scope(stage.app):
                stage.add("by the test")
            assert b"by the test" in urlopen(f"{url}/all", timeout=PATIENCE).read()
            urlopen(Request(f"{url}/new", method="POST"), timeout=PATIENCE).close()
            assert in_test(stage) == ["by the server", "by the test"]
        assert urlopen(f"{url}/all", timeout=PATIENCE).read() == b"[]\n"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_requests_at_the_same_moment_keep_what_they_commit_and_nothing_else(stage: Stage) -> None:
    @stage.app.post("/<name>/<int:status>")
    def add(name: str, status: int) -> tuple[str, int]:
        stage.add(name)
        stage.uow.session.flush()
        stage.add(f"{name} too")
        return "", status

    stage.app.register_error_handler(IntegrityError, lambda error: ("taken", 409))
    requests = [(f"{status} {number % 6}", status) for number in range(12) for status in (201, 400, 500)]
    with isolated(stage.app):
        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda one: stage.client.post(f"/{one[0]}/{one[1]}").status_code, requests))
        kept = in_test(stage)
    assert [answers.count(status) for status in (201, 409, 400, 500)] == [6, 6, 12, 12]
    assert kept == sorted(f"201 {number}{too}" for number in range(6) for too in ("", " too"))
    assert stage.names() == []


def test_who_locks_a_row_is_waited_for(stage: Stage) -> None:
    @stage.app.post("/<int:row>")
    def count(row: int) -> str:
        item = stage.uow.session.get_one(Item, row, with_for_update=True)
        item.name = str(int(item.name) + 1)
        return ""

    with isolated(stage.app):
        with stage.uow.scope(stage.app) as session:
            session.add(item := Item(name="0"))
            session.flush()
            row = item.id
        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda _: stage.client.post(f"/{row}").status_code, range(24)))
        assert answers == [200] * 24
        assert in_test(stage) == ["24"]


@pytest.mark.parametrize("outcome", [201, 400])
def test_a_view_may_wait_for_a_worker_that_writes(stage: Stage, outcome: int) -> None:
    if stage.engine.dialect.name == "sqlite":
        return  # it has one writer, and in production too the worker would wait in vain

    def work(name: str) -> None:
        with stage.uow.scope(stage.app):
            stage.add(name)
            stage.uow.session.flush()
            stage.add(f"{name} too")

    @stage.app.post("/")
    def view() -> tuple[str, int]:
        stage.add("by the view")
        stage.uow.session.flush()
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(work, ("a", "b")))
        stage.add("by the view too")
        return "", outcome

    with isolated(stage.app):
        assert stage.client.post("/").status_code == outcome
        workers = ["a", "a too", "b", "b too"]
        assert in_test(stage) == ([*workers, "by the view", "by the view too"] if outcome == 201 else workers)
    assert stage.names() == []
