"""An app behind HTTP, in a thread of the test's own process.

Note: why a thread
    A test that is rolled back has one connection to a database, and no second process can use it: it would see nothing of
    what the test has made, and what it commits would stay. A thread shares the connection as the test's own requests do.
"""

from __future__ import annotations

import socket
from threading import Thread
from types import TracebackType
from typing import Self

from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

__all__ = ["LiveServer"]


class LiveServer:
    """Serves an app over HTTP, each request in a thread: to browsers, and to other clients that need an address.

    What a test has made it sees, and the test sees what it commits. In a ``with`` block it is started, and stopped at the
    end. The fixture ``live_server`` is one, where pytest-flask is installed.

    Args:
        app: the app.
        host: where it listens.
        port: likewise; 0 for one that is free.

    Attributes:
        app: the app.
        host: where it listens.
        port: likewise, as soon as it is started.

    Example:
        ::

            with LiveServer(app) as server:
                browser.get(server.url("/products"))
    """

    def __init__(self, app: Flask, host: str = "localhost", port: int = 0) -> None:
        self.app = app
        self.host = host
        self.port = port
        self._server: BaseWSGIServer | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Listen from now on. A server that does so already goes on.

        Raises:
            OSError: the port is taken.
        """
        if self._server is not None:
            return
        # Werkzeug would end the process where the port is taken.
        with socket.create_server((self.host, self.port)) as listening:
            self.port = listening.getsockname()[1]
            self._server = make_server(self.host, self.port, self.app, threaded=True, fd=listening.fileno())
        self._thread = Thread(target=self._server.serve_forever, name=f"live server of {self.app.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no longer."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        if self._thread is not None:
            self._thread.join()
        server.server_close()

    def url(self, path: str = "") -> str:
        """The address of *path*, which begins with a slash."""
        return f"http://{self.host}:{self.port}{path}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<LiveServer of {self.app.name!r} at {self.url()}>"
