"""Databases that are restarted, and connections that are ended, while eight clients read and write.

Note: what may fail
    A request that begins while the server is down, or that is on its way when the server stops. What begins when the
    server is up is answered, whatever happened before to the connections in the pool; nobody ever pings them.
    Writers may be told of a failure, unless they may try again. Never is a write lost that was answered with success,
    nor made twice.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Final

import pytest
from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, String, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, mapped_column

from flask_unitofwork import UnknownCommitError
from tests.conftest import Outside
from tests.servers.postgresql import PostgreSQL
from tests.stage import Base, Item, MakeStage, Stage
from tests.web.clients import Address, Client, served

CLIENTS: Final = 8
ROUNDS: Final = 3
PATIENCE_SECONDS: Final = 60

Answer = tuple[int, str]


class Message(Base):
    """Has no unique key, so that what is written twice is there twice."""

    __tablename__ = "message"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(50))


class Uptime:
    """Whether the server is up, as far as a test has seen to it."""

    def __init__(self) -> None:
        self._changes = 0
        self._up = threading.Event()
        self._up.set()

    @contextmanager
    def outage(self) -> Generator[None]:
        """The server may be down until the block ends."""
        self._up.clear()
        self._changes += 1
        yield
        self._changes += 1
        self._up.set()

    @property
    def now(self) -> int:
        """This moment, for `lasted_since`."""
        return self._changes

    def lasted_since(self, moment: int) -> bool:
        """Whether the server has been up from *moment* until now."""
        return moment == self._changes and moment % 2 == 0

    def wait(self) -> None:
        """Wait until the server is up."""
        assert self._up.wait(PATIENCE_SECONDS)


class Clients:
    """Send one request after the other, each client in its thread, until the block ends.

    Attributes:
        failures: what requests were answered that failed though the server was up from their first to their last moment.
    """

    def __init__(self, uptime: Uptime | None = None) -> None:
        self.failures: list[str] = []
        self._uptime = uptime or Uptime()
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._answers: Counter[threading.Thread] = Counter()
        self._busy = 0
        self._resting = False

    @contextmanager
    def at_work(self, address: Address, *works: Callable[[Client], Answer]) -> Generator[None]:
        """Let the clients do *works*, in turn."""
        threads = [
            threading.Thread(target=self._run, args=(address, works[number % len(works)])) for number in range(CLIENTS)
        ]
        self._answers = Counter(dict.fromkeys(threads, 0))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def wait_for_answers(self, each: int) -> None:
        """Wait until each client has been answered *each* times more."""
        with self._changed:
            goals = {thread: count + each for thread, count in self._answers.items()}
            assert self._changed.wait_for(
                lambda: all(self._answers[thread] >= goal for thread, goal in goals.items()), PATIENCE_SECONDS
            ), self.failures

    @contextmanager
    def at_rest(self) -> Generator[None]:
        """Let them finish what they ask for, and ask for nothing more until the block ends."""
        with self._changed:
            self._resting = True
            assert self._changed.wait_for(lambda: not self._busy, PATIENCE_SECONDS)
        yield
        with self._changed:
            self._resting = False
            self._changed.notify_all()

    def _run(self, address: Address, work: Callable[[Client], Answer]) -> None:
        with Client(address) as client:
            while not self._ended.is_set():
                with self._changed:
                    self._changed.wait_for(lambda: not self._resting)
                    self._busy += 1
                began = self._uptime.now
                status, body = work(client)
                if status != 200 and self._uptime.lasted_since(began):
                    self.failures.append(body)
                with self._changed:
                    self._busy -= 1
                    self._answers[threading.current_thread()] += 1
                    self._changed.notify_all()
                if status != 200:
                    self._uptime.wait()


class Writer:
    """Writes messages, each with a text of its own, and remembers what it was told of each."""

    def __init__(self) -> None:
        self.told: dict[str, Answer] = {}

    def write(self, client: Client) -> Answer:
        name = f"{threading.get_ident()}-{len(self.told)}"
        self.told[name] = answer = client.post("/messages", name)
        return answer

    def check(self, board: Stage) -> None:
        """What was answered with success is there, once; nothing is there twice; and nobody was left without an answer."""
        with board.outside(board.engine) as connection:
            found = Counter(connection.scalars(select(Message.text)))
        assert {name for name, (status, _) in self.told.items() if status == 200} <= set(found)
        assert set(found.values()) == {1}
        assert all(body for _, body in self.told.values())


def make_board(make_stage: MakeStage, url: str, attempts: int = 1) -> Stage:
    """An app that can be read and written; what the database does to it is the text of a 503."""
    stage = make_stage(url, UNITOFWORK_ATTEMPTS=attempts, UNITOFWORK_ENGINE_OPTIONS={"pool_size": CLIENTS})
    with stage.uow.scope(stage.app) as session:
        session.add_all([Item(name="tea"), Item(name="coffee")])

    @stage.app.get("/items")
    def items() -> str:
        # Several statements, for which the connection is taken anew each time.
        session = stage.uow.session
        keys = session.scalars(select(Item.id).order_by(Item.id)).all()
        return " ".join(session.get_one(Item, key).name for key in keys)

    @stage.app.post("/messages")
    def write() -> str:
        stage.uow.session.add(Message(text=request.get_json()))
        return "written"

    @stage.app.errorhandler(DBAPIError)
    @stage.app.errorhandler(UnknownCommitError)
    def failed(error: Exception) -> ResponseReturnValue:
        return f"{type(error).__name__}: {error}", 503

    return stage


def read(client: Client) -> Answer:
    status, body = client.get("/items")
    assert status != 200 or body == "tea coffee", body
    return status, body


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A PostgreSQL that nobody minds being restarted."""
    server = PostgreSQL(durable=True)
    yield server
    server.stop()


