"""What blocks ask of their transactions: where it is decided, and what is refused where it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.typing import ResponseReturnValue
from flask.views import MethodView
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from flask_unitofwork import DemarcationError, ReadOnlyError, UnitOfWork, UnknownBindError
from tests.stage import Base, Item, MakeStage, Stage

ISOLATION = "SELECT upper(current_setting('transaction_isolation'))"


@pytest.fixture
def postgresql(postgresql_url: str, make_stage: MakeStage) -> Stage:
    return make_stage(postgresql_url)


class TestWhereItIsWritten:
    """Wrong arguments raise before any request, and where there is no app."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                {"isolation_level": "SNAPSHOT"},
                "'SNAPSHOT' is none of SQL's isolation levels. Write one of \"READ UNCOMM",
            ),
            ({"isolation_level": "AUTOCOMMIT"}, "'AUTOCOMMIT' is none of SQL's isolation levels"),
            ({"isolation_level": 7}, "isolation_level=7 is none"),
            ({"timeout": 0}, "timeout must be a number of seconds above 0; it is 0"),
            ({"timeout": "1s"}, "timeout must be a number of seconds above 0; it is '1s'"),
            ({"timeout": True}, "timeout must be a number of seconds above 0; it is True"),
            ({"attempts": 0}, "attempts must be a whole number, 1 or more; it is 0"),
            ({"attempts": 1.5}, "attempts must be a whole number, 1 or more; it is 1.5"),
            ({"attempts": True}, "attempts must be a whole number, 1 or more; it is True"),
            ({"read_only": "yes"}, "read_only must be True or False; it is 'yes'"),
            ({"bind": ""}, "bind must be the name of a database in UNITOFWORK_DATABASES; it is ''"),
            ({"bind": 1}, "bind must be the name of a database"),
        ],
    )
    def test_a_wrong_value_is_refused(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(DemarcationError, match=message):
            UnitOfWork().transaction(**options)

    @pytest.mark.parametrize(
        ("decorate", "message"),
        [
            (
                lambda uow: uow.transaction(isolation_level="SERIALIZABLE")(
                    uow.transaction(isolation_level="READ COMMITTED")(work)
                ),
                "A block with isolation_level='READ COMMITTED' cannot join one with isolation_level='SERIALIZABLE'",
            ),
            (
                lambda uow: uow.read_only(timeout=1)(uow.read_only(timeout=2)(work)),
                "A block with timeout=2 cannot join one with timeout=1",
            ),
            (
                lambda uow: uow.read_only()(uow.transaction()(work)),
                "A block that may write cannot join one that is read-only",
            ),
            (
                lambda uow: uow.transaction()(uow.transaction(attempts=2)(work)),
                "attempts=2 at an inner block would do nothing",
            ),
            (
                lambda uow: uow.transaction()(uow.durable(work)),
                "work is durable, so it cannot run inside of @uow.transact",
            ),
            (lambda uow: uow.durable(uow.durable(work)), "work is durable, so it cannot run inside of @uow.durable"),
            (lambda uow: uow.savepoint()(work), "savepoint\\(\\) is a context manager only"),
            (lambda uow: uow.durable(read_only=True), "durable and read_only contradict each other"),
        ],
    )
    def test_a_wrong_combination_is_refused_where_functions_are_decorated(
        self, decorate: Callable[[UnitOfWork], Any], message: str
    ) -> None:
        with pytest.raises(DemarcationError, match=message):
            decorate(UnitOfWork())

    @pytest.mark.parametrize(
        "decorate",
        [
            lambda uow: uow.transaction(isolation_level="SERIALIZABLE")(uow.transaction()(work)),
            lambda uow: uow.transaction()(uow.read_only()(work)),
            lambda uow: uow.read_only()(uow.transaction_required()(work)),
            lambda uow: uow.transaction()(uow.independent_transaction(attempts=2)(work)),
            lambda uow: uow.transaction(attempts=2)(uow.explicit_commit(work)),
            lambda uow: uow.durable(attempts=2)(uow.transaction()(work)),
        ],
    )
    def test_other_combinations_are_not(self, decorate: Callable[[UnitOfWork], Any]) -> None:
        assert decorate(UnitOfWork()).__name__ == "work"

    @pytest.mark.parametrize("kind", ["transaction", "read_only", "independent_transaction"])
    def test_attempts_need_a_function(self, sqlite_stage: Stage, kind: str) -> None:
        with (
            sqlite_stage.app.app_context(),
            pytest.raises(DemarcationError, match=rf"decorate that: @uow\.{kind}\(attempts=2\)"),
            getattr(sqlite_stage.uow, kind)(attempts=2),
        ):
            pass

    def test_durable_is_a_decorator_only(self, sqlite_stage: Stage) -> None:
        block: Any = sqlite_stage.uow.durable()
        with sqlite_stage.app.app_context(), pytest.raises(TypeError, match="context manager"), block:
            pass


def work() -> None:
    """Something to decorate."""


class TestIsolationLevel:
    def test_is_the_block_s(self, postgresql: Stage) -> None:
        stage = postgresql
        seen: list[Any] = []
        with stage.app.app_context():
            with stage.uow.transaction(isolation_level="SERIALIZABLE") as session:
                seen.append(session.scalar(text(ISOLATION)))
            seen.append(stage.uow.session.scalar(text(ISOLATION)))
        assert seen == ["SERIALIZABLE", "READ COMMITTED"]

    def test_of_a_view_is_its_request_s_before_request_functions_included(self, postgresql: Stage) -> None:
        stage = postgresql
        seen: list[Any] = []

        def look() -> None:
            seen.append(stage.uow.session.scalar(text(ISOLATION)))

        stage.app.before_request(look)
        stage.app.after_request(lambda response: look() or response)

        @stage.app.post("/")
        @stage.uow.transaction(isolation_level="SERIALIZABLE")
        def view() -> str:
            look()
            return "seen"

        assert stage.client.post("/").status_code == 200
        assert seen == ["SERIALIZABLE", "SERIALIZABLE", "READ COMMITTED"]

    def test_of_an_inner_decorator_is_the_view_s_too(self, postgresql: Stage) -> None:
        stage = postgresql

        class Items(MethodView):
            decorators = [stage.uow.transaction()]  # noqa: RUF012  Flask's own way to declare them

            @stage.uow.transaction()
            @stage.uow.transaction(isolation_level="SERIALIZABLE")
            def post(self) -> str:
                return str(stage.uow.session.scalar(text(ISOLATION)))

        @stage.app.before_request
        def load() -> None:
            stage.uow.session.scalars(select(Item)).all()

        stage.app.add_url_rule("/", view_func=Items.as_view("items"))
        assert stage.client.post("/").text == "SERIALIZABLE"

    def test_of_a_block_in_a_request_is_the_request_s_as_long_as_nothing_has_run(self, postgresql: Stage) -> None:
        stage = postgresql

        @stage.app.post("/")
        def view() -> str:
            with stage.uow.transaction(isolation_level="REPEATABLE READ"):
                pass
            return str(stage.uow.session.scalar(text(ISOLATION)))

        assert stage.client.post("/").text == "REPEATABLE READ"

    def test_cannot_be_changed_once_something_has_run(self, stage: Stage) -> None:
        @stage.app.errorhandler(DemarcationError)
        def told(error: DemarcationError) -> ResponseReturnValue:
            return str(error), 500

        @stage.app.post("/")
        def view() -> str:
            stage.uow.session.scalars(select(Item)).all()
            with stage.uow.transaction(isolation_level="READ UNCOMMITTED"):
                return "too late"

        response = stage.client.post("/")
        assert "began without it, and it cannot be changed after the first statement" in response.text
        assert "@uow.transaction(isolation_level=" in response.text

    def test_that_is_the_default_anyway_is_no_change(self, postgresql: Stage) -> None:
        with postgresql.app.app_context(), postgresql.uow.transaction() as session:
            session.scalars(select(Item)).all()
            with postgresql.uow.transaction(isolation_level="READ COMMITTED"):
                pass

    def test_of_an_inner_block_must_be_the_outer_s(self, stage: Stage) -> None:
        with stage.app.app_context(), stage.uow.transaction(isolation_level="SERIALIZABLE"):
            with stage.uow.transaction(isolation_level="SERIALIZABLE"):
                stage.add("tea")
            with pytest.raises(DemarcationError) as raised, stage.uow.transaction(isolation_level="REPEATABLE READ"):
                pass
        message = str(raised.value)
        assert "asks for isolation_level='REPEATABLE READ', but the transaction in progress has " in message
        assert f"(transaction() began at {__file__}:" in message
        assert "test_of_an_inner_block_must_be_the_outer_s" in message
        assert stage.names() == ["tea"]


class TestTimeout:
    def test_is_enforced_by_the_database_for_the_transaction_alone(self, postgresql: Stage) -> None:
        stage = postgresql
        with stage.app.app_context():
            with pytest.raises(DBAPIError, match="statement timeout"), stage.uow.transaction(timeout=0.1) as session:
                session.execute(text("SELECT pg_sleep(30)"))
            with stage.uow.transaction() as session:
                assert session.scalar(text("SELECT current_setting('statement_timeout')")) == "0"


class TestBind:
    @pytest.fixture
    def stage(self, database_url: str, another_url: Callable[[], str], make_stage: MakeStage) -> Stage:
        archive = another_url()
        stage = make_stage({"default": database_url, "archive": archive})
        with stage.app.app_context():
            Base.metadata.create_all(stage.uow.get_engine("archive"))
        return stage

    def archived(self, stage: Stage) -> list[str]:
        with stage.app.app_context(), stage.outside(stage.uow.get_engine("archive")) as connection:
            return list(connection.scalars(select(Item.name).order_by(Item.id)))

    def test_is_where_the_block_s_work_goes_that_names_no_other(self, stage: Stage) -> None:
        with stage.app.app_context():
            with stage.uow.transaction(bind="archive") as session:
                session.add(Item(name="old"))
            stage.add("new")
            stage.uow.session.commit()
        assert (stage.names(), self.archived(stage)) == (["new"], ["old"])

    def test_of_an_inner_block_is_for_that_block(self, stage: Stage) -> None:
        with stage.app.app_context(), stage.uow.transaction() as session:
            session.add(Item(name="new"))
            session.flush()
            with stage.uow.transaction(bind="archive"):
                session.add(Item(name="old"))
            session.add(Item(name="newer"))
        assert (stage.names(), self.archived(stage)) == (["new", "newer"], ["old"])

    def test_is_an_independent_transaction_s_too(self, stage: Stage) -> None:
        with stage.app.app_context(), pytest.raises(LookupError), stage.uow.transaction() as session:
            session.add(Item(name="new"))
            session.flush()
            with stage.uow.independent_transaction(bind="archive") as inner:
                inner.add(Item(name="old"))
            raise LookupError
        assert (stage.names(), self.archived(stage)) == ([], ["old"])

    def test_that_nobody_configured_is_refused_before_the_block_begins(self, stage: Stage) -> None:
        with stage.app.app_context(), pytest.raises(UnknownBindError, match="'arhcive'"):
            with stage.uow.transaction(bind="arhcive"):
                raise AssertionError
        with stage.app.app_context():
            assert not stage.uow.current.commits_at_its_end


class TestReadOnly:
    def write(self, stage: Stage, how: str) -> None:
        if how == "flush":
            stage.add("coffee")
            stage.uow.session.flush()
        else:
            stage.uow.session.execute(text("UPDATE item SET name = 'coffee'"))

    @pytest.mark.parametrize("how", ["flush", "statement"])
    def test_refuses_to_write(self, stage: Stage, how: str) -> None:
        with stage.app.app_context(), pytest.raises(ReadOnlyError), stage.uow.read_only():
            assert stage.uow.current.read_only
            self.write(stage, how)
        assert stage.names() == []

    def test_refuses_what_would_be_flushed_at_its_end(self, stage: Stage) -> None:
        with stage.app.app_context():
            with pytest.raises(ReadOnlyError), stage.uow.read_only():
                stage.add("tea")
            assert not stage.uow.current.read_only
            stage.add("coffee")
            stage.uow.session.commit()
        assert stage.names() == ["coffee"]

    @pytest.mark.parametrize("how", ["flush", "statement"])
    def test_inside_a_transaction_is_a_part_that_may_not_write(self, stage: Stage, how: str) -> None:
        with stage.app.app_context(), stage.uow.transaction() as session:
            session.add(Item(name="tea"))
            with stage.uow.read_only():
                assert [item.name for item in session.scalars(select(Item))] == ["tea"]
                assert repr(stage.uow.current) == "<Unit active, attempt 1, read-only>"
            with pytest.raises(ReadOnlyError), stage.uow.savepoint(), stage.uow.read_only():
                self.write(stage, how)
            assert repr(stage.uow.current) == "<Unit active, attempt 1>"
            session.add(Item(name="milk"))
        assert stage.names() == ["tea", "milk"]

    def test_inside_a_transaction_is_the_database_s_to_hold_too(self, postgresql: Stage) -> None:
        stage = postgresql
        with stage.app.app_context(), stage.uow.transaction() as session:
            session.execute(text("CREATE SEQUENCE visits"))
            with pytest.raises(DBAPIError, match="read-only transaction"), stage.uow.savepoint():
                with stage.uow.read_only():
                    session.execute(text("SELECT nextval('visits')"))
            assert session.scalar(text("SELECT nextval('visits')")) == 1

    def test_inside_itself_goes_on(self, stage: Stage) -> None:
        with stage.app.app_context(), stage.uow.transaction() as session:
            session.add(Item(name="tea"))
            with stage.uow.read_only(), stage.uow.read_only():
                session.scalars(select(Item)).all()
            session.add(Item(name="milk"))
        assert stage.names() == ["tea", "milk"]

    def test_is_joined_by_nobody_who_may_write(self, stage: Stage) -> None:
        with stage.app.app_context(), stage.uow.read_only():
            with pytest.raises(
                DemarcationError, match="A block that may write cannot join one that is read-only"
            ) as raised:
                with stage.uow.transaction():
                    pass
            with stage.uow.transaction(read_only=True), stage.uow.transaction_required():
                pass
        assert f"(read_only() began at {__file__}:" in str(raised.value)

    @pytest.mark.parametrize("reads_before", [False, True])
    def test_of_a_view_ends_with_the_view(self, stage: Stage, reads_before: bool) -> None:
        @stage.app.before_request
        def before() -> None:
            if reads_before:
                stage.uow.session.scalars(select(Item)).all()

        @stage.app.after_request
        def after(response: Any) -> Any:
            stage.add(f"audit {response.status_code}")
            return response

        @stage.app.errorhandler(ReadOnlyError)
        def refused(error: ReadOnlyError) -> ResponseReturnValue:
            return "refused", 403

        @stage.app.post("/<name>")
        @stage.uow.read_only()
        def view(name: str) -> ResponseReturnValue:
            if name == "write":
                stage.add("tea")
                stage.uow.session.flush()
            return "read"

        assert stage.client.post("/read").status_code == 200
        assert stage.names() == ["audit 200"]
        assert stage.client.post("/write").status_code == 403
        assert stage.names() == ["audit 200"]
        assert stage.checked_out() == 0

    def test_sees_one_state_of_the_database(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage
        with stage.app.app_context(), stage.uow.read_only() as session:
            assert session.scalars(select(Item)).all() == []
            with stage.outside(stage.engine) as other:
                other.execute(text("INSERT INTO item (name) VALUES ('tea')"))
                other.commit()
            assert session.scalars(select(Item)).all() == []
