"""The table "Commit on success", for every kind of view, seen from a second connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Response, abort, jsonify, redirect
from flask.typing import ResponseReturnValue
from flask.views import MethodView, View
from sqlalchemy import event, insert, select, text
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import HTTPException

from flask_unitofwork import DoomedError, LostWriteError, UnitOfWork
from tests.stage import Item, MakeStage, Stage

Body = Callable[[], ResponseReturnValue]


def as_plain_view(stage: Stage, body: Body) -> None:
    stage.app.post("/")(body)


def as_url_rule(stage: Stage, body: Body) -> None:
    stage.app.add_url_rule("/", "named", body, methods=["POST"])


def as_method_view(stage: Stage, body: Body) -> None:
    class Items(MethodView):
        def post(self) -> ResponseReturnValue:
            return body()

    stage.app.add_url_rule("/", view_func=Items.as_view("items"))


def as_class_view(stage: Stage, body: Body) -> None:
    class Items(View):
        methods = ["POST"]  # noqa: RUF012  Flask's own way to declare them

        def dispatch_request(self) -> ResponseReturnValue:
            return body()

    stage.app.add_url_rule("/", view_func=Items.as_view("items"))


def as_async_view(stage: Stage, body: Body) -> None:
    @stage.app.post("/")
    async def view() -> ResponseReturnValue:
        return body()


def as_blueprint_view(stage: Stage, body: Body) -> None:
    blueprint = Blueprint("shop", __name__)
    blueprint.post("/")(body)
    stage.app.register_blueprint(blueprint)


def as_before_request(stage: Stage, body: Body) -> None:
    stage.app.before_request(body)


def as_blueprint_before_request(stage: Stage, body: Body) -> None:
    blueprint = Blueprint("shop", __name__)
    blueprint.before_request(body)
    blueprint.post("/")(lambda: "never reached")
    stage.app.register_blueprint(blueprint)


KINDS = [
    as_plain_view,
    as_url_rule,
    as_method_view,
    as_class_view,
    as_async_view,
    as_blueprint_view,
    as_before_request,
    as_blueprint_before_request,
]

Install = Callable[[Body], None]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__.removeprefix("as_"))
def install(request: pytest.FixtureRequest, stage: Stage) -> Install:
    """Install a view's body as each kind of view."""
    return lambda body: request.param(stage, body)


