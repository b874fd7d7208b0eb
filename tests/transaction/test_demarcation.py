"""Blocks in scopes that do not commit by themselves: who commits, who rolls back, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from flask import abort, redirect
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from flask_unitofwork import DemarcationError, DoomedError, State
from tests.stage import Item, Stage


class TestATransactionBlock:
    def test_commits_at_its_end(self, stage: Stage) -> None:
        with stage.app.app_context():
            with stage.uow.transaction() as session:
                session.add(Item(name="tea"))
                assert stage.names() == []
            assert stage.names() == ["tea"]
            assert stage.uow.current.state is State.COMMITTED

    def test_rolls_back_when_an_exception_leaves_it(self, stage: Stage) -> None:
        with stage.app.app_context():
            with pytest.raises(LookupError), stage.uow.transaction() as session:
                session.add(Item(name="tea"))
                session.flush()
                raise LookupError
            assert stage.uow.current.state is State.ROLLED_BACK
        assert stage.names() == []

    def test_raises_when_its_commit_fails_and_can_be_followed_by_another(self, stage: Stage) -> None:
        with stage.app.app_context():
            with pytest.raises(IntegrityError), stage.uow.transaction() as session:
                session.add_all([Item(name="tea"), Item(name="tea")])
            with stage.uow.transaction() as session:
                session.add(Item(name="coffee"))
        assert stage.names() == ["coffee"]

    def test_inside_another_joins_it(self, stage: Stage) -> None:
        with stage.app.app_context():
            with stage.uow.transaction() as outer:
                with stage.uow.transaction() as inner:
                    assert inner is outer
                    inner.add(Item(name="tea"))
                assert stage.names() == []
            assert stage.names() == ["tea"]

    def test_inside_a_request_that_is_committed_by_its_success_joins_it(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            with stage.uow.transaction():
                stage.add("tea")
            assert stage.names() == []
            return "no", 409

        assert stage.client.post("/").status_code == 409
        assert stage.names() == []

    def test_that_fails_inside_another_dooms_the_whole(self, stage: Stage) -> None:
        with stage.app.app_context():
            with pytest.raises(DoomedError) as raised, stage.uow.transaction() as session:
                session.add(Item(name="tea"))
                try:
                    with stage.uow.transaction():
                        raise LookupError("no milk")
                except LookupError:
                    pass
                assert stage.uow.current.doomed
                assert stage.uow.current.state is State.DOOMED
            assert not stage.uow.current.doomed
        assert stage.names() == []
        message = str(raised.value)
        assert "LookupError left a transaction() block at " in message
        assert f"{__file__}:" in message
        assert "with uow.savepoint(): …" in message
        assert "no milk" not in message  # exceptions may quote what must not be in logs
        assert isinstance(raised.value.__cause__, LookupError)

    def test_names_the_decorated_function_that_doomed(self, stage: Stage) -> None:
        @stage.uow.transaction()
        def inner() -> None:
            raise LookupError

        with stage.app.app_context(), pytest.raises(DoomedError, match=r"in .*inner"), stage.uow.transaction():
            try:
                inner()
            except LookupError:
                pass

    def test_keeps_what_a_raised_redirect_leaves_behind(self, stage: Stage) -> None:
        @stage.app.post("/")
        @stage.uow.transaction()
        def view() -> ResponseReturnValue:
            stage.add("tea")
            with stage.uow.savepoint():
                stage.add("coffee")
                abort(redirect("/thanks"))

        assert stage.client.post("/").status_code == 302
        assert stage.names() == ["tea", "coffee"]

    def test_may_be_doomed_and_ends_without_an_error(self, stage: Stage) -> None:
        with stage.app.app_context(), stage.uow.transaction() as session:
            session.add(Item(name="tea"))
            stage.uow.doom("only a rehearsal")
        assert stage.names() == []

    def test_cannot_be_entered_twice(self, sqlite_stage: Stage) -> None:
        block = sqlite_stage.uow.transaction()
        with sqlite_stage.app.app_context(), block, pytest.raises(DemarcationError, match="already in use"), block:
            pass

    @pytest.mark.parametrize("operation", ["commit", "rollback"])
    @pytest.mark.parametrize("block", ["transaction", "savepoint"])
    def test_refuses_commit_and_rollback_inside(self, stage: Stage, block: str, operation: str) -> None:
        with stage.app.app_context():
            with stage.uow.transaction() as session, getattr(stage.uow, block)():
                session.add(Item(name="tea"))
                with pytest.raises(DemarcationError, match=rf"Instead of session\.{operation}\(\), "):
                    getattr(session, operation)()
            assert stage.names() == ["tea"]

    def test_refuses_a_commit_by_way_of_session_begin(self, stage: Stage) -> None:
        with stage.app.app_context(), pytest.raises(DemarcationError, match="the block decides"):
            with stage.uow.transaction() as session, session.begin():
                session.add(Item(name="tea"))
        assert stage.names() == []

    def test_takes_up_work_that_was_begun_before_it(self, stage: Stage) -> None:
        with stage.app.app_context():
            stage.add("tea")
            stage.uow.session.flush()
            with stage.uow.transaction():
                stage.add("coffee")
        assert stage.names() == ["tea", "coffee"]

    def test_decorates_functions_methods_and_coroutine_functions(self, stage: Stage) -> None:
        @stage.uow.transaction()
        def add(name: str) -> str:
            """Add an item."""
            stage.add(name)
            return name

        class Shelf:
            @stage.uow.transaction()
            def add(self, name: str) -> str:
                return add(name)

        @stage.uow.transaction()
        async def add_later(name: str) -> str:
            await asyncio.sleep(0)
            return add(name)

        assert add.__doc__ == "Add an item."
        with stage.app.app_context():
            assert add("tea") == "tea"
            assert Shelf().add("coffee") == "coffee"
            assert asyncio.run(add_later("milk")) == "milk"
        assert stage.names() == ["tea", "coffee", "milk"]

    @pytest.mark.parametrize("kind", ["generator", "asynchronous generator"])
    def test_refuses_generator_functions(self, sqlite_stage: Stage, kind: str) -> None:
        def numbers() -> Any:
            yield 1

        async def later() -> Any:
            yield 1

        with pytest.raises(DemarcationError, match=r"Write the with statement inside of it"):
            sqlite_stage.uow.transaction()(numbers if kind == "generator" else later)

    @pytest.mark.parametrize("how", ["close", "rollback", "begin", "remove"])
    def test_cannot_be_committed_once_its_transaction_was_ended_inside(self, stage: Stage, how: str) -> None:
        with stage.app.app_context():
            with pytest.raises(DoomedError, match="was ended inside a block"), stage.uow.transaction() as session:
                session.add(Item(name="tea"))
                session.flush()
                if how == "close":
                    session.close()
                elif how == "remove":
                    stage.uow.registry.remove()
                elif how == "rollback":
                    transaction = session.get_transaction()
                    assert transaction is not None
                    transaction.rollback()
                else:
                    transaction = session.get_transaction()
                    assert transaction is not None
                    with pytest.raises(LookupError), transaction:
                        raise LookupError
                stage.add("coffee")
            stage.add("milk")
            stage.uow.session.commit()
        assert stage.names() == ["milk"]


class TestASavepoint:
    def test_takes_back_only_what_failed_in_it(self, stage: Stage) -> None:
        with stage.app.app_context(), stage.uow.transaction() as session:
            session.add(Item(name="tea"))
            with pytest.raises(IntegrityError), stage.uow.savepoint():
                session.add(Item(name="tea"))
                session.flush()
            with stage.uow.savepoint():
                session.add(Item(name="coffee"))
        assert stage.names() == ["tea", "coffee"]

    def test_whose_own_end_fails_takes_back_its_work(self, stage: Stage) -> None:
        with stage.app.app_context(), stage.uow.transaction() as session:
            session.add(Item(name="tea"))
            with pytest.raises(IntegrityError), stage.uow.savepoint():
                session.add(Item(name="tea"))  # flushed when the savepoint ends
            assert [item.name for item in session.scalars(select(Item))] == ["tea"]
        assert stage.names() == ["tea"]

    def test_whose_failure_is_swallowed_inside_says_that_its_work_is_gone(self, stage: Stage) -> None:
        with stage.app.app_context(), stage.uow.transaction() as session:
            session.add(Item(name="tea"))
            with pytest.raises(DoomedError, match="Catch it outside"), stage.uow.savepoint():
                session.add(Item(name="coffee"))
                session.flush()
                session.add(Item(name="tea"))
                with pytest.raises(IntegrityError):
                    session.flush()
            session.add(Item(name="milk"))
        assert stage.names() == ["tea", "milk"]

    def test_that_a_failed_flush_takes_back_takes_its_hooks_and_dooms_with_it(self, stage: Stage) -> None:
        log: list[str] = []
        with stage.app.app_context(), stage.uow.transaction() as session:
            session.add(Item(name="tea"))
            session.flush()
            with pytest.raises(IntegrityError), stage.uow.savepoint(), stage.uow.transaction():
                stage.uow.on_commit(lambda: log.append("mail"))
                session.add(Item(name="tea"))
                session.flush()
            session.add(Item(name="milk"))
        assert stage.names() == ["tea", "milk"]
        assert log == []

    def test_that_is_taken_back_takes_the_doom_with_it(self, stage: Stage) -> None:
        with stage.app.app_context(), stage.uow.transaction() as session:
            session.add(Item(name="tea"))
            with pytest.raises(LookupError), stage.uow.savepoint(), stage.uow.transaction():
                session.add(Item(name="coffee"))
                raise LookupError
            assert not stage.uow.current.doomed
            assert stage.uow.current.state is State.ACTIVE
        assert stage.names() == ["tea"]

    def test_inside_the_doomed_block_does_not_lift_the_doom(self, stage: Stage) -> None:
        with stage.app.app_context(), pytest.raises(DoomedError), stage.uow.transaction():
            with pytest.raises(LookupError), stage.uow.transaction():
                with pytest.raises(KeyError), stage.uow.savepoint():
                    raise KeyError
                raise LookupError
        assert stage.names() == []

    def test_does_not_lift_a_doom_that_was_asked_for(self, stage: Stage) -> None:
        with stage.app.app_context(), stage.uow.transaction():
            stage.add("tea")
            with pytest.raises(LookupError), stage.uow.savepoint():
                stage.uow.doom("only a rehearsal")
                raise LookupError
            assert stage.uow.current.doomed
        assert stage.names() == []

    def test_cannot_be_entered_twice(self, sqlite_stage: Stage) -> None:
        block = sqlite_stage.uow.savepoint()
        with sqlite_stage.app.app_context(), block, pytest.raises(DemarcationError, match="already in use"), block:
            pass


class TestADoomedUnit:
    def test_refuses_an_explicit_commit(self, stage: Stage) -> None:
        with stage.app.app_context():
            stage.add("tea")
            stage.uow.doom("stock is out")
            with pytest.raises(DoomedError, match=r"uow\.doom\('stock is out'\)"):
                stage.uow.session.commit()
            stage.uow.session.rollback()
        assert stage.names() == []

    def test_is_followed_by_one_that_is_not(self, stage: Stage) -> None:
        with stage.app.app_context():
            stage.uow.doom("a first")
            stage.uow.doom("and a second reason")
            stage.uow.session.rollback()
            stage.add("tea")
            stage.uow.session.commit()
        assert stage.names() == ["tea"]

    def test_may_be_one_that_has_not_begun(self, stage: Stage) -> None:
        with stage.app.app_context():
            stage.add("tea")
            stage.uow.session.commit()
            stage.uow.doom("no more for today")
            assert stage.uow.current.state is State.DOOMED
            stage.add("coffee")
            with pytest.raises(DoomedError):
                stage.uow.session.commit()
            stage.uow.session.rollback()
        assert stage.names() == ["tea"]

    def test_by_a_failure_is_rolled_back_quietly_where_the_rollback_is_asked_for(self, stage: Stage) -> None:
        with stage.app.app_context(), stage.uow.transaction():
            stage.add("tea")
            with pytest.raises(LookupError), stage.uow.transaction():
                raise LookupError
            stage.uow.doom("noticed")
        assert stage.names() == []


class TestTheUnit:
    def test_says_where_it_stands(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage
        with stage.app.app_context():
            unit = stage.uow.current
            assert (unit.state, unit.doomed, unit.attempt, unit.read_only) == (State.ACTIVE, False, 1, False)
            assert repr(unit) == "<Unit active, attempt 1>"
            assert unit.session is stage.uow.session
            stage.add("tea")
            stage.uow.session.commit()
            states = [unit.state]
            stage.uow.session.scalars(select(Item)).all()
            assert [*states, unit.state] == [State.COMMITTED, State.ACTIVE]

    def test_takes_no_second_session(self, sqlite_stage: Stage) -> None:
        with sqlite_stage.app.app_context():
            session = sqlite_stage.uow.session
            with pytest.raises(DemarcationError, match="already has a session"):
                sqlite_stage.uow.current.adopt(type(session)())

    @pytest.mark.parametrize(
        ("change", "described"),
        [
            (lambda session, item: session.add(Item(name="new")), ["1 new Item"]),
            (lambda session, item: setattr(item, "name", "other"), ["1 changed Item"]),
            (lambda session, item: session.delete(item), ["1 deleted Item"]),
            (lambda session, item: session.flush(), []),
        ],
    )
    def test_describes_what_it_has_not_committed(
        self, sqlite_stage: Stage, change: Callable[[Any, Item], Any], described: list[str]
    ) -> None:
        stage = sqlite_stage
        with stage.app.app_context():
            assert stage.uow.current.uncommitted_work == []
            item = Item(name="tea")
            stage.uow.session.add(item)
            stage.uow.session.commit()
            change(stage.uow.session, item)
            assert stage.uow.current.uncommitted_work == described
            stage.uow.session.rollback()
