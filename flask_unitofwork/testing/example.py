"""Many examples in one test, as Hypothesis runs them: each is rolled back by itself."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from flask import Flask

from ..session import Session
from .apps import checked_app
from .isolation import isolated_again
from .own_session import session_for_test

__all__ = ["isolated_example"]


@contextmanager
def isolated_example(app: Flask) -> Generator[Session]:
    """Roll back, at the end of the block, what was written in it; what the test wrote before stays.

    Args:
        app: the app, in a test that is isolated or anywhere else.

    Returns:
        a session of the example's own.

    Raises:
        NotInitializedError: the app has no UnitOfWork.

    Example:
        ::

            @given(name=text(min_size=1))
            def test_any_name_is_kept(app, name):
                with isolated_example(app) as session:
                    app.test_client().post("/products", json={"name": name})
                    assert session.scalars(select(Product.name)).all() == [name]
    """
    with isolated_again(checked_app(app)), session_for_test(app) as session:
        yield session
