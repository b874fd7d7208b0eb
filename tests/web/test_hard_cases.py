"""What is easily got wrong: failures that views swallow, scopes in generators, extensions that wrap the same methods."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, has_app_context, stream_with_context
from flask.typing import ResponseReturnValue
from flask.views import MethodView
from sqlalchemy import event, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from flask_unitofwork import DemarcationError, DoomedError, Session, State
from tests.stage import Item, MakeStage, Stage


class TestAFailureThatTheViewSwallowed:
    def test_of_a_core_statement_is_never_answered_with_work_that_is_gone(self, stage: Stage) -> None:
        with stage.uow.scope(stage.app) as session:
            session.add(Item(name="tea"))
        log: list[str] = []

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.uow.on_commit(lambda: log.append("mail"))
            stage.add("coffee")
            stage.uow.session.flush()
            try:
                stage.uow.session.execute(insert(Item).values(name="tea"))
            except IntegrityError:
                pass
            return "saved"

        saved = stage.client.post("/").status_code == 200
        assert saved == ("coffee" in stage.names()) == bool(log)
        # PostgreSQL gives up the whole transaction; the others undo the statement alone.
        assert saved == (stage.engine.dialect.name != "postgresql")

    def test_of_a_before_commit_hook_still_prevents_the_commit(self, stage: Stage) -> None:
        def check() -> None:
            raise ValueError

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.uow.before_commit(check)
            stage.add("tea")
            try:
                stage.uow.session.commit()
            except ValueError:
                pass
            return "saved"

        assert stage.client.post("/").status_code == 500
        assert stage.names() == []

    def test_by_a_deadlock_is_never_answered_with_work_that_is_gone(
        self, mariadb_url: str, make_stage: MakeStage
    ) -> None:
        stage = make_stage(mariadb_url)
        with stage.uow.scope(stage.app) as session:
            session.add_all([Item(name="tea"), Item(name="coffee")])
        barrier, saved = threading.Barrier(2), []

        def change(first: int, second: int) -> None:
            with stage.uow.scope(stage.app) as session:
                session.execute(update(Item).where(Item.id == first).values(name=f"changed {first}"))
                barrier.wait(20)
                try:
                    session.execute(select(Item.id).where(Item.id == second).with_for_update()).all()
                except DBAPIError:
                    pass
            saved.append(f"changed {first}")

        def run(first: int, second: int) -> None:
            try:
                change(first, second)
            except SQLAlchemyError:
                pass

        threads = [threading.Thread(target=run, args=pair) for pair in ((1, 2), (2, 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert saved == [name for name in stage.names() if name.startswith("changed")]
        assert len(saved) == 1

    def test_in_a_flush_may_be_retried_after_the_listener_that_refused(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage
        with stage.app.app_context():
            session = stage.uow.session
            event.listen(session, "before_flush", _refuse, once=True)
            session.add(Item(name="tea"))
            with pytest.raises(LookupError):
                session.commit()
            session.commit()
        assert stage.names() == ["tea"]


def _refuse(*_: object) -> None:
    raise LookupError


class TestAScopeInAGenerator:
    def rows(self, stage: Stage) -> Iterator[str]:
        with stage.uow.scope() as session:
            yield from list(session.scalars(select(Item.name)))

    @pytest.fixture
    def filled(self, stage: Stage) -> Stage:
        with stage.uow.scope(stage.app) as session:
            session.add_all([Item(name="tea"), Item(name="coffee")])
        return stage

    def test_that_is_suspended_does_not_keep_the_request_from_its_commit(self, filled: Stage) -> None:
        @filled.app.post("/")
        def view() -> ResponseReturnValue:
            filled.add("audit")
            rows = self.rows(filled)
            first = next(rows)

            def body() -> Iterator[str]:
                yield first
                yield from rows

            return stream_with_context(body())

        with filled.client.post("/") as response:
            assert response.get_data(as_text=True)
        assert "audit" in filled.names()

    def test_may_end_out_of_turn(self, filled: Stage) -> None:
        @filled.app.post("/")
        def view() -> ResponseReturnValue:
            session = filled.uow.session
            for _ in zip(self.rows(filled), self.rows(filled), strict=False):
                pass
            assert filled.uow.session is session
            filled.add("audit")
            return "ok"

        assert filled.client.post("/").status_code == 200
        assert "audit" in filled.names()

    def test_that_is_closed_with_work_in_it_says_so(self, filled: Stage, caplog: pytest.LogCaptureFixture) -> None:
        with filled.app.app_context():
            rows = self.rows(filled)
            next(rows)
            filled.add("lost")
            rows.close()  # type: ignore[attr-defined]
        assert "1 new Item" in caplog.text
        assert "lost" not in filled.names()


class TestAViewThatClosesItsSession:
    @pytest.mark.parametrize("flushed", [False, True])
    @pytest.mark.parametrize("close", ["close", "reset"])
    def test_is_told_of_the_work_that_is_lost(
        self, stage: Stage, caplog: pytest.LogCaptureFixture, close: str, flushed: bool
    ) -> None:
        @stage.app.post("/")
        def view() -> str:
            stage.add("lost")
            if flushed:
                stage.uow.session.flush()
            getattr(stage.uow.session, close)()
            stage.add("kept")
            return "ok"

        assert stage.client.post("/").status_code == 200
        assert stage.names() == ["kept"]
        (message,) = caplog.messages
        assert message.startswith("Code has closed its session, at ")
        assert "test_hard_cases.py" in message
        assert ("statements that were sent" if flushed else "1 new Item") in message
        assert "Write session.commit() before" in message

    def test_is_told_nothing_where_nothing_is_lost(
        self, stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        @stage.app.post("/")
        def view() -> str:
            stage.add("kept")
            stage.uow.session.commit()
            stage.names()
            stage.uow.session.close()
            return "ok"

        @stage.app.post("/fails")
        def fails() -> str:
            stage.add("lost")
            raise LookupError

        assert stage.client.post("/").status_code == 200
        stage.app.config["PROPAGATE_EXCEPTIONS"] = False
        # Flask's own, which it shares with all apps of this name.
        monkeypatch.setattr(stage.app.logger, "disabled", True)
        assert stage.client.post("/fails").status_code == 500
        assert stage.names() == ["kept"]
        assert caplog.messages == []


class TestAnotherExtensionThatWrapsTheSameMethods:
    @pytest.mark.parametrize("method", ["handle_user_exception", "dispatch_request", "full_dispatch_request"])
    def test_gets_a_clean_session_for_what_it_makes_of_a_failure(self, stage: Stage, method: str) -> None:
        original: Callable[..., Any] = getattr(stage.app, method)

        def wrapped(*args: Any) -> Any:
            if method == "handle_user_exception":
                return stage.app.make_response("mended")
            try:
                return original(*args)
            except LookupError:
                return stage.app.make_response("mended")

        setattr(stage.app, method, wrapped)

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("half")
            raise LookupError

        assert stage.client.post("/").text == "mended"
        assert stage.names() == []


class TestDoom:
    def test_is_not_lifted_by_a_savepoint_that_the_failed_block_itself_began(self, stage: Stage) -> None:
        with stage.app.app_context():
            with pytest.raises(DoomedError), stage.uow.transaction() as session:
                nested = None
                try:
                    with stage.uow.transaction():
                        stage.add("tea")
                        nested = session.begin_nested()
                        raise LookupError
                except LookupError:
                    pass
                assert nested is not None
                nested.rollback()
        assert stage.names() == []

    def test_is_respected_where_commits_are_explicit(self, database_url: str, make_stage: MakeStage) -> None:
        stage = make_stage(database_url, UNITOFWORK_COMMIT="explicit", TESTING=True)

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.doom("only a rehearsal")
            return "ordered"

        assert stage.client.post("/").status_code == 200
        assert stage.names() == []


class TestBlocksInOddPlaces:
    def test_a_before_commit_hook_may_use_a_transaction_block(self, stage: Stage) -> None:
        @stage.uow.transaction()
        def note() -> None:
            stage.add("audit")

        with stage.app.app_context(), stage.uow.transaction():
            stage.uow.before_commit(note)
            stage.add("tea")
        assert sorted(stage.names()) == ["audit", "tea"]

    @pytest.mark.parametrize("teardown", ["teardown_request", "teardown_appcontext"])
    def test_a_block_in_a_teardown_function_commits(self, stage: Stage, teardown: str) -> None:
        stage.app.get("/")(lambda: "hello")
        done: list[str] = []

        def note(error: BaseException | None) -> None:
            if not done:
                done.append("once")
                with stage.uow.transaction():
                    stage.add("audit")

        getattr(stage.app, teardown)(note)
        assert stage.client.get("/").status_code == 200
        assert stage.names() == ["audit"]

    def test_a_commit_over_an_open_savepoint_is_a_commit(self, stage: Stage) -> None:
        with stage.app.app_context():
            with stage.uow.session.begin():
                stage.uow.session.begin_nested()
                stage.add("tea")
            assert stage.uow.current.state is State.COMMITTED
        assert stage.names() == ["tea"]

    def test_a_session_that_does_not_begin_by_itself_is_settled_all_the_same(
        self, database_url: str, make_stage: MakeStage
    ) -> None:
        stage = make_stage(database_url, UNITOFWORK_SESSION_OPTIONS={"autobegin": False})

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            with stage.uow.session.begin():
                stage.add("tea")
            return "ordered"

        assert stage.client.post("/").status_code == 200
        assert stage.names() == ["tea"]

    def test_a_scope_that_cannot_make_its_session_leaks_no_context(
        self, sqlite_url: str, make_stage: MakeStage
    ) -> None:
        class Refusing(Session):
            refuses = False

            def __init__(self, **options: Any) -> None:
                if self.refuses:
                    raise LookupError("no session today")
                super().__init__(**options)

        stage = make_stage(sqlite_url, UNITOFWORK_SESSION_OPTIONS={"class_": Refusing})
        Refusing.refuses = True
        with pytest.raises(LookupError, match="no session today"), stage.uow.scope(stage.app):
            pass
        assert not has_app_context()

    def test_an_eager_task_joins_the_request_around_it(self, database_url: str, make_stage: MakeStage) -> None:
        stage = make_stage(database_url, UNITOFWORK_NESTED_CONTEXT="join")

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            with stage.app.app_context(), stage.uow.transaction():
                stage.add("task")
            raise LookupError

        assert stage.client.post("/").status_code == 500
        assert stage.names() == []

    def test_a_head_request_follows_the_mark_on_get(self, stage: Stage) -> None:
        class Items(MethodView):
            @stage.uow.explicit_commit
            def get(self) -> str:
                stage.add("tea")
                return "hello"

        stage.app.add_url_rule("/", view_func=Items.as_view("items"))
        assert stage.client.head("/").status_code == 200
        assert stage.names() == []

    def test_coroutine_functions_are_no_hooks(self, sqlite_stage: Stage) -> None:
        async def later() -> None: ...

        with sqlite_stage.app.app_context(), pytest.raises(DemarcationError, match="nobody would await it"):
            sqlite_stage.uow.on_commit(later)

    def test_hooks_stay_with_the_session_that_they_were_registered_for(self, stage: Stage) -> None:
        log: list[str] = []
        with stage.app.app_context():
            old = stage.uow.session
            stage.uow.registry.remove()
            stage.add("tea")
            stage.uow.on_commit(lambda: log.append("mail"))
            old.execute(text("SELECT 1"))
            old.commit()
            old.close()
            assert log == []
            stage.uow.session.rollback()


class TestOneWriterDatabases:
    def test_who_only_reads_inside_a_request_that_writes_does_not_wait(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage
        stage.app.config["UNITOFWORK_LOCK_TIMEOUT"] = 30

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.uow.session.scalars(select(Item)).all()
            with stage.app.app_context():
                stage.uow.session.scalars(select(Item)).all()
            with stage.uow.scope(), stage.uow.scope() as session:
                return str(len(session.scalars(select(Item)).all()))

        assert stage.client.post("/").text == "0"


def test_a_finished_request_leaves_nothing_to_the_garbage_collector(sqlite_stage: Stage) -> None:
    stage, sessions = sqlite_stage, []

    @stage.app.post("/")
    def view() -> ResponseReturnValue:
        stage.uow.session.scalars(select(Item)).all()
        sessions.append(weakref.ref(stage.uow.session))
        return "ok"

    app: Flask = stage.app
    client = app.test_client()
    client.post("/")
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            client.post("/")
        assert [one() for one in sessions[1:-1] if one() is not None] == []
    finally:
        gc.enable()
