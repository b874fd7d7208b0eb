"""The fixtures that the pytest plugin registers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from flask import Flask

from ..web import APP_STATE
from .isolation import isolated

__all__ = ["REAL_COMMITS", "unitofwork_isolation"]

REAL_COMMITS: Final = "uow_real_commits"


@pytest.fixture(autouse=True)
def unitofwork_isolation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Roll back what a test wrote. For tests that use ``app``, or ``client``, which does.

    The marker ``uow_real_commits`` turns it off for a test, which then cleans up by itself.
    """
    app = None
    if "app" in request.fixturenames and request.node.get_closest_marker(REAL_COMMITS) is None:
        app = request.getfixturevalue("app")
    if isinstance(app, Flask) and APP_STATE in app.extensions:
        with isolated(app):
            yield
    else:
        yield