class TestEveryKindOfView:
    def test_a_success_is_committed(self, stage: Stage, install: Install) -> None:
        def body() -> ResponseReturnValue:
            stage.add("tea")
            return "ordered", 201

        install(body)
        assert stage.client.post("/").status_code == 201
        assert stage.names() == ["tea"]

    def test_a_returned_redirect_is_committed(self, stage: Stage, install: Install) -> None:
        def body() -> ResponseReturnValue:
            stage.add("tea")
            return redirect("/thanks")

        install(body)
        assert stage.client.post("/").status_code == 302
        assert stage.names() == ["tea"]

    def test_a_raised_redirect_is_committed(self, stage: Stage, install: Install) -> None:
        def body() -> ResponseReturnValue:
            stage.add("tea")
            abort(redirect("/thanks"))

        install(body)
        assert stage.client.post("/").status_code == 302
        assert stage.names() == ["tea"]

    @pytest.mark.parametrize("status", [400, 404, 409, 500])
    def test_a_returned_error_is_rolled_back(self, stage: Stage, install: Install, status: int) -> None:
        def body() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.session.flush()
            return "no", status

        install(body)
        assert stage.client.post("/").status_code == status
        assert stage.names() == []

    def test_a_raised_http_exception_is_rolled_back(self, stage: Stage, install: Install) -> None:
        def body() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.session.flush()
            abort(409)

        install(body)
        assert stage.client.post("/").status_code == 409
        assert stage.names() == []

    def test_an_exception_is_rolled_back_even_if_a_handler_answers_200(self, stage: Stage, install: Install) -> None:
        def body() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.session.flush()
            raise LookupError

        install(body)
        stage.app.register_error_handler(LookupError, lambda error: "never mind")
        response = stage.client.post("/")
        assert (response.status_code, response.text) == (200, "never mind")
        assert stage.names() == []

    def test_an_unhandled_exception_is_rolled_back(self, stage: Stage, install: Install) -> None:
        def body() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.session.flush()
            raise LookupError

        install(body)
        assert stage.client.post("/").status_code == 500
        assert stage.names() == []

    def test_a_commit_that_fails_reaches_the_error_handlers(self, stage: Stage, install: Install) -> None:
        def body() -> ResponseReturnValue:
            stage.add("tea")
            stage.add("tea")
            return "ordered", 201

        install(body)
        stage.app.register_error_handler(IntegrityError, lambda error: ("taken", 409))
        assert stage.client.post("/").status_code == 409
        assert stage.names() == []

    def test_a_commit_that_fails_without_a_handler_is_a_500(self, stage: Stage, install: Install) -> None:
        def body() -> ResponseReturnValue:
            stage.add("tea")
            stage.add("tea")
            return "ordered", 201

        install(body)
        assert stage.client.post("/").status_code == 500
        assert stage.names() == []

    def test_a_doomed_unit_is_rolled_back_and_answers_all_the_same(self, stage: Stage, install: Install) -> None:
        def body() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.session.flush()
            stage.uow.doom("only a rehearsal")
            return "ordered", 201

        install(body)
        response = stage.client.post("/")
        assert (response.status_code, response.text) == (201, "ordered")
        assert stage.names() == []

    def test_a_swallowed_failure_of_an_inner_block_is_no_success(self, stage: Stage, install: Install) -> None:
        seen: list[DoomedError] = []

        def body() -> ResponseReturnValue:
            stage.add("tea")
            try:
                with stage.uow.transaction():
                    stage.add("coffee")
                    raise LookupError("out of coffee")
            except LookupError:
                pass
            return "ordered", 201

        def doomed(error: DoomedError) -> ResponseReturnValue:
            seen.append(error)
            return "not ordered", 503

        install(body)
        stage.app.register_error_handler(DoomedError, doomed)
        assert stage.client.post("/").status_code == 503
        assert stage.names() == []
        assert isinstance(seen[0].__cause__, LookupError)
        assert "test_commit_on_success.py" in str(seen[0])

    def test_every_connection_is_given_back(self, stage: Stage, install: Install) -> None:
        def body() -> ResponseReturnValue:
            stage.uow.session.scalars(select(Item)).all()
            return "looked"

        install(body)
        stage.client.post("/")
        assert stage.checked_out() == 0


