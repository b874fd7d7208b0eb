"""The icon that browsers ask for on their own beside a document that names none, such as the API's."""

from __future__ import annotations

from flask import Response, current_app

from .blueprint import pages

__all__: list[str] = []


@pages.get("/favicon.ico")
def show_icon() -> Response:
    return current_app.send_static_file("icon.svg")
