"""The shop behind a web server.

Note: why waitress
    Flask's development server starts a thread for every connection, also for those on which browsers say nothing, and
    at the end it drops requests in their midst. Waitress has as many threads as it is told, lets them finish, is pure
    Python and runs on every system.
"""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable
from threading import Event
from typing import Any, Final

from flask import Flask
from waitress import wasyncore
from waitress.server import create_server

__all__ = ["FIRST_PORT", "listen", "serve_until_told"]

FIRST_PORT: Final = 5000
_LAST_PORT: Final = 65535
_THREADS: Final = 8
_LOOK_UP_SECONDS: Final = 0.25


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address: to have it is the only sure way to know that the port is free.

    Raises:
        OSError: the port is taken, or cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OverflowError:
        raise OSError(f"a port is a number from 0 to {_LAST_PORT}, not {port}.") from None
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        another = port + 1 if port < _LAST_PORT else FIRST_PORT
        raise OSError(
            f"port {port} of {host} is taken by another program. Choose another one:"
            f" make run PORT={another}, or python -m example_app --port {another}"
        ) from None


def serve_until_told(app: Flask, listener: socket.socket, opened: Callable[[], object]) -> None:
    """Serve *app* until Ctrl-C or SIGTERM; then let the requests in progress finish, and close everything.

    *opened* is called when the server can be used, and can be told to end: whoever hears of it may do either at once.
    """
    told = Event()

    # It takes note and raises nothing: an exception would strike in the midst of whatever the server is doing.
    def tell(number: int, frame: object) -> None:  # noqa: ARG001 - what signal handlers are given
        told.set()

    signal.signal(signal.SIGINT, tell)
    signal.signal(signal.SIGTERM, tell)
    sockets: dict[int, Any] = {}  # the server's, by file number
    server = create_server(app, map=sockets, sockets=[listener], threads=_THREADS, ident=None)
    try:
        opened()
        while not told.is_set():
            wasyncore.loop(_LOOK_UP_SECONDS, map=sockets, count=1)
    finally:
        server.task_dispatcher.shutdown()
        wasyncore.close_all(sockets)
