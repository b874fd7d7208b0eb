"""Whether what a project's fixture gives is an app that the plugin can work with."""

from __future__ import annotations

from typing import TypeGuard

from flask import Flask, current_app, has_app_context

from ..exceptions import ConfigurationError, NotInitializedError, OutsideScopeError
from ..extension import UnitOfWork
from ..web import APP_STATE, EXTENSION, AppState

__all__ = ["app_in_question", "checked_app", "has_unit_of_work", "state_of_app", "unit_of_work"]


def has_unit_of_work(candidate: object) -> TypeGuard[Flask]:
    """Whether *candidate* is an app that was given to a UnitOfWork."""
    return isinstance(candidate, Flask) and APP_STATE in candidate.extensions


def checked_app(candidate: object) -> Flask:
    """*candidate*, which is an app with a UnitOfWork.

    Raises:
        ConfigurationError: it is no app.
        NotInitializedError: it has no UnitOfWork.
    """
    if not isinstance(candidate, Flask):
        raise ConfigurationError(
            f"The fixture `app` gave an object of type {type(candidate).__name__}, and not a Flask app."
            " Let it return the app itself, or write a fixture `uow_app` that does."
        )
    if not has_unit_of_work(candidate):
        raise NotInitializedError(
            f"The fixture `app` gave the app {candidate.import_name!r}, which has no UnitOfWork, so there are no databases"
            " to test with. Write uow.init_app(app) where the app is made."
        )
    return candidate


def app_in_question(app: Flask | None, asking: str) -> Flask:
    """*app*, or else the current one.

    Args:
        app: what the caller was given.
        asking: the caller's name, for messages.

    Raises:
        NotInitializedError: it has no UnitOfWork.
        OutsideScopeError: none was given, and there is no app context.
    """
    if app is None:
        if not has_app_context():
            raise OutsideScopeError(
                f"{asking}() cannot tell which app it is for: there is no app context here. Write {asking}(…, app=app);"
                f" or ask for the fixture {asking}, which knows the fixture `app`."
            )
        app = current_app._get_current_object()  # type: ignore[attr-defined]
    if not has_unit_of_work(app):
        raise NotInitializedError(
            f"{asking}() was given an app that has no UnitOfWork. Write uow.init_app(app) where the app is made."
        )
    return app


def unit_of_work(app: Flask) -> UnitOfWork:
    """The UnitOfWork of *app*."""
    uow: UnitOfWork = app.extensions[EXTENSION]
    return uow


def state_of_app(app: Flask) -> AppState:
    """What *app* was initialised with."""
    state: AppState = app.extensions[APP_STATE]
    return state
