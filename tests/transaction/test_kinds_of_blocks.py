"""Blocks for intents of their own: required, durable, independent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from flask_unitofwork import DemarcationError, DoomedError, OutsideScopeError
from tests.stage import Item, Stage


class TestTransactionRequired:
    def test_is_an_error_where_there_is_none(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage
        with stage.app.app_context():
            with pytest.raises(DemarcationError) as raised, stage.uow.transaction_required():
                raise AssertionError
            stage.add("tea")  # a session that has begun by itself is no transaction that somebody answers for
            with pytest.raises(DemarcationError), stage.uow.transaction_required():
                raise AssertionError
        assert str(raised.value).startswith(f"A transaction is required here ({__file__}:")
        assert "Write with uow.transaction(): … around the call." in str(raised.value)

    def test_joins_a_block_a_request_a_scope_and_a_transaction_begun_by_hand(self, stage: Stage) -> None:
        @stage.uow.transaction_required()
        def add(name: str) -> str:
            stage.add(name)
            return name

        stage.app.add_url_rule("/<name>", "add", add, methods=["POST"])
        assert stage.client.post("/request").status_code == 200
        with stage.uow.scope(stage.app):
            add("scope")
        with stage.app.app_context():
            with stage.uow.transaction():
                add("block")
            with stage.uow.session.begin():
                add("by hand")
                assert stage.names() == ["request", "scope", "block"]
        assert stage.names() == ["request", "scope", "block", "by hand"]

    def test_dooms_the_whole_when_it_fails(self, stage: Stage) -> None:
        with stage.app.app_context(), pytest.raises(DoomedError, match="left a transaction_required"):
            with stage.uow.transaction():
                stage.add("tea")
                with pytest.raises(LookupError), stage.uow.transaction_required():
                    raise LookupError
        assert stage.names() == []


class TestDurable:
    def test_has_committed_when_it_returns(self, stage: Stage) -> None:
        @stage.uow.durable
        def add(name: str) -> list[str]:
            stage.add(name)
            return stage.names()

        @stage.uow.durable(isolation_level="SERIALIZABLE")
        async def add_later(name: str) -> None:
            await asyncio.sleep(0)
            stage.add(name)

        with stage.app.app_context():
            assert add("tea") == []
            assert stage.names() == ["tea"]
            asyncio.run(add_later("coffee"))
        assert stage.names() == ["tea", "coffee"]

    def test_has_rolled_back_when_it_raises(self, stage: Stage) -> None:
        @stage.uow.durable
        def add() -> None:
            stage.add("tea")
            raise LookupError

        with stage.app.app_context():
            with pytest.raises(LookupError):
                add()
            assert not stage.uow.session.new
        assert stage.names() == []

    def test_is_an_error_inside_a_transaction(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage

        @stage.uow.durable
        def add() -> ResponseReturnValue:
            raise AssertionError

        def in_block() -> None:
            with stage.uow.transaction():
                add()

        def in_scope() -> None:
            with stage.uow.scope():
                add()

        def by_hand() -> None:
            with stage.uow.session.begin():
                add()

        for inside in (in_block, in_scope, by_hand):
            with (
                stage.app.app_context(),
                pytest.raises(DemarcationError, match="durable function was called inside a tr"),
            ):
                inside()
        with stage.app.app_context(), pytest.raises(DemarcationError, match=rf"\(transaction\(\) began at {__file__}:"):
            in_block()

        stage.app.add_url_rule("/", "add", add, methods=["POST"])
        stage.app.register_error_handler(DemarcationError, lambda error: (str(error), 500))
        assert "mark its view with @uow.explicit_commit" in stage.client.post("/").text

    def test_may_be_a_view_s_whose_commits_are_explicit(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage

        @stage.app.post("/")
        @stage.uow.explicit_commit
        @stage.uow.durable
        def add() -> ResponseReturnValue:
            stage.add("tea")
            return "added", 409

        assert stage.client.post("/").status_code == 409
        assert stage.names() == ["tea"]


class TestAnIndependentTransaction:
    def test_is_kept_whatever_becomes_of_the_outer_one(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            outer = stage.uow.session
            with stage.uow.independent_transaction() as session:
                assert session is stage.uow.session
                assert session is not outer
                session.add(Item(name="attempt"))
            assert stage.uow.session is outer
            stage.add("order")
            raise LookupError

        assert stage.client.post("/").status_code == 500
        assert stage.names() == ["attempt"]
        assert stage.checked_out() == 0

    def test_is_lost_alone_when_it_fails(self, stage: Stage) -> None:
        with stage.app.app_context(), stage.uow.transaction():
            with pytest.raises(LookupError), stage.uow.independent_transaction() as session:
                session.add(Item(name="attempt"))
                session.flush()
                raise LookupError
            assert not stage.uow.current.doomed
            stage.add("order")
        assert stage.names() == ["order"]

    def test_is_committed_where_the_outer_one_has_written_and_fails(self, postgresql_url: str, make_stage: Any) -> None:
        stage: Stage = make_stage(postgresql_url)
        with stage.app.app_context(), pytest.raises(LookupError), stage.uow.transaction() as outer:
            outer.add(Item(name="order"))
            outer.flush()
            with stage.uow.independent_transaction() as session:
                assert session.scalars(select(Item)).all() == []
                session.add(Item(name="attempt"))
            raise LookupError
        assert stage.names() == ["attempt"]

    def test_says_at_once_that_sqlite_has_one_writer(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage
        with stage.app.app_context():
            with stage.uow.transaction():
                stage.add("order")
                stage.uow.session.flush()
                with stage.uow.independent_transaction() as session:
                    assert session.scalars(select(Item)).all() == []
                with (
                    pytest.raises(
                        DemarcationError, match="SQLite has one writer at a time, and that is the transaction"
                    ),
                    stage.uow.independent_transaction() as session,
                ):
                    session.add(Item(name="attempt"))
                with pytest.raises(DemarcationError, match="a hook for after it"), stage.uow.scope() as session:
                    session.add(Item(name="attempt"))
        assert stage.names() == ["order"]

    def test_can_write_on_sqlite_while_the_outer_one_only_reads(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage
        with stage.app.app_context(), stage.uow.read_only() as outer:
            outer.scalars(select(Item)).all()
            with stage.uow.independent_transaction() as session:
                session.add(Item(name="attempt"))
        assert stage.names() == ["attempt"]

    def test_decorates(self, stage: Stage) -> None:
        @stage.uow.independent_transaction()
        def note(name: str) -> str:
            """Keep a trace."""
            stage.add(name)
            return name

        with stage.app.app_context(), pytest.raises(LookupError), stage.uow.transaction():
            assert note("attempt") == "attempt"
            raise LookupError
        assert note.__doc__ == "Keep a trace."
        assert stage.names() == ["attempt"]

    def test_needs_something_to_be_independent_of(self, sqlite_stage: Stage) -> None:
        with pytest.raises(OutsideScopeError, match="stands beside a unit of work, and there is none here"):
            with sqlite_stage.uow.independent_transaction():
                raise AssertionError


def test_a_durable_function_says_what_it_needs_where_there_is_no_app_context(sqlite_stage: Stage) -> None:
    stage = sqlite_stage

    @stage.uow.durable
    def once() -> None:
        stage.add("tea")

    @stage.uow.durable(attempts=2)
    def again() -> None:
        stage.add("coffee")

    for function in (once, again):
        with pytest.raises(OutsideScopeError, match=r"with app\.app_context\(\): … around the call"):
            function()
    with stage.app.app_context():
        once()
        again()
    assert stage.names() == ["tea", "coffee"]
