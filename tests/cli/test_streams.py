"""What ``flask uow routes`` says of views that stream."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from functools import partial
from typing import Any

import flask
import pytest
from flask import Flask, Response, stream_template, stream_with_context
from flask.typing import ResponseReturnValue

from tests.cli.table import app_with, row_of, uow


def plain() -> str:
    return "done"


def generator() -> Iterator[str]:
    yield "streamed"


def with_a_generator_inside() -> Response:
    def rows() -> Iterator[str]:
        yield "streamed"

    return Response(rows())


def with_context() -> ResponseReturnValue:
    return stream_with_context(iter(["streamed"])), 200


def with_a_template() -> ResponseReturnValue:
    return stream_template("page.html"), 200


def with_a_file() -> Response:
    return flask.send_file(io.BytesIO(b"streamed"), mimetype="text/plain")


def with_a_sum() -> str:
    return str(sum(number for number in range(3)))


class TestStreaming:
    @pytest.mark.parametrize(
        ("function", "streams"),
        [
            (plain, "no"),
            (with_a_sum, "no"),
            (generator, "yes"),
            (with_a_generator_inside, "yes"),
            (with_context, "yes"),
            (with_a_template, "yes"),
            (with_a_file, "yes"),
        ],
    )
    def test_is_told_from_the_code_of_a_view(self, function: Any, streams: str) -> None:
        server = app_with()
        server.add_url_rule("/", "view", function)

        assert row_of(server)["Streaming"] == streams

    def test_is_told_through_decorators_and_partials(self) -> None:
        def logged(function: Any) -> Any:
            @functools.wraps(function)
            def call(*args: Any) -> Any:
                return function(*args)

            return call

        server = app_with()
        server.add_url_rule("/", "view", partial(logged(uow.transaction()(with_context))))

        assert row_of(server)["Streaming"] == "yes"

    def test_is_told_of_a_view_in_a_factory_which_imports_what_it_needs(self) -> None:
        def make_app() -> Flask:
            from flask import send_from_directory

            server = app_with()

            @server.get("/")
            def view() -> Response:
                return send_from_directory("/", "file")

            return server

        assert row_of(make_app())["Streaming"] == "yes"

    @pytest.mark.parametrize(
        "function", [plain, with_a_sum, generator, with_a_generator_inside, with_context, with_a_file]
    )
    def test_is_what_the_response_of_such_a_view_does(self, function: Any) -> None:
        server = app_with()
        server.add_url_rule("/", "view", function)
        streamed: list[bool] = []

        @server.after_request
        def look(response: Response) -> Response:
            streamed.append(response.is_streamed)
            return response

        with server.test_client().get("/"):
            assert row_of(server)["Streaming"] == ("yes" if streamed == [True] else "no")
