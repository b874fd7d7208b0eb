"""Apps behind a real threaded WSGI server, and clients that keep their connection."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any, Self

from flask import Flask
from waitress import wasyncore
from waitress.server import BaseWSGIServer, create_server

__all__ = ["Address", "Client", "served"]

Address = tuple[str, int]


@contextmanager
def served(app: Flask, *, threads: int) -> Generator[Address]:
    """Serve *app* on a free port of the loopback as long as the block lasts, *threads* requests at once."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=threads)
    sockets: dict[int, Any] = {}  # the server's own, by file number
    server = create_server(app, map=sockets, sockets=[listener], threads=threads, ident=None)
    assert isinstance(server, BaseWSGIServer)  # one socket, one server
    told_to_end = threading.Event()

    def serve() -> None:
        while not told_to_end.is_set():
            wasyncore.loop(30, map=sockets, count=1)

    loop = threading.Thread(target=serve, name="server")
    loop.start()
    try:
        yield listener.getsockname()
    finally:
        told_to_end.set()
        server.pull_trigger()
        loop.join()
        server.task_dispatcher.shutdown()
        wasyncore.close_all(sockets)


class Client:
    """Sends one request after the other on one connection, which a ``with`` statement closes."""

    def __init__(self, address: Address) -> None:
        self._connection = HTTPConnection(*address, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str) -> tuple[int, str]:
        """GET *path*: the status and the body."""
        return self._send("GET", path, None, {})

    def post(self, path: str, value: object) -> tuple[int, str]:
        """POST *value* as JSON to *path*: the status and the body."""
        return self._send("POST", path, json.dumps(value), {"Content-Type": "application/json"})

    def _send(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, str]:
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read().decode()
