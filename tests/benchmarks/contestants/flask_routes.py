"""The routes of the contestants that run on Flask."""

from __future__ import annotations

from typing import Any

from flask import Flask, request

from tests.benchmarks.elsewhere import elsewhere

from .views import AuthorAnswer, Row, Views

__all__ = ["add_routes"]


def add_routes(app: Flask, views: Views) -> None:
    @app.get("/hello")
    def hello() -> dict[str, str]:
        return {"message": "Hello, World!"}

    @app.get("/row")
    def row() -> Row:
        return views.row(_integer("key"))

    @app.get("/rows")
    def rows() -> list[Row]:
        return views.rows(_keys())

    @app.get("/page")
    def page() -> list[Row]:
        return views.page(_integer("above"))

    @app.get("/authors")
    def authors() -> list[AuthorAnswer]:
        return views.authors(_integer("above"))

    @app.post("/create")
    def create() -> tuple[dict[str, Any], int]:
        return {"text": views.create(request.args["text"])}, 201

    @app.post("/created")
    def created() -> tuple[dict[str, Any], int]:
        return {"id": views.created(request.args["text"])}, 201

    @app.post("/updates")
    def updates() -> list[Row]:
        return views.updates(_keys())

    @app.get("/wait")
    def wait() -> Row:
        found = views.row(_integer("key"))
        elsewhere.wait()
        return found


def _integer(name: str) -> int:
    return int(request.args[name])


def _keys() -> list[int]:
    return [int(key) for key in request.args["keys"].split(",")]
