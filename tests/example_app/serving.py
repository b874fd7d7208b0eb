"""The shop behind a real WSGI server with a thread for each connection."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

__all__ = ["Address", "in_threads", "served"]

Address = tuple[str, int]


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Say nothing: the test says what went wrong."""


@contextmanager
def served(shop: Flask) -> Generator[Address]:
    """Serve *shop* on a free port of the loopback, as long as the block lasts."""
    server = make_server("127.0.0.1", 0, shop, threaded=True, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever, name="shop")
    thread.start()
    try:
        yield "127.0.0.1", server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def in_threads(address: Address, bodies: list[Any], headers: Mapping[str, str] | None = None) -> list[tuple[int, Any]]:
    """Place an order for each of *bodies* at the same moment, each in a thread of its own: statuses and answers."""
    answers: list[tuple[int, Any]] = []
    barrier = threading.Barrier(len(bodies))

    def order(body: Any) -> None:
        with closing(HTTPConnection(*address, timeout=60)) as connection:
            connection.connect()
            barrier.wait(30)
            content = {"Content-Type": "application/json", **(headers or {})}
            connection.request("POST", "/api/orders", json.dumps(body), content)
            response = connection.getresponse()
            answers.append((response.status, json.loads(response.read())))

    threads = [threading.Thread(target=order, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