class TestWhatCounts:
    def test_core_statements_that_leave_no_dirty_object_are_committed(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> str:
            stage.uow.session.execute(insert(Item).values(name="tea"))
            return "ordered"

        stage.client.post("/")
        assert stage.names() == ["tea"]

    def test_textual_statements_are_committed(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> str:
            stage.uow.session.execute(text("INSERT INTO item (name) VALUES ('tea')"))
            return "ordered"

        stage.client.post("/")
        assert stage.names() == ["tea"]

    def test_work_on_the_session_s_connection_is_committed(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> str:
            stage.uow.session.connection().execute(insert(Item).values(name="tea"))
            return "ordered"

        stage.client.post("/")
        assert stage.names() == ["tea"]

    def test_a_get_request_is_committed_as_well(self, stage: Stage) -> None:
        @stage.app.get("/")
        def view() -> str:
            stage.add("tea")
            return "counted"

        stage.client.get("/")
        assert stage.names() == ["tea"]

    def test_the_commit_happens_before_the_response_leaves(self, stage: Stage) -> None:
        seen: list[list[str]] = []

        @stage.app.post("/")
        def view() -> str:
            stage.add("tea")
            return "ordered"

        @stage.app.after_request
        def look(response: Response) -> Response:
            seen.append(stage.names())
            return response

        stage.client.post("/")
        assert seen == [["tea"]]

    def test_the_value_of_the_view_becomes_a_response_before_the_commit(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> Any:
            stage.add("tea")
            return object()  # no response can be made of this

        assert stage.client.post("/").status_code == 500
        assert stage.names() == []

    def test_what_was_committed_on_the_way_stays_and_the_rest_is_rolled_back(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.session.commit()
            stage.add("coffee")
            stage.uow.session.flush()
            return "no coffee", 409

        stage.client.post("/")
        assert stage.names() == ["tea"]

    def test_a_request_that_never_uses_the_database_makes_no_session(self, sqlite_stage: Stage) -> None:
        stage, made = sqlite_stage, []
        event.listen(stage.engine, "connect", lambda *_: made.append("connection"))
        stage.engine.dispose()

        @stage.app.get("/")
        def view() -> ResponseReturnValue:
            return jsonify(session=stage.uow.registry.registry.has())

        assert stage.client.get("/").json == {"session": False}
        assert made == []

    def test_the_session_is_the_same_during_a_request_and_another_one_in_the_next(self, sqlite_stage: Stage) -> None:
        stage, sessions = sqlite_stage, []

        @stage.app.get("/")
        def view() -> str:
            sessions.append(stage.uow.session)
            assert stage.uow.session is sessions[-1]
            assert stage.uow.registry() is sessions[-1]
            return "ok"

        assert [stage.client.get("/").status_code for _ in range(2)] == [200, 200]
        assert sessions[0] is not sessions[1]

    def test_objects_are_not_expired_by_the_closing_commit(self, sqlite_stage: Stage) -> None:
        stage, items = sqlite_stage, []

        @stage.app.post("/")
        def view() -> str:
            items.append(Item(name="tea"))
            stage.uow.session.add(items[0])
            return "ordered"

        stage.client.post("/")
        assert items[0].name == "tea"  # detached by now: an expired attribute could not be read

    def test_objects_are_expired_by_an_explicit_commit(self, sqlite_stage: Stage) -> None:
        stage, loaded = sqlite_stage, []

        @stage.app.post("/")
        def view() -> str:
            item = Item(name="tea")
            stage.uow.session.add(item)
            stage.uow.session.commit()
            loaded.append("name" in item.__dict__)
            return "ordered"

        stage.client.post("/")
        assert loaded == [False]


class TestErrorHandlers:
    @pytest.mark.parametrize("where", ["app", "blueprint"])
    def test_start_with_a_clean_session_and_keep_what_they_write(self, stage: Stage, where: str) -> None:
        blueprint = Blueprint("shop", __name__)

        def handle(error: Exception) -> ResponseReturnValue:
            assert stage.uow.session.scalars(select(Item)).all() == []
            assert not stage.uow.session.new
            stage.add("complaint")
            return "sorry", 200

        @blueprint.post("/")
        def view() -> str:
            stage.add("tea")
            stage.uow.session.flush()
            stage.add("more tea")
            raise LookupError

        (stage.app if where == "app" else blueprint).register_error_handler(LookupError, handle)
        stage.app.register_blueprint(blueprint)
        assert stage.client.post("/").status_code == 200
        assert stage.names() == ["complaint"]

    def test_that_answer_with_an_error_keep_nothing(self, stage: Stage) -> None:
        @stage.app.errorhandler(LookupError)
        def handle(error: Exception) -> ResponseReturnValue:
            stage.add("complaint")
            return "sorry", 400

        @stage.app.post("/")
        def view() -> str:
            raise LookupError

        assert stage.client.post("/").status_code == 400
        assert stage.names() == []

    def test_that_fail_leave_a_clean_session_to_the_handler_of_status_500(self, stage: Stage) -> None:
        seen: list[list[Item]] = []

        @stage.app.errorhandler(LookupError)
        def fail(error: Exception) -> ResponseReturnValue:
            stage.add("complaint")
            stage.uow.session.flush()
            raise RuntimeError

        @stage.app.errorhandler(500)
        def handle(error: Exception) -> ResponseReturnValue:
            seen.append(list(stage.uow.session.scalars(select(Item))))
            return "sorry", 500

        @stage.app.post("/")
        def view() -> str:
            raise LookupError

        assert stage.client.post("/").status_code == 500
        assert seen == [[]]
        assert stage.names() == []

    def test_for_a_raised_redirect_run_after_its_commit(self, stage: Stage) -> None:
        class Elsewhere(HTTPException):
            code = 303

        @stage.app.errorhandler(Elsewhere)
        def handle(error: Exception) -> ResponseReturnValue:
            return jsonify(seen=stage.names())

        @stage.app.post("/")
        def view() -> str:
            stage.add("tea")
            raise Elsewhere

        assert stage.client.post("/").json == {"seen": ["tea"]}

    def test_see_the_failed_commit_of_a_raised_redirect(self, stage: Stage) -> None:
        stage.app.register_error_handler(IntegrityError, lambda error: ("taken", 409))

        @stage.app.post("/")
        def view() -> str:
            stage.add("tea")
            stage.add("tea")
            abort(redirect("/thanks"))

        assert stage.client.post("/").status_code == 409
        assert stage.names() == []


class TestTheLastStep:
    def test_commits_what_after_request_functions_write(self, stage: Stage) -> None:
        @stage.app.after_request
        def note(response: Response) -> Response:
            stage.add("visit")
            return response

        stage.app.post("/")(lambda: "hello")
        assert stage.client.post("/").status_code == 200
        assert stage.names() == ["visit"]

    def test_follows_the_same_policy(self, stage: Stage) -> None:
        @stage.app.after_request
        def note(response: Response) -> Response:
            stage.add("visit")
            return response

        stage.app.post("/")(lambda: ("no", 404))
        assert stage.client.post("/").status_code == 404
        assert stage.names() == []

    def test_hands_its_failure_to_the_error_handlers(self, stage: Stage) -> None:
        stage.app.register_error_handler(IntegrityError, lambda error: ("taken", 409))

        @stage.app.after_request
        def note(response: Response) -> Response:
            stage.add("tea")
            return response

        stage.app.post("/")(lambda: "hello")
        assert [stage.client.post("/").status_code for _ in range(2)] == [200, 409]
        assert stage.names() == ["tea"]

    def test_that_fails_without_a_handler_is_a_500(self, stage: Stage) -> None:
        @stage.app.after_request
        def note(response: Response) -> Response:
            stage.add("tea")
            return response

        stage.app.post("/")(lambda: "hello")
        assert [stage.client.post("/").status_code for _ in range(2)] == [200, 500]
        assert stage.names() == ["tea"]

    def test_keeps_what_the_error_handler_of_its_failure_writes(self, stage: Stage) -> None:
        @stage.app.errorhandler(IntegrityError)
        def handle(error: Exception) -> ResponseReturnValue:
            stage.add("complaint")
            return "sorry", 200

        @stage.app.after_request
        def note(response: Response) -> Response:
            stage.add("tea")
            return response

        stage.app.post("/")(lambda: "hello")
        assert [stage.client.post("/").status_code for _ in range(2)] == [200, 200]
        assert stage.names() == ["tea", "complaint"]

    def test_commits_a_session_interface_that_writes_to_the_database(self, stage: Stage) -> None:
        from flask.sessions import SecureCookieSessionInterface

        class InTheDatabase(SecureCookieSessionInterface):
            def open_session(self, app: Any, request: Any) -> Any:
                stage.uow.session.scalars(select(Item)).all()
                return super().open_session(app, request)

            def save_session(self, app: Any, session: Any, response: Any) -> None:
                stage.add("session")

        stage.app.session_interface = InTheDatabase()

        @stage.app.post("/")
        def view() -> str:
            stage.add("tea")
            return "ordered"

        stage.client.post("/")
        assert stage.names() == ["tea", "session"]

    def test_rolls_back_when_an_after_request_function_fails(self, stage: Stage) -> None:
        @stage.app.after_request
        def note(response: Response) -> Response:
            stage.add("visit")
            stage.uow.session.flush()
            raise RuntimeError

        stage.app.post("/")(lambda: "hello")
        assert stage.client.post("/").status_code == 500
        assert stage.names() == []


class TestThePolicy:
    def test_may_be_the_user_s_own(self, database_url: str, make_stage: MakeStage) -> None:
        stage = make_stage(database_url, UNITOFWORK_COMMIT_POLICY=lambda response: response.status_code != 201)
        stage.app.post("/<int:status>")(lambda status: (stage.add(str(status)) or "done", status))
        stage.client.post("/201")
        stage.client.post("/404")
        assert stage.names() == ["404"]

    def test_that_raises_rolls_back(self, sqlite_url: str, make_stage: MakeStage) -> None:
        def policy(response: Response) -> bool:
            raise LookupError

        stage = make_stage(sqlite_url, UNITOFWORK_COMMIT_POLICY=policy)
        stage.app.post("/")(lambda: stage.add("tea") or "done")
        assert stage.client.post("/").status_code == 500
        assert stage.names() == []


class TestExplicitCommit:
    @pytest.fixture
    def explicit(self, database_url: str, make_stage: MakeStage) -> Stage:
        return make_stage(database_url, UNITOFWORK_COMMIT="explicit")

    def test_keeps_only_what_the_code_commits(self, explicit: Stage) -> None:
        @explicit.app.post("/")
        def view() -> str:
            explicit.add("tea")
            explicit.uow.session.commit()
            explicit.add("coffee")
            explicit.uow.session.rollback()
            return "ordered"

        assert explicit.client.post("/").status_code == 200
        assert explicit.names() == ["tea"]

    def test_a_transaction_block_commits(self, explicit: Stage) -> None:
        @explicit.app.post("/")
        def view() -> str:
            with explicit.uow.transaction() as session:
                session.add(Item(name="tea"))
            return "ordered"

        assert explicit.client.post("/").status_code == 200
        assert explicit.names() == ["tea"]

    @pytest.mark.parametrize("flushed", [False, True])
    @pytest.mark.parametrize("strict", ["DEBUG", "TESTING"])
    def test_discarded_work_is_an_error_in_debug_and_testing(self, explicit: Stage, strict: str, flushed: bool) -> None:
        explicit.app.config[strict] = True
        seen: list[str] = []

        @explicit.app.errorhandler(LostWriteError)
        def lost(error: LostWriteError) -> ResponseReturnValue:
            seen.append(str(error))
            return "lost", 500

        @explicit.app.post("/")
        def view() -> str:
            explicit.add("tea")
            if flushed:
                explicit.uow.session.flush()
            return "ordered"

        assert explicit.client.post("/").status_code == 500
        assert "'view'" in seen[0]
        assert ("statements" if flushed else "1 new Item") in seen[0]
        assert explicit.names() == []

    def test_discarded_core_statements_are_an_error_too(self, explicit: Stage) -> None:
        explicit.app.testing = True

        @explicit.app.post("/")
        def view() -> str:
            explicit.uow.session.execute(insert(Item).values(name="tea"))
            return "ordered"

        assert explicit.client.post("/").status_code == 500
        assert explicit.names() == []

    def test_discarded_work_is_logged_in_production_once_a_view(
        self, explicit: Stage, caplog: pytest.LogCaptureFixture
    ) -> None:
        def add() -> str:
            explicit.add("tea")
            return "ordered"

        explicit.app.add_url_rule("/orders", "orders", add, methods=["POST"])
        explicit.app.add_url_rule("/drafts", "drafts", add, methods=["POST"])

        for path in ("/orders", "/orders", "/drafts", "/orders"):
            assert explicit.client.post(path).status_code == 200
        messages = [one for one in caplog.messages if "answered with success, but its work was not committed" in one]
        assert [message.split("'")[1] for message in messages] == ["orders", "drafts"]
        assert "tea" not in caplog.text
        assert explicit.names() == []

    def test_work_discarded_by_a_refused_response_is_not_reported(self, explicit: Stage) -> None:
        explicit.app.testing = True
        explicit.app.post("/")(lambda: (explicit.add("tea") or "no", 404))
        assert explicit.client.post("/").status_code == 404

    def test_reads_alone_are_not_reported(self, explicit: Stage) -> None:
        explicit.app.testing = True

        @explicit.app.get("/")
        def view() -> str:
            return str(len(explicit.uow.session.scalars(select(Item)).all()))

        assert explicit.client.get("/").status_code == 200

    def test_goes_for_one_view_by_its_decorator(self, stage: Stage) -> None:
        @stage.app.post("/")
        @stage.uow.explicit_commit
        def view() -> str:
            stage.add("tea")
            stage.uow.session.commit()
            stage.add("coffee")
            return "ordered"

        assert stage.client.post("/").status_code == 200
        assert stage.names() == ["tea"]

    @pytest.mark.parametrize("on", ["class", "method", "decorators"])
    def test_goes_for_class_based_views(self, stage: Stage, on: str) -> None:
        def mark(target: Any, place: str) -> Any:
            return stage.uow.explicit_commit(target) if place == on else target

        class Items(MethodView):
            decorators = [stage.uow.explicit_commit] if on == "decorators" else []

            def post(self) -> str:
                stage.add("tea")
                return "ordered"

            post = mark(post, "method")

        stage.app.add_url_rule("/", view_func=mark(Items, "class").as_view("items"))
        assert stage.client.post("/").status_code == 200
        assert stage.names() == []


def test_two_apps_in_one_process_share_nothing(
    database_url: str, another_url: Callable[[], str], make_stage: MakeStage
) -> None:
    uow = UnitOfWork(metadata=Item.metadata)
    first, second = make_stage(database_url, uow=uow), make_stage(another_url(), uow=uow)

    @second.app.post("/")
    def inner() -> ResponseReturnValue:
        second.add("coffee")
        return "no", 409

    @first.app.post("/")
    def outer() -> str:
        first.add("tea")
        assert second.client.post("/").status_code == 409
        assert len(uow.session.new) == 1
        return "ordered"

    assert first.client.post("/").status_code == 200
    assert (first.names(), second.names()) == (["tea"], [])
    assert (first.checked_out(), second.checked_out()) == (0, 0)
