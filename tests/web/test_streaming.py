"""Streams: committed before the first byte, readers from then on, closed even when their client goes away."""

from __future__ import annotations

import gc
import io
import socket
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from flask import g, send_file, stream_template_string, stream_with_context
from flask.typing import ResponseReturnValue
from sqlalchemy import insert, select, text
from sqlalchemy.orm import defer, object_session
from werkzeug.serving import make_server
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_unitofwork import AbandonedStreamWarning, OutsideScopeError, ReadOnlyError
from tests.stage import Item, MakeStage, Stage


class TestACommit:
    def test_comes_before_the_first_byte_of_a_stream_in_context(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")

            def body() -> Iterator[str]:
                yield ",".join(stage.names())

            return stream_with_context(body())

        assert stage.client.post("/").text == "tea"

    def test_comes_before_the_first_byte_of_a_plain_generator(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")

            def body() -> Iterator[str]:
                yield ",".join(stage.names())

            return body()

        assert stage.client.post("/").text == "tea"

    def test_comes_before_a_file_is_sent(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            return send_file(io.BytesIO(b"receipt"), download_name="receipt.txt")

        with stage.client.post("/") as response:
            assert response.data == b"receipt"
        assert stage.names() == ["tea"]
        assert stage.checked_out() == 0

    def test_that_fails_never_sends_the_stream(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            stage.add("tea")
            return stream_with_context(iter(["sold"]))

        response = stage.client.post("/")
        assert response.status_code == 500
        assert "sold" not in response.get_data(as_text=True)
        assert stage.names() == []


class TestAStream:
    def test_reads_the_database_and_gives_its_connection_back(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            stage.add("coffee")

            def body() -> Iterator[str]:
                for name in stage.uow.session.scalars(select(Item.name).order_by(Item.id)):
                    yield f"{name};"

            return stream_with_context(body())

        with stage.client.post("/") as response:
            assert response.get_data(as_text=True) == "tea;coffee;"
        assert stage.checked_out() == 0

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize("reads", ["autocommit", "transaction"])
    def test_reads_as_the_app_s_requests_do(
        self, database_url: str, make_stage: MakeStage, reads: str, method: str
    ) -> None:
        stage = make_stage(database_url, UNITOFWORK_READS=reads)
        held: list[int] = []

        @stage.app.route("/", methods=["GET", "POST"])
        def view() -> ResponseReturnValue:
            stage.uow.session.scalars(select(Item)).all()

            def body() -> Iterator[str]:
                for part in ("one", "two"):
                    stage.uow.session.scalars(select(Item)).all()
                    held.append(stage.checked_out())
                    yield part

            return stream_with_context(body())

        with stage.client.open("/", method=method) as response:
            assert response.get_data(as_text=True) == "onetwo"
        assert held == ([0, 0] if reads == "autocommit" else [1, 1])
        assert stage.checked_out() == 0

    @pytest.mark.parametrize("reads", ["autocommit", "transaction"])
    def test_that_reads_in_a_transaction_may_not_write_either(
        self, database_url: str, make_stage: MakeStage, reads: str
    ) -> None:
        stage = make_stage(database_url, UNITOFWORK_READS=reads)

        @stage.app.get("/")
        def view() -> ResponseReturnValue:
            def body() -> Iterator[str]:
                stage.uow.session.scalars(select(Item)).all()
                with pytest.raises(ReadOnlyError):
                    stage.uow.session.execute(insert(Item).values(name="coffee"))
                yield "refused"

            return stream_with_context(body())

        assert stage.client.get("/").text == "refused"
        assert stage.names() == []

    def test_shows_objects_that_the_view_loaded(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            item = Item(name="tea")
            stage.uow.session.add(item)
            return stream_template_string("{{ item.name }} ({{ item.id }})", item=item)

        assert stage.client.post("/").text == "tea (1)"

    @pytest.mark.parametrize("reads", ["autocommit", "transaction"])
    @pytest.mark.parametrize("commit", ["success", "explicit"])
    @pytest.mark.parametrize("in_context", [True, False], ids=["in context", "plain"])
    def test_loads_more_through_objects_of_the_view(
        self, database_url: str, make_stage: MakeStage, reads: str, commit: str, in_context: bool
    ) -> None:
        stage = make_stage(database_url, UNITOFWORK_READS=reads, UNITOFWORK_COMMIT=commit)
        with stage.uow.scope(stage.app) as session:
            session.add(Item(name="tea"))
        kept: list[Any] = []

        @stage.app.route("/", methods=["GET", "POST"])
        def view() -> ResponseReturnValue:
            item = stage.uow.session.scalars(select(Item).options(defer(Item.name))).one()
            kept.append(stage.uow.session)

            def body() -> Iterator[str]:
                assert "name" not in item.__dict__
                yield item.name
                yield f" {object_session(item) is kept[-1]}"

            return stream_with_context(body()) if in_context else body()

        for method in ("GET", "POST"):
            with stage.client.open("/", method=method) as response:
                assert response.get_data(as_text=True) == "tea True"
            assert stage.checked_out() == 0
            assert not list(kept[-1].identity_map)  # closed with the stream

    def test_of_a_request_that_left_work_behind_does_not_see_it(self, database_url: str, make_stage: MakeStage) -> None:
        stage = make_stage(database_url, UNITOFWORK_COMMIT="explicit")

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")
            stage.uow.session.flush()

            def body() -> Iterator[str]:
                yield ",".join(stage.uow.session.scalars(select(Item.name))) or "nothing"

            return stream_with_context(body())

        assert stage.client.post("/").text == "nothing"
        assert stage.names() == []
        assert stage.checked_out() == 0

    def test_whose_client_has_gone_before_its_first_byte_leaves_nothing(self, stage: Stage) -> None:
        kept: list[Any] = []

        @stage.app.get("/")
        def view() -> ResponseReturnValue:
            stage.uow.session.scalars(select(Item)).all()
            kept.append(stage.uow.current)
            return stream_with_context(iter(["never"]))

        iterator, _, _ = run_wsgi_app(stage.app, EnvironBuilder("/").get_environ())
        iterator.close()  # type: ignore[attr-defined]
        assert stage.checked_out() == 0
        with pytest.raises(OutsideScopeError):
            stage.uow.current  # noqa: B018
        assert kept[0].is_idle

    @pytest.mark.parametrize("preserved", [False, True])
    @pytest.mark.parametrize("how", ["flush", "core", "text", "connection"])
    def test_that_writes_raises(self, stage: Stage, how: str, preserved: bool) -> None:
        seen: list[BaseException] = []

        def write() -> None:
            session = stage.uow.session
            if how == "flush":
                session.add(Item(name="coffee"))
                session.flush()
            elif how == "core":
                session.execute(insert(Item).values(name="coffee"))
            elif how == "text":
                session.execute(text("INSERT INTO item (name) VALUES ('coffee')"))
            else:
                session.connection().execute(insert(Item).values(name="coffee"))

        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            stage.add("tea")

            def body() -> Iterator[str]:
                try:
                    write()
                except ReadOnlyError as error:
                    seen.append(error)
                    yield "refused"

            return stream_with_context(body())

        client = stage.client
        if preserved:
            with client, client.post("/") as response:
                assert response.get_data(as_text=True) == "refused"
        else:
            with client.post("/") as response:
                assert response.get_data(as_text=True) == "refused"
        assert "scope()" in str(seen[0])
        assert stage.names() == ["tea"]
        assert stage.checked_out() == 0

    def test_writes_in_a_scope_of_its_own(self, stage: Stage) -> None:
        @stage.app.post("/")
        def view() -> ResponseReturnValue:
            def body() -> Iterator[str]:
                with stage.uow.scope() as session:
                    session.add(Item(name="coffee"))
                yield "noted"

            return stream_with_context(body())

        assert stage.client.post("/").text == "noted"
        assert stage.names() == ["coffee"]
        assert stage.checked_out() == 0


def request_in_this_thread(stage: Stage, path: str) -> Any:
    """Call the app as a WSGI server does that never calls close(); its iterator, and what was sent."""
    iterator, status, _ = run_wsgi_app(stage.app, EnvironBuilder(path).get_environ())
    return iter(iterator), status


class TestAnAbandonedStream:
    @pytest.fixture
    def streaming(self, make_stage: MakeStage, sqlite_url: str) -> Stage:
        stage = make_stage(sqlite_url)

        @stage.app.get("/stream")
        def stream() -> ResponseReturnValue:
            def body() -> Iterator[str]:
                for number in range(1000):
                    stage.uow.session.scalars(select(Item)).all()
                    yield f"{number:0100000}\n"

            return stream_with_context(body())

        @stage.app.get("/plain")
        def plain() -> ResponseReturnValue:
            g.setdefault("requests", []).append("one")
            stage.uow.session.scalars(select(Item)).all()
            return str(len(g.requests))

        return stage

    def test_is_closed_when_the_next_request_starts_on_its_thread(self, streaming: Stage) -> None:
        iterator, _ = request_in_this_thread(streaming, "/stream")
        next(iterator)
        with pytest.warns(AbandonedStreamWarning, match="never closed it"):
            assert streaming.client.get("/plain").text == "1"
        assert streaming.checked_out() == 0
        # The thread is as it was: the next request makes and tears down a context of its own.
        assert streaming.client.get("/plain").text == "1"
        assert streaming.checked_out() == 0

    def test_that_is_still_running_is_left_alone(self, sqlite_stage: Stage) -> None:
        stage = sqlite_stage
        stage.app.get("/plain")(lambda: "plain")

        @stage.app.get("/stream")
        def stream() -> ResponseReturnValue:
            def body() -> Iterator[str]:
                yield "one,"
                yield stage.client.get("/plain").text

            return stream_with_context(body())

        with stage.client.get("/stream") as response:
            assert response.get_data(as_text=True) == "one,plain"

    def test_that_python_has_already_dropped_needs_no_closing(self, streaming: Stage) -> None:
        iterator, _ = request_in_this_thread(streaming, "/stream")
        next(iterator)
        del iterator
        gc.collect()
        assert streaming.client.get("/plain").text == "1"
        assert streaming.checked_out() == 0

    def test_leaves_no_connection_behind_when_a_thousand_clients_hang_up(self, streaming: Stage) -> None:
        server = make_server("127.0.0.1", 0, streaming.app, threaded=True)
        # The server's own log of broken pipes is not what this is about.
        server.log = lambda *args: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with warnings.catch_warnings(record=True):
                for _ in range(1000):
                    with socket.create_connection(("127.0.0.1", server.port)) as client:
                        client.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        assert client.recv(1024)
                        # Send a reset rather than a polite goodbye.
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()  # waits for the threads that serve requests
        assert streaming.checked_out() == 0
        assert streaming.client.get("/plain").text == "1"
