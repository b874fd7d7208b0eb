"""Errors in the API's form: problem details, RFC 9457."""

from __future__ import annotations

from typing import Any

from flask import Response, json

__all__ = ["problem"]


def problem(status: int, title: str, detail: str, **more: Any) -> Response:
    """An error response.

    Args:
        status: the HTTP status.
        title: the kind of problem, the same at each occurrence.
        detail: this occurrence, for people.
        more: this occurrence, for programs.
    """
    body = {"status": status, "title": title, "detail": detail, **more}
    return Response(json.dumps(body), status, mimetype="application/problem+json")
