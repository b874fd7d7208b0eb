"""The fixture ``live_server`` in the place of pytest-flask's, whose server is a process that knows nothing of the test.

It is a plugin of its own, registered where pytest-flask is, and after it: of plugins' fixtures of one name, the later counts.
A project's own fixture of that name counts more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from flask import Flask

from .apps import has_unit_of_work
from .live_server import LiveServer

__all__ = ["PYTEST_FLASK", "live_server"]

PYTEST_FLASK: Final = "flask"
"""What pytest calls the plugin pytest-flask."""


# As wide as pytest-flask's own.
def _scope(fixture_name: str, config: pytest.Config) -> Any:
    del fixture_name
    return config.getini("live_server_scope")


@pytest.fixture(scope=_scope)
def live_server(request: pytest.FixtureRequest, app: Flask, pytestconfig: pytest.Config) -> Iterator[Any]:
    """The app behind HTTP, with the options of pytest-flask: a LiveServer, which sees what the test has made.

    An app that has no UnitOfWork is served by pytest-flask.
    """
    if not has_unit_of_work(app):
        yield request.getfixturevalue("live_server")
        return
    options: Any = pytestconfig.option
    server = LiveServer(app, options.live_server_host, app.config.get("LIVESERVER_PORT") or options.live_server_port)
    name: str | None = app.config["SERVER_NAME"]
    try:
        if options.start_live_server:
            server.start()
        # So that url_for() tells where it listens.
        app.config["SERVER_NAME"] = f"{(name or server.host).partition(':')[0]}:{server.port}"
        yield server
    finally:
        app.config["SERVER_NAME"] = name
        server.stop()
