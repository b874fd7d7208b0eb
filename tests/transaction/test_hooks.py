"""Hooks: when they run, what drops them, and what their failures do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import abort, redirect
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from flask_unitofwork import DoomedError, Session, State
from tests.stage import Base, Item, MakeStage, Stage

Note = Callable[[str], Callable[[], None]]


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def note(log: list[str]) -> Note:
    return lambda text: lambda: log.append(text)


class TestAfterACommit:
    def test_hooks_run_in_the_order_of_their_registration(self, stage: Stage, log: list[str], note: Note) -> None:
        with stage.app.app_context(), stage.uow.transaction():
            stage.uow.on_commit(note("first"))
            stage.add("tea")
            stage.uow.on_commit(note("second"))
            assert log == []
        assert log == ["first", "second"]

    def test_hooks_of_a_request_run_before_its_response_leaves(self, stage: Stage, log: list[str]) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.on_commit(lambda: log.extend(stage.names()))
            return "ordered"

        with stage.client.post("/"):
            assert log == ["tea"]

    def test_hooks_do_not_run_after_a_rollback(self, stage: Stage, log: list[str], note: Note) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.uow.on_commit(note("never"))
            stage.add("tea")
            return "no", 409

        stage.client.post("/")
        assert log == []

    def test_hooks_do_not_run_when_the_commit_fails(self, stage: Stage, log: list[str], note: Note) -> None:
        with stage.app.app_context(), pytest.raises(IntegrityError), stage.uow.transaction() as session:
            stage.uow.on_commit(note("never"))
            session.add_all([Item(name="tea"), Item(name="tea")])
        assert log == []

    def test_hooks_of_a_savepoint_go_with_it(self, stage: Stage, log: list[str], note: Note) -> None:
        with stage.app.app_context(), stage.uow.transaction():
            stage.uow.on_commit(note("outer"))
            with pytest.raises(LookupError), stage.uow.savepoint():
                stage.uow.on_commit(note("never"))
                with stage.uow.savepoint():
                    stage.uow.on_commit(note("never, though its own savepoint was kept"))
                raise LookupError
            with stage.uow.savepoint():
                stage.uow.on_commit(note("inner"))
        assert log == ["outer", "inner"]

    @pytest.mark.parametrize("how", ["commit", "begin"])
    def test_hooks_run_after_the_session_s_own_commit(self, stage: Stage, log: list[str], note: Note, how: str) -> None:
        with stage.app.app_context():
            stage.uow.on_commit(note("committed"))
            if how == "commit":
                stage.add("tea")
                stage.uow.session.commit()
            else:
                with stage.uow.session.begin():
                    stage.add("tea")
            assert log == ["committed"]
            stage.uow.session.commit()
            assert log == ["committed"]
        assert stage.names() == ["tea"]

    def test_hooks_of_a_request_that_has_no_transaction_run_with_its_success(
        self, sqlite_stage: Stage, log: list[str], note: Note
    ) -> None:
        sqlite_stage.app.get("/")(lambda: sqlite_stage.uow.on_commit(note("done")) and "hello")
        assert sqlite_stage.client.get("/").status_code == 200
        assert log == ["done"]

    def test_a_hook_has_a_session_of_its_own_that_is_committed(self, stage: Stage, log: list[str]) -> None:
        sessions: list[Session] = []

        def audit() -> None:
            sessions.append(stage.uow.session)
            assert stage.uow.session.scalars(select(Item.name)).all() == ["tea"]
            stage.add("audit")

        with stage.app.app_context(), stage.uow.transaction() as session:
            session.add(Item(name="tea"))
            stage.uow.on_commit(audit)
        assert session not in sessions
        assert stage.names() == ["tea", "audit"]
        assert stage.checked_out() == 0

    def test_a_hook_may_register_another(self, stage: Stage, log: list[str], note: Note) -> None:
        with stage.app.app_context(), stage.uow.transaction():
            stage.add("tea")
            stage.uow.on_commit(lambda: stage.uow.on_commit(note("inner")))
            stage.uow.on_commit(note("outer"))
        assert log == ["inner", "outer"]

    def test_a_hook_that_fails_is_logged_and_neither_undoes_the_commit_nor_stops_the_others(
        self, stage: Stage, log: list[str], note: Note, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail() -> None:
            stage.add("half")
            stage.uow.session.flush()
            raise LookupError("the mail server is down")

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.on_commit(fail)
            stage.uow.on_commit(note("next"))
            return "ordered", 201

        assert stage.client.post("/").status_code == 201
        assert log == ["next"]
        assert stage.names() == ["tea"]
        assert "A hook failed after the commit" in caplog.text
        assert "fail" in caplog.text

    def test_a_hook_that_is_not_robust_raises_after_all_ran(self, stage: Stage, log: list[str], note: Note) -> None:
        def fail() -> None:
            raise LookupError

        def fail_too() -> None:
            raise KeyError

        with stage.app.app_context():
            with pytest.raises(LookupError) as raised, stage.uow.transaction():
                stage.add("tea")
                stage.uow.on_commit(fail, robust=False)
                stage.uow.on_commit(fail_too, robust=False)
                stage.uow.on_commit(note("next"))
            assert type(raised.value) is LookupError
            assert log == ["next"]
            with stage.uow.transaction():
                stage.add("coffee")
        assert stage.names() == ["tea", "coffee"]
        assert stage.checked_out() == 0

    def test_registering_returns_the_function_so_that_it_can_decorate(self, sqlite_stage: Stage) -> None:
        with sqlite_stage.app.app_context():

            @sqlite_stage.uow.on_commit
            @sqlite_stage.uow.on_rollback
            @sqlite_stage.uow.before_commit
            def hook() -> str:
                return "hooked"

            assert hook() == "hooked"


class TestBeforeACommit:
    def test_hooks_may_write_and_register_others(self, stage: Stage, log: list[str], note: Note) -> None:
        def write() -> None:
            stage.add("audit")
            stage.uow.before_commit(note("after the audit"))

        with stage.app.app_context(), stage.uow.transaction():
            stage.add("tea")
            stage.uow.before_commit(write)
        assert stage.names() == ["tea", "audit"]
        assert log == ["after the audit"]

    def test_an_exception_rolls_back(self, stage: Stage) -> None:
        def refuse() -> None:
            raise LookupError

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.before_commit(refuse)
            return "ordered", 201

        assert stage.client.post("/").status_code == 500
        assert stage.names() == []

    def test_hooks_may_doom(self, stage: Stage, log: list[str], note: Note) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.before_commit(lambda: stage.uow.doom("not today"))
            stage.uow.before_commit(note("never"))
            stage.uow.on_commit(note("never"))
            return "ordered", 201

        assert stage.client.post("/").status_code == 201
        assert stage.names() == []
        assert log == []

    def test_hooks_run_before_an_explicit_commit_as_well(self, stage: Stage) -> None:
        with stage.app.app_context():
            stage.uow.before_commit(lambda: stage.add("audit"))
            stage.uow.session.commit()
        assert stage.names() == ["audit"]

    def test_what_a_hook_raises_counts_more_than_the_doom_it_asked_for(self, stage: Stage) -> None:
        def refuse() -> None:
            stage.uow.doom("no")
            raise DoomedError("not with me")

        with stage.app.app_context(), pytest.raises(DoomedError, match="not with me"), stage.uow.transaction():
            stage.uow.before_commit(refuse)
            stage.add("tea")
        assert stage.names() == []

    def test_a_redirect_that_a_hook_raises_is_no_success(self, stage: Stage) -> None:
        @stage.app.post("/")
        @stage.uow.explicit_commit
        @stage.uow.transaction()
        def view() -> str:
            stage.add("tea")
            stage.uow.before_commit(lambda: abort(redirect("/thanks")))
            return "added"

        assert stage.client.post("/").status_code == 500
        assert stage.names() == []

    def test_a_hook_after_the_commit_may_raise_what_it_likes(self, stage: Stage) -> None:
        def complain() -> None:
            raise DoomedError("too late")

        with stage.app.app_context():
            with pytest.raises(DoomedError, match="too late"), stage.uow.transaction():
                stage.add("tea")
                stage.uow.on_commit(complain, robust=False)
            assert stage.uow.current.state is State.COMMITTED
        assert stage.names() == ["tea"]


class TestAfterARollback:
    def test_hooks_run_with_a_session_of_their_own(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.on_rollback(lambda: stage.add("complaint"))
            return "no", 409

        stage.client.post("/")
        assert stage.names() == ["complaint"]

    def test_hooks_do_not_run_after_a_commit(self, stage: Stage, log: list[str], note: Note) -> None:
        with stage.app.app_context(), stage.uow.transaction():
            stage.add("tea")
            stage.uow.on_rollback(note("never"))
        assert log == []

    def test_hooks_wait_for_the_outermost_rollback(self, stage: Stage, log: list[str], note: Note) -> None:
        with stage.app.app_context(), pytest.raises(LookupError), stage.uow.transaction():
            stage.uow.on_rollback(note("rolled back"))
            with pytest.raises(KeyError), stage.uow.savepoint():
                raise KeyError
            assert log == []
            raise LookupError
        assert log == ["rolled back"]

    def test_hooks_run_when_a_context_ends_without_a_commit(self, stage: Stage, log: list[str], note: Note) -> None:
        with stage.app.app_context():
            stage.add("tea")
            stage.uow.session.flush()
            stage.uow.on_rollback(note("rolled back"))
        assert log == ["rolled back"]


def test_a_hook_that_never_ran_is_reported(sqlite_stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    sqlite_stage.app.testing = True
    with sqlite_stage.app.app_context():
        sqlite_stage.uow.on_commit(lambda: None)
    assert "never ran" in caplog.text


class TestOverTwoDatabases:
    @pytest.fixture
    def stage(self, database_url: str, another_url: Callable[[], str], make_stage: MakeStage) -> Stage:
        archive = another_url()
        stage = make_stage({"default": database_url, "archive": archive})
        with stage.app.app_context():
            Base.metadata.create_all(stage.uow.get_engine("archive"))
        return stage

    def archived(self, stage: Stage) -> list[str]:
        with stage.app.app_context(), stage.outside(stage.uow.get_engine("archive")) as connection:
            return list(connection.scalars(select(Item.name)))

    def test_hooks_run_after_all_have_committed(self, stage: Stage) -> None:
        seen: list[object] = []
        with stage.app.app_context(), stage.uow.transaction():
            stage.uow.on_commit(lambda: seen.append((stage.names(), self.archived(stage))))
            stage.add("new")
            with stage.uow.transaction(bind="archive"):
                stage.add("old")
        assert seen == [(["new"], ["old"])]

    # SQLAlchemy rolls back what has committed, and wonders.
    @pytest.mark.filterwarnings("ignore:transaction already deassociated:sqlalchemy.exc.SAWarning")
    def test_of_a_unit_that_is_half_committed_no_hook_is_told_and_the_log_is(
        self, postgresql_url: str, make_stage: MakeStage, note: Note, log: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        stage = make_stage({"default": postgresql_url, "archive": "sqlite://"})
        with stage.app.app_context():
            Base.metadata.create_all(stage.uow.get_engine("archive"))
            with stage.uow.engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE item DROP CONSTRAINT item_name_key")
                connection.exec_driver_sql("ALTER TABLE item ADD UNIQUE (name) DEFERRABLE INITIALLY DEFERRED")
            halves: list[bool] = []
            while not any(halves):  # SQLAlchemy commits in an order of its own
                with pytest.raises(IntegrityError), stage.uow.transaction() as session:
                    stage.uow.on_commit(note("committed"))
                    stage.uow.on_rollback(note("rolled back"))
                    session.add_all([Item(name="twice"), Item(name="twice")])
                    session.flush()
                    with stage.uow.transaction(bind="archive"):
                        session.add(Item(name=f"old {len(halves)}"))
                halves.append(bool(self.archived(stage)))
                assert stage.uow.current.state is (State.UNKNOWN if halves[-1] else State.ROLLED_BACK)
                assert log == ["rolled back"] * halves.count(False)
        assert "is committed in a part of its databases only" in caplog.text


@pytest.mark.parametrize("register", ["before_commit", "on_commit", "on_rollback"])
def test_what_is_no_function_is_refused_where_it_is_registered(sqlite_stage: Stage, register: str) -> None:
    with sqlite_stage.uow.scope(sqlite_stage.app):
        sqlite_stage.add("tea")
        with pytest.raises(
            TypeError, match=r"A hook is a function, and None is none\. Write .* uow\.on_commit\(send\)"
        ):
            getattr(sqlite_stage.uow, register)(None)
    assert sqlite_stage.names() == ["tea"]
