"""What adversaries have found: each was wrong once."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

import pytest
from flask import flash, get_flashed_messages, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from flask_unitofwork import DemarcationError, DoomedError, ReadOnlyError, State, unit_retried
from tests.rival import TURN
from tests.stage import Item, MakeStage, Stage


@pytest.fixture
def busy(sqlite_url: str, make_stage: MakeStage) -> Stage:
    """A stage that gives up soon where somebody else has the turn to write."""
    return make_stage(sqlite_url, **TURN)


@contextmanager
def turn_taken(stage: Stage) -> Generator[Any]:
    """Somebody else can take the turn to write; the first retry has them give it back."""
    with stage.outside(stage.engine) as holder:

        def give_way(_sender: object, **_: Any) -> None:
            holder.rollback()

        with unit_retried.connected_to(give_way, stage.app):
            yield lambda: holder.exec_driver_sql("BEGIN IMMEDIATE")


class TestWhatASecondAttemptWouldLose:
    """Where something was begun before the work that can run again, that work runs once."""

    @pytest.mark.parametrize("before", ["work", "hook", "doom"])
    def test_before_a_function(self, busy: Stage, before: str) -> None:
        @busy.uow.transaction(attempts=3)
        def work() -> None:
            take()
            busy.add("tea")
            busy.uow.session.flush()

        with turn_taken(busy) as take, busy.app.app_context():
            if before == "work":
                busy.add("coffee")
            elif before == "hook":
                busy.uow.on_commit(lambda: None)
            else:
                busy.uow.doom("no")
            with pytest.raises(OperationalError):
                work()

    @pytest.mark.parametrize("before", ["hook", "doom", "lock"])
    def test_before_a_view(self, busy: Stage, before: str, caplog: pytest.LogCaptureFixture) -> None:
        @busy.app.before_request
        def begin() -> None:
            if before == "hook":
                busy.uow.on_commit(lambda: None)
            elif before == "doom":
                busy.uow.doom("no")
            else:
                busy.uow.session.execute(text("PRAGMA cache_size = 100"))

        @busy.app.post("/")
        @busy.uow.transaction(attempts=3)
        def view() -> str:
            error = OperationalError("UPDATE", None, Busy("busy"))
            raise error

        assert busy.client.post("/").status_code == 500
        assert "before_request functions had left work" in caplog.text


class Busy(Exception):  # noqa: N818  as SQLite's driver would raise it
    sqlite_errorcode = 5


class TestWhatIsNeverDoneTwice:
    def failing(self, calls: list[int]) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError("UPDATE", None, Busy("busy"))

    def test_hooks_of_a_view_that_touched_no_database(self, busy: Stage) -> None:
        sent: list[str] = []
        calls: list[int] = []

        @busy.app.post("/")
        @busy.uow.transaction(attempts=3)
        def view() -> str:
            busy.uow.on_commit(lambda: sent.append("mail"))
            busy.uow.on_commit(lambda: self.failing(calls), robust=False)
            return "sent"

        busy.client.post("/")
        assert sent == ["mail"]

    @pytest.mark.parametrize("inside", ["nested context", "scope in a nested context", "nested request"])
    def test_what_is_committed_in_another_context(self, busy: Stage, inside: str) -> None:
        calls: list[int] = []
        busy.app.add_url_rule("/add", "add", lambda: busy.add("tea") or "added", methods=["POST"])

        @busy.app.post("/")
        @busy.uow.transaction(attempts=3)
        def view() -> str:
            if inside == "nested request":
                busy.client.post("/add")
            elif inside == "nested context":
                with busy.app.app_context():
                    busy.add("tea")
                    busy.uow.session.commit()
            else:
                with busy.app.app_context(), busy.uow.scope():
                    busy.add("tea")
            self.failing(calls)
            return "done"

        assert busy.client.post("/").status_code == 500
        assert busy.names() == ["tea"]
        assert calls == [1]

    def test_what_mariadb_commits_by_itself(
        self, mariadb_url: str, make_stage: MakeStage, caplog: pytest.LogCaptureFixture
    ) -> None:
        stage = make_stage(mariadb_url)
        calls: list[int] = []

        @stage.app.post("/")
        @stage.uow.transaction(attempts=3)
        def view() -> str:
            stage.add("tea")
            stage.uow.session.flush()
            stage.uow.session.execute(text("CREATE TABLE other (id INTEGER)"))
            calls.append(1)
            raise OperationalError("UPDATE", None, Busy(1213, "deadlock"))

        assert stage.client.post("/").status_code == 500
        assert calls == [1]
        assert stage.names() == ["tea"]
        assert "has committed a part of what is rolled back here" in caplog.text


class TestWhatASecondAttemptFinds:
    def test_flashed_messages_are_shown_once(self, busy: Stage) -> None:
        calls: list[int] = []

        @busy.app.get("/flash")
        def say() -> str:
            flash("hello")
            return "said"

        @busy.app.post("/")
        @busy.uow.transaction(attempts=2)
        def view() -> ResponseReturnValue:
            messages = get_flashed_messages()
            TestWhatIsNeverDoneTwice().failing(calls)
            return jsonify(messages)

        client = busy.client
        client.get("/flash")
        assert client.post("/").json == ["hello"]
        assert client.post("/").json == []

    def test_an_upload_can_be_read_that_the_first_attempt_closed(self, busy: Stage) -> None:
        calls: list[int] = []

        @busy.app.before_request
        def look() -> None:
            len(request.files)

        @busy.app.post("/")
        @busy.uow.transaction(attempts=2)
        def view() -> bytes:
            with request.files["photo"].stream as photo:
                content = bytes(photo.read())
            TestWhatIsNeverDoneTwice().failing(calls)
            return content

        assert busy.client.post("/", data={"photo": (io.BytesIO(b"pixels"), "photo.png")}).data == b"pixels"

    def test_a_body_is_where_before_request_left_it(self, busy: Stage) -> None:
        calls: list[int] = []

        @busy.app.before_request
        def read_a_line() -> None:
            request.stream.readline()

        @busy.app.post("/")
        @busy.uow.transaction(attempts=2)
        def view() -> bytes:
            rest = bytes(request.stream.read())
            TestWhatIsNeverDoneTwice().failing(calls)
            return rest

        assert busy.client.post("/", data=b"first\nsecond\n").data == b"second\n"


class TestDurable:
    def test_does_not_return_where_a_doom_has_had_its_work_rolled_back(self, stage: Stage) -> None:
        @stage.uow.durable
        def pay() -> str:
            stage.add("payment")
            stage.uow.doom("no")
            return "paid"

        with stage.app.app_context(), pytest.raises(DoomedError, match="A durable function cannot return"):
            pay()
        assert stage.names() == []


class TestDecorating:
    def test_refuses_what_returns_an_awaitable(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage

        async def work() -> None:
            stage.add("tea")

        @wraps(work)
        def hidden() -> Any:
            return work()

        with stage.app.app_context(), pytest.raises(DemarcationError, match="returned an awaitable"):
            stage.uow.durable(hidden)()

    def test_looks_into_partials_and_objects(self, stage: Stage) -> None:
        def numbers(_first: int) -> Generator[int]:
            yield 1

        class Later:
            async def __call__(self, name: str) -> str:
                await asyncio.sleep(0)
                stage.add(name)
                return name

        with pytest.raises(DemarcationError, match="is a generator function"):
            stage.uow.transaction()(partial(numbers, 1))
        work: Any = stage.uow.transaction()(Later())
        with stage.app.app_context():
            assert asyncio.run(work("tea")) == "tea"
        assert stage.names() == ["tea"]

    @pytest.mark.parametrize("kind", [classmethod, staticmethod])
    def test_refuses_what_is_no_function(self, sqlite_stage: Stage, kind: Any) -> None:
        with pytest.raises(DemarcationError, match="the decorator comes below @classmethod or @staticmethod"):
            sqlite_stage.uow.transaction()(kind(lambda: None))
        with pytest.raises(DemarcationError, match="cannot be decorated"):
            sqlite_stage.uow.transaction()(Item)

    def test_a_scope_wants_its_parentheses(self, sqlite_stage: Stage) -> None:
        scope: Any = sqlite_stage.uow.scope
        with pytest.raises(DemarcationError, match=r"@uow\.scope\(\)"):
            scope(lambda: None)


class TestBlocksThatOverlap:
    def test_doom_the_unit(self, stage: Stage) -> None:
        with stage.app.app_context(), pytest.raises(DoomedError, match="two tasks or generators share one unit"):
            with stage.uow.transaction():
                first, second = stage.uow.transaction(), stage.uow.transaction()
                first.__enter__()
                second.__enter__()
                stage.add("tea")
                first.__exit__(None, None, None)
                second.__exit__(None, None, None)
        assert stage.names() == []


class TestReadOnly:
    def test_whose_start_fails_leaves_nothing_behind(self, stage: Stage) -> None:
        with stage.app.app_context():
            with pytest.raises(IntegrityError), stage.uow.transaction() as session:
                session.add(Item(name="tea"))
                session.flush()
                session.add(Item(name="tea"))
                with stage.uow.read_only():
                    raise AssertionError
            unit = stage.uow.current
            assert (unit.read_only, unit.commits_at_its_end, unit.state) == (False, False, State.ROLLED_BACK)
            with stage.uow.transaction():
                stage.add("coffee")
        assert stage.names() == ["coffee"]

    def test_does_not_commit_what_was_written_before_it(self, stage: Stage) -> None:
        with stage.app.app_context():
            stage.add("tea")
            stage.uow.session.flush()
            with pytest.raises(DemarcationError, match="would end with a commit of what was written before it"):
                with stage.uow.read_only():
                    raise AssertionError
            stage.uow.session.rollback()
        assert stage.names() == []

    def test_inside_a_transaction_sees_through_mariadb_s_wrappers(
        self, mariadb_url: str, make_stage: MakeStage
    ) -> None:
        stage = make_stage(mariadb_url)
        for write in (
            "SET STATEMENT max_statement_time=5 FOR INSERT INTO item (name) VALUES ('tea')",
            "BEGIN NOT ATOMIC INSERT INTO item (name) VALUES ('tea'); END",
        ):
            with stage.app.app_context(), pytest.raises(ReadOnlyError), stage.uow.transaction() as session:
                session.scalars(select(Item)).all()
                with stage.uow.read_only():
                    session.execute(text(write))
        assert stage.names() == []


class TestOptions:
    def test_can_be_chosen_after_mere_reads_by_the_outermost_block(self, stage: Stage) -> None:
        with stage.app.app_context():
            stage.uow.session.scalars(select(Item)).all()
            with stage.uow.transaction(isolation_level="SERIALIZABLE", timeout=5):
                assert stage.uow.current.held.intent.isolation_level == "SERIALIZABLE"
                stage.add("tea")
        assert stage.names() == ["tea"]

    def test_of_a_block_that_does_not_begin_are_forgotten(self, sqlite_stage: Stage) -> None:
        with sqlite_stage.app.app_context():
            with pytest.raises(LookupError):
                with sqlite_stage.uow.transaction(isolation_level="SERIALIZABLE", timeout=1, bind="typo"):
                    raise AssertionError
            assert sqlite_stage.uow.current.held.intent.isolation_level is None


def test_a_session_taken_away_inside_a_block_is_no_assertion(sqlite_stage: Stage) -> None:
    with sqlite_stage.app.app_context(), pytest.raises(DoomedError), sqlite_stage.uow.transaction():
        sqlite_stage.add("tea")
        sqlite_stage.uow.registry.remove()


def test_work_in_a_teardown_function_is_its_own(stage: Stage) -> None:
    @stage.app.teardown_request
    def note(_error: BaseException | None) -> None:
        with stage.uow.transaction():
            stage.add("torn down")

    @stage.app.after_request
    def fail(_response: Any) -> Any:
        raise LookupError

    stage.app.add_url_rule("/", "view", lambda: "answer")
    stage.app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(LookupError):
        stage.client.get("/")
    assert stage.names() == ["torn down"]


def test_hooks_of_a_savepoint_begun_by_hand_go_with_it(stage: Stage) -> None:
    sent: list[str] = []
    with stage.app.app_context():
        with stage.uow.transaction() as session:
            stage.add("tea")
            session.flush()
            with pytest.raises(IntegrityError), session.begin_nested():
                stage.uow.on_commit(lambda: sent.append("rolled back"))
                stage.add("tea")
                session.flush()
            with session.begin_nested():
                stage.uow.on_commit(lambda: sent.append("released"))
                stage.add("milk")
    assert sent == ["released"]
    assert stage.names() == ["tea", "milk"]


def test_work_in_a_teardown_function_after_an_error_page_is_no_stream_s(stage: Stage) -> None:
    @stage.app.teardown_request
    def note(_error: BaseException | None) -> None:
        with stage.uow.transaction():
            stage.add("torn down")

    assert stage.client.get("/nowhere").status_code == 404
    assert stage.names() == ["torn down"]
