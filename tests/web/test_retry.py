"""Views that run again because the database asks for it: what they find, what they leave, and what is never repeated."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import abort, after_this_request, flash, g, get_flashed_messages, jsonify, redirect, request, session
from flask.typing import ResponseReturnValue
from flask.views import MethodView
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from flask_unitofwork import State, unit_committed, unit_retried, unit_rolled_back
from flask_unitofwork.web.repeatable import after_request_functions
from tests.rival import TURN, Rival, rival_of
from tests.stage import Item, MakeStage, Stage

SERIALIZABLE: Any = {"isolation_level": "SERIALIZABLE"}


@pytest.fixture
def stage(database_url: str, make_stage: MakeStage) -> Stage:
    return make_stage(database_url, **TURN)


@pytest.fixture
def sqlite_stage(sqlite_url: str, make_stage: MakeStage) -> Stage:
    return make_stage(sqlite_url, **TURN)


@pytest.fixture
def rival(stage: Stage) -> Iterator[Rival]:
    with rival_of(stage) as rival:
        yield rival


@pytest.fixture
def sqlite_rival(sqlite_stage: Stage) -> Iterator[Rival]:
    with rival_of(sqlite_stage) as rival:
        yield rival


def take_tea(stage: Stage, rival: Rival) -> None:
    """Read the item "tea", and write it."""
    tea = stage.uow.session.scalars(select(Item).where(Item.name == "tea")).one()
    rival.interfere()
    tea.name = "taken"
    stage.uow.session.flush()


class TestAView:
    def test_runs_again_when_the_database_asks_for_it(self, stage: Stage, rival: Rival) -> None:
        attempts: list[int] = []

        @stage.app.post("/")
        @stage.uow.transaction(attempts=3, **SERIALIZABLE)
        def view() -> ResponseReturnValue:
            attempts.append(stage.uow.current.attempt)
            stage.add(f"receipt {stage.uow.current.attempt}")
            take_tea(stage, rival)
            return "taken", 201

        assert stage.client.post("/").status_code == 201
        assert attempts == [1, 2]
        assert stage.names() == ["taken", "receipt 2"]
        assert stage.checked_out() == 0

    def test_runs_again_where_the_app_says_so_for_all_views(self, sqlite_url: str, make_stage: MakeStage) -> None:
        stage = make_stage(sqlite_url, UNITOFWORK_ATTEMPTS=2, **TURN)
        with rival_of(stage) as rival:

            @stage.app.post("/")
            def view() -> ResponseReturnValue:
                take_tea(stage, rival)
                return f"attempt {stage.uow.current.attempt}"

            assert stage.client.post("/").text == "attempt 2"
        assert stage.names() == ["taken"]

    def test_runs_again_where_only_its_commit_failed(self, stage: Stage, rival: Rival) -> None:
        @stage.app.post("/")
        @stage.uow.transaction(attempts=3, **SERIALIZABLE)
        def view() -> ResponseReturnValue:
            stage.uow.before_commit(lambda: take_tea(stage, rival))
            return f"attempt {stage.uow.current.attempt}"

        assert stage.client.post("/").text == "attempt 2"
        assert stage.names() == ["taken"]

    def test_runs_again_where_the_failure_was_swallowed(self, stage: Stage, rival: Rival) -> None:
        @stage.app.post("/")
        @stage.uow.transaction(attempts=3, **SERIALIZABLE)
        def view() -> ResponseReturnValue:
            try:
                with stage.uow.transaction():
                    take_tea(stage, rival)
            except OperationalError:
                pass
            return f"attempt {stage.uow.current.attempt}"

        assert stage.client.post("/").text == "attempt 2"
        assert stage.names() == ["taken"]

    def test_may_be_asynchronous_or_a_method(self, sqlite_url: str, make_stage: MakeStage) -> None:
        stage = make_stage(sqlite_url, **TURN)
        with rival_of(stage) as rival:

            class Tea(MethodView):
                @stage.uow.transaction(attempts=2)
                async def post(self) -> ResponseReturnValue:
                    await asyncio.sleep(0)
                    take_tea(stage, rival)
                    return f"attempt {stage.uow.current.attempt}"

            stage.app.add_url_rule("/", view_func=Tea.as_view("tea"))
            assert stage.client.post("/").text == "attempt 2"

    def test_commits_for_itself_where_commits_are_explicit(self, sqlite_url: str, make_stage: MakeStage) -> None:
        stage = make_stage(sqlite_url, UNITOFWORK_COMMIT="explicit", **TURN)
        calls: list[int] = []
        with rival_of(stage) as rival:

            @stage.app.post("/")
            @stage.uow.transaction(attempts=3)
            def view() -> ResponseReturnValue:
                calls.append(stage.uow.current.attempt)
                take_tea(stage, rival)
                return "taken"

            assert stage.client.post("/").status_code == 200
        assert calls == [1, 2]
        assert stage.names() == ["taken"]

    def test_that_is_durable_has_its_own_attempts_and_no_more(self, sqlite_url: str, make_stage: MakeStage) -> None:
        stage = make_stage(sqlite_url, UNITOFWORK_ATTEMPTS=2, **TURN)
        calls: list[int] = []

        @stage.app.post("/")
        @stage.uow.explicit_commit
        @stage.uow.durable(attempts=4)
        def view() -> ResponseReturnValue:
            calls.append(stage.uow.current.attempt)
            stage.add("tea")
            return "added"

        with stage.outside(stage.engine) as holder:
            holder.exec_driver_sql("BEGIN IMMEDIATE")
            assert stage.client.post("/").status_code == 500
        assert calls == [1, 2, 3, 4]

    def test_that_streams_is_repeated_before_the_first_byte(self, sqlite_stage: Stage, sqlite_rival: Rival) -> None:
        stage = sqlite_stage

        @stage.app.post("/")
        @stage.uow.transaction(attempts=2)
        def view() -> Iterator[str]:
            take_tea(stage, sqlite_rival)
            return iter(["attempt ", str(stage.uow.current.attempt)])

        assert stage.client.post("/").text == "attempt 2"

    def test_gives_up_after_its_attempts_and_its_error_handlers_answer(
        self, sqlite_stage: Stage, caplog: pytest.LogCaptureFixture
    ) -> None:
        stage = sqlite_stage
        attempts: list[int] = []

        @stage.app.errorhandler(OperationalError)
        def busy(error: OperationalError) -> ResponseReturnValue:
            assert not stage.uow.current.session.in_transaction()
            return "busy", 503

        @stage.app.post("/")
        @stage.uow.transaction(attempts=3)
        def view() -> ResponseReturnValue:
            attempts.append(stage.uow.current.attempt)
            stage.add("tea")
            stage.uow.session.flush()
            return "added"

        with stage.outside(stage.engine) as holder:
            holder.exec_driver_sql("BEGIN IMMEDIATE")
            assert stage.client.post("/").status_code == 503
        assert attempts == [1, 2, 3]
        assert stage.names() == []
        assert "Attempt 3 of 3 failed, and no other follows." in caplog.messages


class TestASecondAttempt:
    @pytest.mark.parametrize("peeks", [False, True], ids=["untouched", "read before the view"])
    @pytest.mark.parametrize("size", [10, 2_000_000], ids=["short", "long"])
    def test_reads_the_same_body(self, sqlite_stage: Stage, size: int, peeks: bool) -> None:
        stage = sqlite_stage
        seen: list[Any] = []
        stage.app.config["MAX_FORM_MEMORY_SIZE"] = None

        @stage.app.before_request
        def peek() -> None:
            if peeks:
                len(request.form)
                request.get_json(silent=True)

        def look() -> Any:
            if request.is_json:
                data = request.get_json()
                data["count"] = data["count"] + 1
                return data
            if request.files:
                return [request.form.to_dict(), request.files["photo"].read()]
            if request.form:
                return request.form.to_dict()
            return request.get_data() if peeks else request.stream.read()

        @stage.app.post("/")
        @stage.uow.transaction(attempts=2)
        def view() -> ResponseReturnValue:
            seen.append(look())
            stage.uow.session.scalars(select(Item)).all()
            return "taken"

        text = "x" * size
        # The test client itself leaves the file of a longer upload open.
        bodies: list[dict[str, Any]] = [
            {"json": {"count": 1, "text": text}},
            {"data": {"text": text}},
            {"data": {"text": "hello", "photo": (io.BytesIO(text[:400_000].encode()), "photo.png")}},
            {"data": text.encode(), "content_type": "application/octet-stream"},
        ]
        for body in bodies:
            with stage.outside(stage.engine) as holder:
                holder.exec_driver_sql("BEGIN IMMEDIATE")

                def give_way(_sender: object, holder: Any = holder, **_: Any) -> None:
                    holder.rollback()

                with unit_retried.connected_to(give_way, stage.app):
                    assert stage.client.post("/", **body).status_code == 200
            first, second = seen
            assert first == second
            seen.clear()

    def test_finds_the_flask_session_as_it_was(self, sqlite_stage: Stage, sqlite_rival: Rival) -> None:
        stage = sqlite_stage

        @stage.app.post("/")
        @stage.uow.transaction(attempts=2)
        def view() -> ResponseReturnValue:
            session.setdefault("visits", []).append("now")
            session.modified = True
            flash("Taken.")
            take_tea(stage, sqlite_rival)
            return jsonify(visits=session["visits"])

        @stage.app.get("/messages")
        def messages() -> ResponseReturnValue:
            return jsonify(get_flashed_messages())

        client = stage.client
        assert client.post("/").json == {"visits": ["now"]}
        assert client.get("/messages").json == ["Taken."]

    def test_leaves_a_flask_session_alone_that_nobody_touched(self, sqlite_stage: Stage, sqlite_rival: Rival) -> None:
        stage = sqlite_stage

        @stage.app.post("/")
        @stage.uow.transaction(attempts=2)
        def view() -> ResponseReturnValue:
            take_tea(stage, sqlite_rival)
            return "taken"

        response = stage.client.post("/")
        assert "Set-Cookie" not in response.headers
        assert "Vary" not in response.headers

    def test_does_not_do_twice_what_was_registered_for_after_the_request(
        self, sqlite_stage: Stage, sqlite_rival: Rival
    ) -> None:
        stage = sqlite_stage

        @stage.app.post("/")
        @stage.uow.transaction(attempts=2)
        def view() -> ResponseReturnValue:
            @after_this_request
            def count(response: Any) -> Any:
                response.headers.add("X-Count", "1")
                return response

            assert len(after_request_functions()) == 1
            take_tea(stage, sqlite_rival)
            return "taken"

        assert stage.client.post("/").headers.getlist("X-Count") == ["1"]

    def test_can_use_objects_that_were_put_on_g(self, stage: Stage, rival: Rival) -> None:
        @stage.app.before_request
        def load() -> None:
            g.tea = stage.uow.session.scalars(select(Item)).one()

        @stage.app.post("/")
        @stage.uow.transaction(attempts=2, **SERIALIZABLE)
        def view() -> ResponseReturnValue:
            assert g.tea.name == "tea"
            assert g.tea in stage.uow.session
            rival.interfere()
            g.tea.name = "taken"
            stage.uow.session.flush()
            return f"attempt {stage.uow.current.attempt}"

        response = stage.client.post("/")
        if stage.engine.dialect.name == "postgresql":
            assert response.text == "attempt 2"
            assert stage.names() == ["taken"]
        else:
            # Here before_request failed, which is not run again: the rival holds the lock, for reading too.
            assert response.status_code == 500


class TestNeverRepeated:
    """What would be done twice."""

    def answer(self, stage: Stage) -> tuple[int, int]:
        """Post while a lock is held that is released with the first attempt; the status, and how often units ended."""
        ended: list[object] = []

        def count(_sender: object, **_: Any) -> None:
            ended.append(1)

        with stage.outside(stage.engine) as holder:

            def hold() -> ResponseReturnValue | None:
                holder.exec_driver_sql("BEGIN IMMEDIATE")
                return None

            stage.app.extensions["hold"] = hold
            with unit_retried.connected_to(count, stage.app):
                status = stage.client.post("/").status_code
        return status, len(ended)

    @pytest.mark.parametrize(
        "first", ["an explicit commit", "an independent transaction", "a scope", "a durable function"]
    )
    def test_an_attempt_that_has_committed_something(self, sqlite_url: str, make_stage: MakeStage, first: str) -> None:
        stage = make_stage(sqlite_url, UNITOFWORK_ATTEMPTS=3, UNITOFWORK_COMMIT="explicit", **TURN)

        def commit_something() -> None:
            if first == "an explicit commit":
                stage.add("first")
                stage.uow.session.commit()
            elif first == "a durable function":
                stage.uow.durable(lambda: stage.add("first"))()
            else:
                block = stage.uow.scope() if first == "a scope" else stage.uow.independent_transaction()
                with block as inner:
                    inner.add(Item(name="first"))

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            commit_something()
            stage.app.extensions["hold"]()
            with stage.uow.transaction():
                stage.add("second")
            return "added"

        assert self.answer(stage) == (500, 0)
        assert stage.names() == ["first"]

    def test_a_view_whose_before_request_functions_left_work(
        self, sqlite_stage: Stage, caplog: pytest.LogCaptureFixture
    ) -> None:
        stage = sqlite_stage

        @stage.app.before_request
        def visit() -> None:
            stage.add("visit")

        @stage.app.post("/")
        @stage.uow.transaction(attempts=3)
        def view() -> ResponseReturnValue:
            stage.app.extensions["hold"]()
            stage.uow.session.flush()
            return "added"

        assert self.answer(stage) == (500, 0)
        assert stage.names() == []
        assert "before_request functions had left work uncommitted (1 new Item)" in caplog.text

    def test_a_view_that_failed_for_another_reason(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage
        calls: list[int] = []

        @stage.app.post("/<int:status>")
        @stage.uow.transaction(attempts=3)
        def view(status: int) -> ResponseReturnValue:
            calls.append(status)
            if status == 302:
                abort(redirect("/"))
            if status == 500:
                raise LookupError
            abort(status)

        for status in (302, 409, 500):
            assert stage.client.post(f"/{status}").status_code == status
        assert calls == [302, 409, 500]

    def test_a_function_inside_another_transaction(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage
        calls: list[int] = []

        @stage.uow.transaction(attempts=3)
        def add() -> None:
            calls.append(1)
            stage.add("second")
            stage.uow.session.flush()

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.app.extensions["hold"]()
            add()
            return "added"

        assert self.answer(stage) == (500, 0)
        assert calls == [1]

    def test_a_body_that_is_too_long_is_refused_before_the_view_runs(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage
        stage.app.config["MAX_CONTENT_LENGTH"] = 10

        @stage.app.post("/")
        @stage.uow.transaction(attempts=3)
        def view() -> ResponseReturnValue:
            raise AssertionError

        assert stage.client.post("/", data="x" * 11).status_code == 413


class TestAFunction:
    def test_runs_again_as_a_whole(self, stage: Stage, rival: Rival) -> None:
        @stage.uow.transaction(attempts=3, **SERIALIZABLE)
        def take(receipt: str) -> int:
            stage.add(f"{receipt} {stage.uow.current.attempt}")
            take_tea(stage, rival)
            return stage.uow.current.attempt

        with stage.app.app_context():
            assert take("receipt") == 2
            assert stage.uow.current.state is State.COMMITTED
        assert stage.names() == ["taken", "receipt 2"]

    def test_may_be_a_coroutine_function(self, stage: Stage, rival: Rival) -> None:
        @stage.uow.transaction(attempts=3, **SERIALIZABLE)
        async def take() -> int:
            await asyncio.sleep(0)
            take_tea(stage, rival)
            return stage.uow.current.attempt

        with stage.app.app_context():
            assert asyncio.run(take()) == 2
        assert stage.names() == ["taken"]

    @pytest.mark.parametrize("kind", ["durable", "independent_transaction"])
    def test_may_be_in_a_block_of_another_kind(self, sqlite_stage: Stage, sqlite_rival: Rival, kind: str) -> None:
        stage = sqlite_stage

        block: Any = getattr(stage.uow, kind)(attempts=3)

        def work() -> int:
            take_tea(stage, sqlite_rival)
            return stage.uow.current.attempt

        with stage.app.app_context():
            assert block(work)() == 2
        assert stage.names() == ["taken"]

    def test_is_logged_and_signalled(
        self, sqlite_stage: Stage, sqlite_rival: Rival, caplog: pytest.LogCaptureFixture
    ) -> None:
        stage = sqlite_stage
        caplog.set_level(logging.INFO)
        told: list[tuple[str, Any]] = []

        def retried(sender: object, **values: Any) -> None:
            assert sender is stage.app
            assert isinstance(values["error"], OperationalError)
            assert values["wait"] >= 0
            told.append(("retried", values["unit"].attempt))

        def committed(sender: object, unit: Any) -> None:
            assert sender is stage.app
            told.append(("committed", unit.attempt))

        def rolled_back(sender: object, unit: Any) -> None:
            assert sender is stage.app
            told.append(("rolled back", unit.attempt))

        @stage.uow.transaction(attempts=3)
        def take() -> None:
            take_tea(stage, sqlite_rival)

        with (
            unit_retried.connected_to(retried, stage.app),
            unit_committed.connected_to(committed, stage.app),
            unit_rolled_back.connected_to(rolled_back, stage.app),
            stage.app.app_context(),
        ):
            take()
        assert told == [("rolled back", 1), ("retried", 1), ("committed", 2)]
        assert any("Attempt 1 of 3 failed with OperationalError and was rolled back." in one for one in caplog.messages)
        assert "Attempt 2 of 3 succeeded." in caplog.messages
