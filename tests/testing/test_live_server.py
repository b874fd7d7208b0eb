"""The app behind HTTP in an isolated test: it sees what the test has made, and the test sees what it commits."""

from __future__ import annotations

import os
import socket
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import select

from flask_unitofwork.testing import LiveServer, isolated
from tests.stage import Item, Stage

from .conftest import Project

PATIENCE = 60

CONFTEST = """
import pytest
from flask import Flask
from shop import create_app

@pytest.fixture(scope="session")
def app():
    return create_app()
"""

SERVED = """
from urllib.request import Request, urlopen
from flask import url_for

def ask(url, method="GET"):
    with urlopen(Request(url, method=method), timeout=60) as response:
        return response.read().decode().strip()

@pytest.mark.parametrize("round", range(2))
def test_it_sees_what_the_test_has_made_and_the_other_way_round(live_server, uow_session, round):
    assert ask(live_server.url("/items")) == "[]"
    uow_session.add(Item(name="by the test"))
    uow_session.commit()
    assert ask(live_server.url("/items")) == '["by the test"]'
    assert ask(live_server.url("/items/tea"), "POST") == "added"
    assert uow_session.scalars(select(Item.name).order_by(Item.id)).all() == ["by the test", "tea"]

def test_its_address_is_what_url_for_tells(live_server):
    assert url_for("names", _external=True) == live_server.url("/items")
    assert ask(url_for("names", _external=True)) == "[]"

@pytest.mark.uow_real_commits
def test_for_real(live_server):
    assert ask(live_server.url("/items/tea"), "POST") == "added"
    assert ask(live_server.url("/items")) == '["tea"]'
"""


def test_pytest_flask_s_live_server_is_isolated(project: Project) -> None:
    project(SERVED, conftest=CONFTEST).assert_outcomes(passed=4)


def test_it_is_as_wide_as_pytest_flask_is_told(sqlite_project: Project) -> None:
    tests = SERVED + "\ndef test_it_is_another_one(live_server, request):\n    assert live_server.port\n"
    sqlite_project(tests, "-o", "live_server_scope=function", scope="function").assert_outcomes(passed=5)


def test_a_project_may_have_a_live_server_of_its_own(sqlite_project: Project) -> None:
    conftest = CONFTEST + "\n@pytest.fixture\ndef live_server(app):\n    return type('Own', (), {'app': app})\n"
    sqlite_project(
        "def test_own(live_server):\n    assert live_server.__name__ == 'Own'\n", conftest=conftest
    ).assert_outcomes(passed=1)


def test_an_app_without_the_extension_is_served_by_pytest_flask(sqlite_project: Project) -> None:
    conftest = """
import pytest
from flask import Flask

@pytest.fixture(scope="session")
def app():
    app = Flask("plain")
    app.add_url_rule("/", "index", lambda: "plain")
    return app
"""
    tests = """
from urllib.request import urlopen

def test_plain(live_server):
    assert type(live_server).__module__ == "pytest_flask.live_server"
    with urlopen(live_server.url("/"), timeout=60) as response:
        assert response.read() == b"plain"
"""
    # pytest-flask's server is a fork of the process, and outlives it.
    sqlite_project(tests, conftest=conftest, apart=True).assert_outcomes(passed=1)


def test_without_pytest_flask_there_is_a_class(stage: Stage) -> None:
    @stage.app.post("/<name>")
    def add(name: str) -> str:
        stage.add(name)
        return "added"

    with isolated(stage.app), LiveServer(stage.app) as server:
        server.start()  # it goes on
        with urlopen(Request(server.url("/tea"), method="POST"), timeout=PATIENCE) as response:
            assert response.read() == b"added"
        with stage.uow.scope(stage.app) as session:
            assert session.scalars(select(Item.name)).all() == ["tea"]
    server.stop()  # it has stopped
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((server.host, server.port))
    assert stage.names() == []


def test_a_port_that_is_taken_is_an_error(sqlite_stage: Stage) -> None:
    with LiveServer(sqlite_stage.app) as server, pytest.raises(OSError, match="in use"):
        LiveServer(sqlite_stage.app, port=server.port).start()


@pytest.mark.parametrize("connected", [True, False])
def test_a_process_that_is_forked_in_a_test_is_told_to_be_a_thread(stage: Stage, *, connected: bool) -> None:
    told, tell = os.pipe()
    with isolated(stage.app):
        if connected:
            with stage.uow.scope(stage.app):
                stage.add("tea")
        child = os.fork()
        if child == 0:
            answer = "nothing"
            try:
                with stage.uow.scope(stage.app):
                    stage.add("by the child")
            except Exception as error:  # noqa: BLE001  whatever it is, the test is told
                answer = f"{type(error).__name__}: {error}"
            os.write(tell, answer.encode())
            os._exit(0)
        os.close(tell)
        os.waitpid(child, 0)
        with os.fdopen(told) as answers:
            answer = answers.read()
        assert answer.startswith("IsolationError: A process that was forked in an isolated test has used")
        assert "with LiveServer(app) as server: …; or mark the test with uow_real_commits" in answer
        with stage.uow.scope(stage.app) as session:
            assert session.scalars(select(Item.name)).all() == (["tea"] if connected else [])
    assert stage.names() == []
