"""The block in which the databases of an app are as they were before it, when it ends."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.pool import Pool

from ...exceptions import IsolationError, NotInitializedError
from ...web import APP_STATE, AppState
from .connections import borrowed, connection_of
from .kept_sessions import sessions_watched
from .pools import check_driver, forget_pool, pool_like

__all__ = ["isolated", "isolated_again"]


@contextmanager
def isolated(app: Flask) -> Generator[None]:
    """Roll back, at the end of the block, whatever was written in it to the app's databases.

    Sessions, and whoever uses the app's engines, share a connection for each database meanwhile.

    Args:
        app: an app with a UnitOfWork.

    Raises:
        NotInitializedError: it has none.
        IsolationError: it is isolated already, or has a database whose driver cannot be shared. In the block: what is
            done could not be rolled back, or a session is of another test.

    Example:
        ::

            with isolated(app):
                app.test_client().post("/orders", json=order)
    """
    state: AppState | None = app.extensions.get(APP_STATE)
    if state is None:
        raise NotInitializedError(
            f"The app {app.import_name!r} has no UnitOfWork, so there is nothing to isolate. Write uow.init_app(app)."
        )
    if state.engines.has_other_pools:
        raise IsolationError(
            f"The app {app.import_name!r} is isolated already, and a test in a test would be rolled back with it. Leave"
            " the inner isolated(app) out: the pytest plugin isolates each test that uses the app. For a part of a test"
            " that is rolled back alone, write: with isolated_example(app): …"
        )
    for name, engine in state.engines.items():
        check_driver(name, engine)
    with ExitStack() as end:

        def pool_for(name: str, engine: Engine) -> Pool:
            pool = engine.pool
            shared, database = end.enter_context(borrowed(state.settings.databases[name], engine))
            return pool_like(pool, engine, shared, database)

        end.enter_context(state.engines.with_other_pools(pool_for, forget_pool))
        end.enter_context(sessions_watched(state.engines.values()))
        yield


@contextmanager
def isolated_again(app: Flask) -> Generator[None]:
    """Roll back, at the end of the block, what was written in it; what the test wrote before stays.

    Args:
        app: the app, isolated or not.

    Raises:
        NotInitializedError: it has no UnitOfWork.
    """
    state: AppState | None = app.extensions.get(APP_STATE)
    if state is None or not state.engines.has_other_pools:
        with isolated(app):
            yield
        return
    databases = state.settings.databases
    with ExitStack() as end:
        for shared in {connection_of(databases[name], engine) for name, engine in state.engines.items()}:
            end.callback(shared.end_part, shared.begin_part())
        end.enter_context(state.engines.for_a_while())
        yield
