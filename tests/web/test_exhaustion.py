"""A pool whose connections are all in use, for longer than a request waits."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final

import pytest
from flask import abort
from flask.typing import ResponseReturnValue
from sqlalchemy import create_engine, select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import NullPool, QueuePool
from werkzeug.exceptions import ServiceUnavailable

from tests.stage import Item, MakeStage, Stage
from tests.web.clients import Client, served

SMALL: Final = {"pool_size": 1, "max_overflow": 0}
ONE: Final = {"UNITOFWORK_ENGINE_OPTIONS": SMALL, "UNITOFWORK_POOL_TIMEOUT": 0.05}
PATIENCE_SECONDS: Final = 60


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


def test_is_waited_for_five_seconds_unless_the_user_says_otherwise(database_url: str, make_stage: MakeStage) -> None:
    def seconds(**config: Any) -> float:
        return make_stage(database_url, **config).engine.pool.timeout()  # type: ignore[attr-defined, no-any-return]

    assert seconds() == 5.0
    assert seconds(UNITOFWORK_POOL_TIMEOUT=0) == 0
    assert seconds(UNITOFWORK_POOL_TIMEOUT=2) == 2.0
    assert seconds(UNITOFWORK_POOL_TIMEOUT=2, UNITOFWORK_ENGINE_OPTIONS={"poolclass": QueuePool}) == 2.0
    assert seconds(UNITOFWORK_POOL_TIMEOUT=2, UNITOFWORK_ENGINE_OPTIONS={"pool_timeout": 0.5}) == 0.5


def test_is_each_database_s_own(sqlite_url: str, make_stage: MakeStage) -> None:
    databases: Any = {"default": sqlite_url, "slow": {"url": sqlite_url, "pool_timeout": 9}}
    stage = make_stage(databases, UNITOFWORK_POOL_TIMEOUT=2)
    with stage.app.app_context():
        timeouts = {name: engine.pool.timeout() for name, engine in stage.uow.engines.items()}  # type: ignore[attr-defined]
    assert timeouts == {"default": 2.0, "slow": 9}


def test_cannot_be_where_a_pool_has_no_queue(sqlite_url: str, make_stage: MakeStage) -> None:
    own = create_engine(sqlite_url, pool_timeout=7).pool
    config = {"UNITOFWORK_POOL_TIMEOUT": 2, "UNITOFWORK_POOL_MAX_WAITING": 0}
    for options in ({"poolclass": NullPool}, {"pool": own}):
        stage = make_stage(sqlite_url, UNITOFWORK_ENGINE_OPTIONS=options, **config)
        with ExitStack() as connections:
            for _ in range(9):
                connections.enter_context(stage.engine.connect())
            assert stage.client.get("/").status_code == 404
    assert own.timeout() == 7  # type: ignore[attr-defined]
    own.dispose()


def test_is_answered_with_the_seconds_that_the_user_has_set(sqlite_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(sqlite_url, **ONE, UNITOFWORK_POOL_RETRY_AFTER=30)
    stage.app.get("/")(lambda: str(stage.uow.session.scalar(select(Item))))
    with stage.engine.connect():
        assert stage.client.get("/").headers["Retry-After"] == "30"


@pytest.mark.parametrize(
    ("answer", "retry_after"),
    [
        (("busy", 503), "1"),
        (("busy", 503, {"Retry-After": "7"}), "7"),
        (("elsewhere", 303), None),
    ],
    ids=["adds", "keeps", "leaves"],
)
def test_an_own_page_says_when_to_come_back(stage: Stage, answer: Any, retry_after: str | None) -> None:
    stage.app.register_error_handler(503, lambda error: answer)
    with stage.engine.connect():
        assert stage.client.get("/").headers.get("Retry-After") == retry_after


def test_an_own_page_can_tell_exhaustion_from_other_reasons(stage: Stage) -> None:
    stage.app.get("/closed")(lambda: abort(503))
    seen: list[object] = []

    def answer(error: ServiceUnavailable) -> ResponseReturnValue:
        seen.append(error.__cause__)
        return "busy", 503

    stage.app.register_error_handler(503, answer)
    with stage.engine.connect():
        stage.client.get("/")
    assert "Retry-After" not in stage.client.get("/closed").headers
    exhausted, closed = seen
    assert isinstance(exhausted, PoolTimeoutError)
    assert closed is None


def test_rolls_back_what_the_view_has_done_elsewhere(
    database_url: str, another_url: Any, make_stage: MakeStage
) -> None:
    databases: Any = {"default": database_url, "busy": {"url": another_url(), **SMALL, "pool_timeout": 0.05}}
    stage = make_stage(databases)

    @stage.app.post("/")
    def view() -> ResponseReturnValue:
        stage.add("tea")
        stage.uow.session.flush()
        stage.uow.session.execute(select(1), bind_arguments={"bind": stage.uow.get_engine("busy")})
        return "never"

    with stage.app.app_context():
        busy = stage.uow.get_engine("busy")
    with busy.connect():
        assert stage.client.post("/").status_code == 503
    assert stage.names() == []


class TestOverHTTP:
    """Real threads: one request has the only connection, and the others come while it has it."""

    @pytest.fixture(params=["sqlite-file", "postgresql", "mariadb"])
    def database_server(self, request: pytest.FixtureRequest) -> Any:
        fixtures = {"sqlite-file": "sqlite_files", "postgresql": "postgresql_server", "mariadb": "mariadb_server"}
        return request.getfixturevalue(fixtures[request.param])

    def make(self, url: str, make_stage: MakeStage, **config: Any) -> tuple[Stage, threading.Event, threading.Event]:
        """A stage with the views ``/hold``, which holds a connection until it is told to end, and ``/read``."""
        stage = make_stage(url, UNITOFWORK_ENGINE_OPTIONS=SMALL, **config)
        holding, end = threading.Event(), threading.Event()

        @stage.app.post("/hold")
        def hold() -> ResponseReturnValue:
            stage.uow.session.scalars(select(Item)).all()
            holding.set()
            assert end.wait(PATIENCE_SECONDS)
            return "held"

        @stage.app.get("/read")
        def read() -> ResponseReturnValue:
            return [item.name for item in stage.uow.session.scalars(select(Item))]

        return stage, holding, end

    def test_only_so_many_requests_wait(self, database_url: str, make_stage: MakeStage) -> None:
        stage, holding, end = self.make(
            database_url, make_stage, UNITOFWORK_POOL_TIMEOUT=PATIENCE_SECONDS, UNITOFWORK_POOL_MAX_WAITING=2
        )
        answers: queue.Queue[int] = queue.Queue()

        def read() -> None:
            with Client(address) as client:
                answers.put(client.get("/read")[0])

        with served(stage.app, threads=8) as address, ThreadPoolExecutor(7) as clients, Client(address) as holder:
            held = clients.submit(holder.post, "/hold", None)
            assert holding.wait(PATIENCE_SECONDS)
            for _ in range(6):
                clients.submit(read)
            # Those who are not let in do not wait; those who wait are still waiting.
            refused = [answers.get(timeout=PATIENCE_SECONDS) for _ in range(4)]
            assert answers.empty()
            end.set()
            waited = [answers.get(timeout=PATIENCE_SECONDS) for _ in range(2)]
            assert held.result()[0] == 200
        assert (refused, waited) == ([503] * 4, [200] * 2)
        assert stage.checked_out() == 0

    def test_nobody_waits_where_nobody_may(self, database_url: str, make_stage: MakeStage) -> None:
        stage, holding, end = self.make(database_url, make_stage, UNITOFWORK_POOL_MAX_WAITING=0)
        with served(stage.app, threads=2) as address, ThreadPoolExecutor(1) as clients, Client(address) as holder:
            held = clients.submit(holder.post, "/hold", None)
            assert holding.wait(PATIENCE_SECONDS)
            with Client(address) as client:
                assert client.get("/read")[0] == 503
                end.set()
                assert held.result()[0] == 200
                assert client.get("/read")[0] == 200

    def test_a_place_in_the_queue_is_given_up_with_the_wait(self, database_url: str, make_stage: MakeStage) -> None:
        stage, holding, end = self.make(
            database_url, make_stage, UNITOFWORK_POOL_TIMEOUT=0.05, UNITOFWORK_POOL_MAX_WAITING=1
        )
        with served(stage.app, threads=2) as address, ThreadPoolExecutor(1) as clients, Client(address) as holder:
            held = clients.submit(holder.post, "/hold", None)
            assert holding.wait(PATIENCE_SECONDS)
            with Client(address) as client:
                # Each has waited in vain: none was refused for the one before.
                assert [client.get("/read")[0] for _ in range(3)] == [503] * 3
            end.set()
            held.result()

    def test_a_limit_outlives_the_pool(self, database_url: str, make_stage: MakeStage) -> None:
        stage, _, _ = self.make(database_url, make_stage, UNITOFWORK_POOL_MAX_WAITING=0)
        with stage.app.app_context():
            stage.uow.dispose()
            stage.uow.create_all()
        with stage.engine.connect(), pytest.raises(PoolTimeoutError, match="which is as many as may"):
            stage.engine.connect()
