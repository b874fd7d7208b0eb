"""The one private name of Flask's that the web layer uses."""

from __future__ import annotations

from contextvars import ContextVar

from flask import Flask
from flask.globals import app_ctx

from flask_unitofwork.web.context import app_context_variable, current_context


def test_flask_keeps_its_app_context_in_the_variable_that_we_read() -> None:
    variable = app_context_variable()
    assert isinstance(variable, ContextVar)
    assert current_context() is None
    with Flask("shop").app_context() as context:
        assert variable.get() is current_context() is context
        assert app_ctx._get_current_object() is context  # type: ignore[attr-defined]
    assert current_context() is None