@pytest.fixture
def server_url(server: PostgreSQL) -> Iterator[str]:
    url = server.borrow()
    yield url.render_as_string(hide_password=False)
    server.give_back(url)


@pytest.fixture(params=[True, False], ids=["orderly", "crash"])
def restart(request: pytest.FixtureRequest, server: PostgreSQL) -> Callable[[], None]:
    orderly: bool = request.param
    return lambda: server.restart(orderly=orderly)


def test_a_restart_is_nothing_to_readers(make_stage: MakeStage, server_url: str, restart: Callable[[], None]) -> None:
    board = make_board(make_stage, server_url)
    assert failures_in_outages(board, restart, read) == []


def test_a_restart_takes_from_writers_nothing_that_they_were_promised(
    make_stage: MakeStage, server_url: str, restart: Callable[[], None]
) -> None:
    board, writer = make_board(make_stage, server_url), Writer()
    failures = failures_in_outages(board, restart, writer.write, read)
    assert all("OperationalError" in failure or "AdminShutdown" in failure for failure in failures)
    writer.check(board)


def test_a_restart_is_nothing_to_writers_that_may_try_again(
    make_stage: MakeStage, server_url: str, restart: Callable[[], None]
) -> None:
    board, writer = make_board(make_stage, server_url, attempts=3), Writer()
    assert failures_in_outages(board, restart, writer.write, read) == []
    writer.check(board)


def failures_in_outages(board: Stage, restart: Callable[[], None], *works: Callable[[Client], Answer]) -> list[str]:
    """What clients that do *works* were answered that failed though the server was up."""
    uptime = Uptime()
    clients = Clients(uptime)
    with served(board.app, threads=CLIENTS) as address, clients.at_work(address, *works):
        # Clients that are at work find out by themselves that their connections are lost, while the server is down.
        # Those that rest still have all of them in the pool when it is up.
        for pause in (nullcontext, clients.at_rest) * 2:
            clients.wait_for_answers(5)
            with pause(), uptime.outage():
                restart()
        clients.wait_for_answers(5)
    return clients.failures


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_connections_that_are_ended_one_after_the_other_are_nothing_to_readers(
    make_stage: MakeStage, outside: Outside, server: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{server}_url")
    board = make_board(make_stage, url)
    clients = Clients()
    ended = 0
    with served(board.app, threads=CLIENTS) as address, clients.at_work(address, read), outside(url) as connection:
        for _ in range(ROUNDS):
            clients.wait_for_answers(2)
            for number in connections_of_others(connection):
                end(connection, number)
                ended += 1
                # A request that has lost one connection is over before another is ended.
                clients.wait_for_answers(2)
    assert clients.failures == []
    assert ended >= ROUNDS


def connections_of_others(connection: Connection) -> list[int]:
    """The numbers by which the server knows the connections to this database, but for *connection*."""
    if connection.dialect.name == "postgresql":
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    else:
        query = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    found = list(connection.scalars(text(query)))
    connection.rollback()  # PostgreSQL shows the same as long as a transaction lasts
    return found


def end(connection: Connection, number: int) -> None:
    if connection.dialect.name == "postgresql":
        connection.scalar(text(f"SELECT pg_terminate_backend({number}, 10000)"))
        connection.rollback()
        return
    with suppress(DBAPIError):  # the pool was faster
        connection.execute(text(f"KILL {number}"))
