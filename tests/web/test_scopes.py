"""Scopes: one session each, in requests, app contexts, threads and blocks; gone when they end."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest
from flask import Flask, current_app, g, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Dialect, Engine, event, select
from sqlalchemy.exc import IntegrityError

from flask_unitofwork import (
    AlreadyInitializedError,
    ConfigurationError,
    DemarcationError,
    DoomedError,
    NotInitializedError,
    OutsideScopeError,
    Session,
    UnitOfWork,
)
from tests.stage import Base, Item, MakeStage, Stage


class TestOutsideAnyScope:
    @pytest.mark.parametrize("use", ["session", "current", "registry", "doom", "engine", "create_all"])
    def test_use_is_an_error_that_names_the_line_to_write(self, sqlite_stage: Stage, use: str) -> None:
        uow = sqlite_stage.uow
        uses: dict[str, Any] = {
            "session": lambda: uow.session,
            "current": lambda: uow.current,
            "registry": uow.registry,
            "doom": lambda: uow.doom("why"),
            "engine": lambda: uow.engine,
            "create_all": uow.create_all,
        }
        with pytest.raises(OutsideScopeError, match=r"with uow\.scope\(app\)"):
            uses[use]()

    def test_the_registry_has_nothing(self, sqlite_stage: Stage) -> None:
        assert not sqlite_stage.uow.registry.registry.has()
        sqlite_stage.uow.registry.remove()


class TestInitialisation:
    def test_puts_the_extension_on_the_app(self, sqlite_stage: Stage) -> None:
        assert sqlite_stage.app.extensions["unitofwork"] is sqlite_stage.uow

    def test_a_second_one_on_an_app_is_an_error(self, sqlite_stage: Stage) -> None:
        with pytest.raises(AlreadyInitializedError, match="already has a UnitOfWork"):
            UnitOfWork(sqlite_stage.app)

    def test_use_before_it_is_an_error(self) -> None:
        app, uow = Flask("early"), UnitOfWork()
        with app.app_context(), pytest.raises(NotInitializedError, match=r"uow\.init_app\(app\)"):
            _ = uow.session

    def test_use_of_another_one_than_the_app_s_is_an_error(self, sqlite_stage: Stage) -> None:
        with sqlite_stage.app.app_context(), pytest.raises(NotInitializedError, match="another UnitOfWork"):
            _ = UnitOfWork().session

    def test_that_fails_leaves_the_app_as_it_was(self) -> None:
        app = Flask("wrong")
        app.config["UNITOFWORK_DATABASES"] = "sqlite://"
        app.config["UNITOFWORK_SESSION_OPTIONS"] = {"class_": dict}
        before = dict(vars(app))
        with pytest.raises(ConfigurationError, match=r"subclass of flask_unitofwork\.Session"):
            UnitOfWork(app)
        assert app.extensions == {}
        assert vars(app).keys() == before.keys()

    def test_without_metadata_is_an_error_when_it_is_needed(self, sqlite_url: str, make_stage: MakeStage) -> None:
        with pytest.raises(ConfigurationError, match=r"UnitOfWork\(metadata=Base\.metadata\)"):
            make_stage(sqlite_url, uow=UnitOfWork())

    def test_takes_options_for_sessions(self, sqlite_url: str, make_stage: MakeStage) -> None:
        class OurSession(Session):
            pass

        stage = make_stage(sqlite_url, UNITOFWORK_SESSION_OPTIONS={"class_": OurSession, "autoflush": False})
        with stage.app.app_context():
            assert isinstance(stage.uow.session, OurSession)
            assert not stage.uow.session.autoflush

    def test_an_app_that_is_dropped_goes_with_its_engines(self) -> None:
        app, uow = Flask("short"), UnitOfWork()
        app.config["UNITOFWORK_DATABASES"] = "sqlite://"
        uow.init_app(app)
        with app.app_context():
            engine = weakref.ref(uow.engine)
            uow.session.connection()
        gone = weakref.ref(app)
        del app
        gc.collect()  # the app,
        gc.collect()  # and what its finalizer let go
        assert gone() is None
        assert engine() is None

    def test_goes_with_its_engines_though_mappers_remember_what_they_wrote(self, database_url: str) -> None:
        engine, dialect = used_and_dropped(database_url)
        gc.collect()
        gc.collect()
        assert engine() is None
        assert dialect() is not None, "the test has lost its point: SQLAlchemy has forgotten the dialect, too"


def used_and_dropped(url: str) -> tuple[weakref.ref[Engine], weakref.ref[Dialect]]:
    """The engine and the dialect of an app that has written, and that nobody has any more."""
    app, uow = Flask("short"), UnitOfWork(metadata=Base.metadata)
    app.config.update(UNITOFWORK_DATABASES=url, TESTING=True)
    uow.init_app(app)

    @app.post("/")
    def view() -> str:
        uow.create_all()
        uow.session.add_all([Item(name="tea"), Item(name="milk")])
        uow.session.flush()
        return str(len(uow.session.scalars(select(Item)).all()))

    assert app.test_client().post("/").text == "2"
    with app.app_context():
        return weakref.ref(uow.engine), weakref.ref(uow.engine.dialect)


class TestAnAppContext:
    def test_has_one_session_which_is_closed_at_its_end(self, stage: Stage) -> None:
        with stage.app.app_context():
            session = stage.uow.session
            assert stage.uow.session is session
            session.scalars(select(Item)).all()
            session.add(Item(name="tea"))
            session.commit()
        assert not session.in_transaction()
        assert stage.names() == ["tea"]
        assert stage.checked_out() == 0

    def test_commits_nothing_by_itself_and_says_what_is_lost(
        self, stage: Stage, caplog: pytest.LogCaptureFixture
    ) -> None:
        with stage.app.app_context():
            stage.add("tea")
        assert stage.names() == []
        assert "1 new Item" in caplog.text

    def test_inside_another_has_a_session_of_its_own(self, stage: Stage) -> None:
        with stage.app.app_context():
            outer = stage.uow.session
            item = Item(name="tea")
            outer.add(item)
            outer.commit()
            assert item.name == "tea"
            with stage.app.app_context():
                assert stage.uow.session is not outer
                stage.add("coffee")
                stage.uow.session.commit()
            assert stage.uow.session is outer
            assert item in outer
            assert outer.in_transaction()
            assert stage.names() == ["tea", "coffee"]

    def test_around_a_request_keeps_its_session_out_of_it(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            sessions.append(stage.uow.session)
            stage.add("coffee")
            return "ordered"

        with stage.app.app_context():
            sessions = [stage.uow.session]
            stage.add("tea")
            assert stage.client.post("/").status_code == 200
            assert stage.client.post("/").status_code == 500  # the name is taken: torn down after each request
            assert sessions[0] not in sessions[1:]
            assert stage.names() == ["coffee"]
            assert stage.uow.session is sessions[0]
            stage.uow.session.rollback()

    def test_that_was_preserved_by_a_test_client_is_usable_until_the_next_request(self, stage: Stage) -> None:
        stage.app.post("/<name>")(lambda name: stage.add(name) or "ordered")
        with stage.client as client:
            client.post("/tea")
            assert [item.name for item in stage.uow.session.scalars(select(Item))] == ["tea"]
            stage.add("milk")
            stage.uow.session.commit()
            client.post("/coffee")
            with stage.client as other:
                other.post("/cocoa")
                assert len(stage.uow.session.scalars(select(Item)).all()) == 4
        assert stage.names() == ["tea", "milk", "coffee", "cocoa"]
        assert stage.checked_out() == 0

    def test_around_a_request_whose_client_keeps_its_context_ends_as_without_us(self, stage: Stage) -> None:
        stage.app.post("/<name>")(lambda name: stage.add(name) or "ordered")
        with stage.client as client:
            with stage.app.app_context():
                outer = stage.uow.session
                client.post("/tea")
                assert request.path == "/tea"
                assert stage.uow.session is outer
                client.post("/milk")
            assert request.path == "/milk"
            client.post("/coffee")
        assert stage.names() == ["tea", "milk", "coffee"]
        assert stage.checked_out() == 0
        with pytest.raises(OutsideScopeError):
            stage.uow.session  # noqa: B018

    def test_of_a_pushed_test_request_commits_nothing_by_itself(self, stage: Stage) -> None:
        with stage.app.test_request_context("/", method="POST"):
            with stage.uow.transaction():
                stage.add("tea")
            assert stage.names() == ["tea"]


class TestNestedContextsThatJoin:
    @pytest.fixture
    def joining(self, database_url: str, make_stage: MakeStage) -> Stage:
        return make_stage(database_url, UNITOFWORK_NESTED_CONTEXT="join")

    def test_use_the_outer_session_and_never_close_it(self, joining: Stage) -> None:
        @joining.app.post("/")
        def view() -> ResponseReturnValue:
            session = joining.uow.session
            joining.add("tea")
            with joining.app.app_context():
                assert joining.uow.session is session
                joining.add("coffee")
                session.flush()
            assert session.in_transaction()
            assert joining.uow.session is session
            return "ordered"

        assert joining.client.post("/").status_code == 200
        assert joining.names() == ["tea", "coffee"]
        assert joining.checked_out() == 0

    def test_share_a_session_that_the_inner_one_used_first(self, joining: Stage) -> None:
        with joining.app.app_context():
            with joining.app.app_context():
                session = joining.uow.session
            assert joining.uow.session is session

    def test_join_a_scope_block(self, joining: Stage) -> None:
        with joining.app.app_context():
            outer = joining.uow.session
            with joining.uow.scope() as session:
                with joining.app.app_context():
                    assert joining.uow.session is session
                    joining.add("tea")
            assert joining.uow.session is outer
        assert joining.names() == ["tea"]

    def test_do_not_outlive_the_outer_one(self, joining: Stage) -> None:
        with joining.app.app_context():
            first = joining.uow.session
        with joining.app.app_context():
            assert joining.uow.session is not first

    def test_of_requests_join_as_well(self, joining: Stage) -> None:
        joining.app.post("/")(lambda: joining.add("tea") or "ordered")
        with joining.app.app_context():
            session = joining.uow.session
            joining.client.post("/")
            assert joining.uow.session is session
        assert joining.names() == ["tea"]


class TestTeardown:
    def test_closes_even_if_other_teardown_functions_fail(self, stage: Stage) -> None:
        @stage.app.teardown_appcontext
        def fail(error: BaseException | None) -> None:
            if g.pop("fails", False):
                raise LookupError

        with pytest.raises(LookupError), stage.app.app_context():
            g.fails = True
            stage.uow.session.scalars(select(Item)).all()
        assert stage.checked_out() == 0

    def test_goes_on_when_closing_the_session_fails(self, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
        @event.listens_for(stage.engine, "rollback", once=True)
        def fail(connection: object) -> None:
            raise LookupError("the wire is cut")

        with stage.app.app_context():
            stage.uow.session.connection()
        assert "Closing the session at the end of an app context failed" in caplog.text
        assert stage.checked_out() == 0
        with stage.app.app_context():
            assert stage.uow.session.scalars(select(Item)).all() == []

    def test_lets_other_teardown_functions_use_the_session(self, stage: Stage) -> None:
        seen: list[int] = []

        @stage.app.teardown_appcontext
        def count(error: BaseException | None) -> None:
            if "counting" in g:
                seen.append(len(stage.uow.session.scalars(select(Item)).all()))

        with stage.app.app_context():
            g.counting = True
        assert seen == [0]
        assert stage.checked_out() == 0

    def test_of_a_failed_context_does_not_complain(self, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
        with pytest.raises(LookupError), stage.app.app_context():
            stage.add("tea")
            raise LookupError
        assert caplog.text == ""
        assert stage.names() == []

    def test_a_rollback_that_fails_hides_nothing(self, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
        @stage.app.errorhandler(KeyError)
        def handle(error: KeyError) -> ResponseReturnValue:
            return "the view's own error", 400

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.session.flush()
            raise KeyError

        @event.listens_for(stage.engine, "rollback", once=True)
        def fail(connection: object) -> None:
            raise LookupError("the wire is cut")

        assert stage.client.post("/").text == "the view's own error"
        assert "Rolling back a failed request failed" in caplog.text
        assert stage.checked_out() == 0
        assert stage.names() == []


class TestAScope:
    def test_commits_when_it_ends_well(self, stage: Stage) -> None:
        with stage.uow.scope(stage.app) as session:
            session.add(Item(name="tea"))
            assert stage.uow.session is session
            assert stage.uow.current.session is session
        assert stage.names() == ["tea"]
        assert stage.checked_out() == 0

    def test_rolls_back_when_an_exception_leaves_it(self, stage: Stage) -> None:
        with pytest.raises(LookupError), stage.uow.scope(stage.app) as session:
            session.add(Item(name="tea"))
            session.flush()
            raise LookupError
        assert stage.names() == []
        assert stage.checked_out() == 0

    def test_raises_when_its_commit_fails(self, stage: Stage) -> None:
        with pytest.raises(IntegrityError), stage.uow.scope(stage.app) as session:
            session.add_all([Item(name="tea"), Item(name="tea")])
        assert stage.names() == []
        assert stage.checked_out() == 0

    def test_needs_no_app_where_there_is_only_one(self, stage: Stage) -> None:
        with stage.uow.scope() as session:
            session.add(Item(name="tea"))
            assert current_app._get_current_object() is stage.app  # type: ignore[attr-defined]
        assert stage.names() == ["tea"]

    def test_needs_an_app_where_there_are_several(self, sqlite_url: str, make_stage: MakeStage) -> None:
        first = make_stage(sqlite_url)
        make_stage("sqlite://", uow=first.uow)
        with pytest.raises(OutsideScopeError, match="knows 2 apps"), first.uow.scope():
            pass
        with first.uow.scope(first.app) as session:
            session.add(Item(name="tea"))
        assert first.names() == ["tea"]

    def test_leaks_no_context(self, stage: Stage) -> None:
        with stage.uow.scope():
            pass
        assert not current_app

    def test_leaks_no_context_when_it_cannot_begin(self) -> None:
        app, uow = Flask("foreign"), UnitOfWork()
        with pytest.raises(NotInitializedError), uow.scope(app):
            pass
        assert not current_app

    def test_uses_the_context_in_progress(self, stage: Stage) -> None:
        with stage.app.app_context():
            g.customer = "Ada"
            with stage.uow.scope():
                assert g.customer == "Ada"

    def test_pushes_a_context_where_another_app_is_in_progress(self, sqlite_url: str, make_stage: MakeStage) -> None:
        first, second = make_stage(sqlite_url), make_stage("sqlite://")
        with first.app.app_context(), second.uow.scope(second.app) as session:
            session.add(Item(name="tea"))
        assert (first.names(), second.names()) == ([], ["tea"])

    def test_inside_a_request_is_independent_of_it(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            outer = stage.uow.session
            stage.add("tea")
            with stage.uow.scope() as session:
                assert stage.uow.session is session is not outer
                session.add(Item(name="audit"))
            assert stage.uow.session is outer
            return "no", 409

        assert stage.client.post("/").status_code == 409
        assert stage.names() == ["audit"]
        assert stage.checked_out() == 0

    def test_inside_a_request_that_has_written_may_read(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.session.flush()
            with stage.uow.scope() as session:
                return str(len(session.scalars(select(Item)).all()))

        assert stage.client.post("/").text == "0"
        assert stage.names() == ["tea"]

    def test_inside_a_scope_is_a_scope(self, stage: Stage) -> None:
        with stage.uow.scope() as outer:
            with stage.uow.scope() as inner:
                assert inner is not outer
                inner.add(Item(name="tea"))
            outer.add(Item(name="coffee"))
        assert stage.names() == ["tea", "coffee"]

    def test_may_be_doomed(self, stage: Stage) -> None:
        with stage.uow.scope() as session:
            session.add(Item(name="tea"))
            stage.uow.doom("only a rehearsal")
            assert stage.uow.current.doomed
        assert stage.names() == []

    def test_does_not_commit_what_an_inner_block_failed_at(self, stage: Stage) -> None:
        with pytest.raises(DoomedError, match="LookupError left a transaction"), stage.uow.scope():
            stage.add("tea")
            try:
                with stage.uow.transaction():
                    raise LookupError
            except LookupError:
                pass
        assert stage.names() == []

    def test_has_its_own_session_in_each_thread(self, stage: Stage) -> None:
        barrier, sessions = threading.Barrier(4), []

        def work(number: int) -> None:
            with stage.uow.scope() as session:
                barrier.wait(10)
                sessions.append(session)
                session.add(Item(name=f"item {number}"))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(session) for session in sessions}) == 4
        assert sorted(stage.names()) == [f"item {number}" for number in range(4)]
        assert stage.checked_out() == 0

    def test_has_its_own_session_in_each_asyncio_task(self, stage: Stage) -> None:
        async def work(name: str) -> None:
            with stage.uow.scope() as session:
                await asyncio.sleep(0)
                assert stage.uow.session is session
                session.add(Item(name=name))

        async def main() -> None:
            await asyncio.gather(*(work(f"item {number}") for number in range(4)))

        with stage.app.app_context():
            asyncio.run(main())
        assert len(stage.names()) == 4

    def test_decorates_functions_and_coroutine_functions(self, stage: Stage) -> None:
        @stage.uow.scope()
        def order(name: str) -> Session:
            stage.add(name)
            return stage.uow.session

        @stage.uow.scope()
        async def order_later(name: str) -> Session:
            return order(name)

        assert order("tea") is not asyncio.run(order_later("coffee"))
        assert stage.names() == ["tea", "coffee"]

    def test_refuses_generator_functions(self, sqlite_stage: Stage) -> None:
        def numbers() -> Any:
            yield 1

        with pytest.raises(DemarcationError, match="is a generator function"):
            sqlite_stage.uow.scope()(numbers)

    def test_is_for_one_use_at_a_time(self, sqlite_stage: Stage) -> None:
        scope = sqlite_stage.uow.scope()
        with scope, pytest.raises(DemarcationError, match="already in use"), scope:
            pass

    def test_that_is_closed_by_another_thread_leaks_nothing(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage

        def generate() -> Any:
            with stage.uow.scope() as session:
                yield session.scalars(select(Item)).all()

        with stage.app.app_context():
            generator = generate()
            next(generator)
            thread = threading.Thread(target=generator.close)
            thread.start()
            thread.join()
            assert stage.checked_out() == 0


class TestTheRegistry:
    def test_is_a_proxy_for_the_session(self, stage: Stage) -> None:
        with stage.app.app_context():
            stage.uow.registry.add(Item(name="tea"))
            stage.uow.registry.commit()
            assert stage.uow.registry() is stage.uow.session
        assert stage.names() == ["tea"]

    def test_removes_the_session_so_that_the_next_use_makes_another(self, stage: Stage) -> None:
        with stage.app.app_context():
            first = stage.uow.session
            first.add(Item(name="tea"))
            stage.uow.registry.remove()
            assert stage.uow.session is not first
            stage.add("coffee")
            stage.uow.session.commit()
        assert stage.names() == ["coffee"]

    def test_makes_the_session_with_options_where_there_is_none(self, sqlite_stage: Stage) -> None:
        with sqlite_stage.app.app_context():
            session = sqlite_stage.uow.registry(autoflush=False)
            assert not session.autoflush
            assert sqlite_stage.uow.session is session

    def test_configures_the_sessions_of_the_current_app(self, sqlite_stage: Stage) -> None:
        with sqlite_stage.app.app_context():
            sqlite_stage.uow.registry.configure(autoflush=False)
            assert not sqlite_stage.uow.session.autoflush

    def test_has_sqlalchemy_s_own_query_property(self, sqlite_stage: Stage) -> None:
        class Shelf:
            query = sqlite_stage.uow.registry.query_property()

        with sqlite_stage.app.app_context():
            assert sqlite_stage.uow.registry.query(Item).all() == []

    def test_keeps_nothing_alive_after_a_context_ended(self, sqlite_stage: Stage) -> None:
        with sqlite_stage.app.app_context():
            gone = weakref.ref(sqlite_stage.uow.session)
        gc.collect()
        assert gone() is None
