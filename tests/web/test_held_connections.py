"""Connections that are held in a transaction without SQL: who holds them is told, with the line, while debugging and testing."""

from __future__ import annotations

import inspect
import logging
import threading
import warnings
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import click
import pytest
from flask import render_template_string, stream_with_context
from flask.typing import ResponseReturnValue
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from flask_unitofwork import HeldConnectionWarning
from flask_unitofwork.testing import isolated
from tests.stage import Item, MakeStage, Stage
from tests.web.clients import Client, served

# Whatever Python does between two statements takes longer.
ANY: Final = {"UNITOFWORK_HELD_CONNECTION_LIMIT": 1e-9}
# No test takes so long.
LONG: Final = {"UNITOFWORK_HELD_CONNECTION_LIMIT": 3600}
PATIENCE_SECONDS: Final = 60

Reports = list[warnings.WarningMessage]


@contextmanager
def reports() -> Generator[Reports]:
    """The warnings about held connections in the block."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found: Reports = []
        yield found
    found += [one for one in caught if issubclass(one.category, HeldConnectionWarning)]


def line_here() -> int:
    """The line that calls this."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


@pytest.fixture
def stage(database_url: str, make_stage: MakeStage) -> Stage:
    return make_stage(database_url, **ANY)


class TestAReport:
    def test_names_the_view_and_the_lines_and_tells_no_value(
        self, stage: Stage, caplog: pytest.LogCaptureFixture
    ) -> None:
        lines: list[int] = []

        @stage.app.post("/orders/<int:number>")
        def order(number: int) -> ResponseReturnValue:
            session = stage.uow.session
            session.execute(select(Item).where(Item.name == "a secret"))
            lines.append(line_here() - 1)
            session.execute(insert(Item).values(name="another secret"))
            lines.append(line_here() - 1)
            return "ordered"

        with reports() as found:
            assert stage.client.post("/orders/4711").status_code == 200
        first, last = found
        assert first.filename == last.filename == __file__
        assert [first.lineno, last.lineno] == lines
        text = str(first.message)
        assert text.startswith(
            "The view 'order' (POST /orders/<int:number>) held a connection to the database 'default'"
        )
        assert f"from the statement at {__file__}:{lines[0]}, in " in text
        assert f"to the next statement, at {__file__}:{lines[1]}, in " in text
        assert "uow.session.release()" in text
        assert f"{__file__}:{lines[1]}" in str(last.message)
        assert "to its commit. " in str(last.message)
        assert str(first.message) in caplog.messages
        for message in caplog.messages:
            assert "secret" not in message
            assert "4711" not in message

    def test_tells_the_flush_that_ends_a_request_from_a_line_of_the_view(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.uow.session.execute(select(Item))
            stage.add("tea")
            return "added"

        with reports() as found:
            assert stage.client.post("/").status_code == 200
        assert "to the commit that ends it. " in str(found[0].message)

    def test_comes_with_a_rollback_too(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.uow.session.execute(select(Item))
            raise KeyError

        with reports() as found:
            assert stage.client.post("/").status_code == 500
        assert ["to its rollback. " in str(one.message) for one in found] == [True]

    def test_counts_from_a_statement_that_failed(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            with pytest.raises(DBAPIError):
                stage.uow.session.execute(text("SELECT nothing FROM nowhere"))
            return "failed", 400

        with reports() as found:
            assert stage.client.post("/").status_code == 400
        assert len(found) == 1

    def test_names_the_line_of_a_template(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            source = "\n\n{% for item in items() %}{% endfor %}"
            return render_template_string(source, items=stage.uow.session.query(Item).all)

        with reports() as found:
            assert stage.client.post("/").status_code == 200
        assert "from the statement at <template>:3, in " in str(found[0].message)

    def test_is_an_error_where_warnings_are_and_nothing_is_committed(self, stage: Stage) -> None:
        @stage.app.post("/<int:statements>")
        def view(statements: int) -> ResponseReturnValue:
            for number in range(statements):
                stage.uow.session.execute(insert(Item).values(name=f"item {number}"))
            return "done"

        with warnings.catch_warnings():
            warnings.simplefilter("error", HeldConnectionWarning)
            for statements in (1, 2):
                assert stage.client.post(f"/{statements}").status_code == 500
        assert stage.names() == []
        assert stage.checked_out() == 0

    @pytest.mark.parametrize("limit", [LONG, {"UNITOFWORK_HELD_CONNECTION_LIMIT": 0}, {}], ids=["long", "0", "none"])
    def test_is_not_made_of_what_is_short_or_not_watched(
        self, database_url: str, make_stage: MakeStage, limit: Any
    ) -> None:
        stage = make_stage(database_url, TESTING=bool(limit), **limit)

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.session.flush()
            return str(stage.uow.session.scalar(select(Item.name)))

        with reports() as found:
            assert stage.client.post("/").text == "tea"
        assert found == []


class TestWhoIsWatched:
    def test_never_a_reader(self, stage: Stage) -> None:
        held: list[int] = []

        @stage.app.get("/")
        def view() -> ResponseReturnValue:
            def body() -> Iterator[str]:
                for item in stage.uow.session.scalars(select(Item)):
                    yield item.name

            session = stage.uow.session
            for _ in range(3):
                session.scalars(select(Item)).all()
                held.append(stage.checked_out())
            session.get(Item, 1)
            return stream_with_context(body())

        with reports() as found:
            assert stage.client.get("/").status_code == 200
            with stage.uow.scope(stage.app, reads="autocommit") as session:
                session.scalars(select(Item)).all()
                session.scalars(select(Item)).all()
        # Where a database has no read mode, requests read in a transaction, and hold what they read with.
        assert bool(found) is any(held)

    def test_a_reader_that_begins_a_transaction(self, stage: Stage) -> None:
        @stage.app.get("/")
        def view() -> ResponseReturnValue:
            session = stage.uow.session
            session.execute(text("SELECT 1"))
            session.commit()
            return "read"

        with reports() as found:
            assert stage.client.get("/").status_code == 200
        assert len(found) == 1

    def test_a_scope_in_a_thread(self, stage: Stage) -> None:
        def work() -> None:
            with stage.uow.scope(stage.app) as session:
                session.execute(select(Item))

        with reports() as found, ThreadPoolExecutor(1, thread_name_prefix="mill") as threads:
            threads.submit(work).result()
        assert [str(one.message).startswith("A scope in the thread 'mill_0' held") for one in found] == [True]

    def test_a_command(self, stage: Stage) -> None:
        @stage.app.cli.command("tidy")
        def tidy() -> None:
            stage.uow.session.execute(select(Item))
            stage.uow.session.commit()
            click.echo("tidy")

        with reports() as found:
            assert stage.app.test_cli_runner().invoke(args=["tidy"]).exit_code == 0
        assert [str(one.message).startswith("The command 'tidy' held") for one in found] == [True]

    def test_nobody_at_a_keyboard_or_in_a_test(self, stage: Stage) -> None:
        with reports() as found, stage.app.app_context():
            stage.uow.session.execute(select(Item))
            stage.uow.session.execute(select(Item))
        assert found == []

    def test_nobody_between_the_units_of_an_isolated_test(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.uow.session.scalars(select(Item)).all()
            return "read"

        with isolated(stage.app):
            counts: list[int] = []
            for _ in range(2):
                with reports() as found:
                    assert stage.client.post("/").status_code == 200
                counts.append(len(found))
        assert counts == [counts[0]] * 2

    def test_nobody_who_uses_the_engine_itself(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            with stage.uow.engine.connect() as connection:
                connection.execute(select(Item.id))
                connection.execute(select(Item.id))
            return "read"

        with reports() as found:
            assert stage.client.post("/").status_code == 200
        assert found == []

    def test_from_the_first_request_after_an_app_is_told_that_it_is_tested(
        self, sqlite_url: str, make_stage: MakeStage
    ) -> None:
        stage = make_stage(sqlite_url)
        stage.app.post("/")(lambda: str(stage.uow.session.scalar(select(Item))))

        def is_watched() -> bool:
            stage.client.post("/")
            return bool(stage.engine.dispatch.after_cursor_execute)

        assert not is_watched()  # in production nobody pays for it
        stage.app.testing = True
        assert is_watched()


def test_who_still_holds_a_connection_is_told_by_the_others(
    database_url: str, make_stage: MakeStage, caplog: pytest.LogCaptureFixture
) -> None:
    small = {"pool_size": 2, "max_overflow": 0}
    stage = make_stage(database_url, UNITOFWORK_ENGINE_OPTIONS=small, UNITOFWORK_POOL_TIMEOUT=0.05, **ANY)
    holding, end = threading.Event(), threading.Event()

    @stage.app.post("/hold")
    def hold() -> ResponseReturnValue:
        stage.uow.session.scalars(select(Item)).all()
        holding.set()
        assert end.wait(PATIENCE_SECONDS)
        return "held"

    stage.app.get("/read")(lambda: str(stage.uow.session.scalars(select(Item)).all()))

    with served(stage.app, threads=2) as address, ThreadPoolExecutor(1) as clients:
        with Client(address) as holder, Client(address) as client, reports():
            held = clients.submit(holder.post, "/hold", None)
            assert holding.wait(PATIENCE_SECONDS)
            assert client.get("/read")[0] == 200
            told = [one for one in caplog.messages if "goes on" in one]
            with stage.engine.connect():
                assert client.get("/read")[0] == 503
            end.set()
            assert held.result()[0] == 200
    assert len(told) == 1  # nobody tells it of themselves
    assert told[0].startswith("The view 'hold' (POST /hold) has been holding a connection to the database 'default'")
    assert f"since the statement at {__file__}:" in told[0]
    assert any(
        one.startswith("Meanwhile a connection is held, and no SQL runs on it: The view 'hold'")
        for one in caplog.messages
    )
    assert logging.getLogger("flask_unitofwork").isEnabledFor(logging.WARNING)
