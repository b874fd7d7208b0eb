"""A wire to a database server that counts round trips: how often the program waited for an answer."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Final

from sqlalchemy import URL, make_url

__all__ = ["CountingWire"]

HOST: Final = "127.0.0.1"


class CountingWire:
    """A wire to the server at *url*. Close it when the test is over.

    A round trip is a turn of the conversation: something that the program sends after it has been answered.

    Attributes:
        url: where programs connect to it.
        sent: what they sent in each round trip, since `forget`.
    """

    def __init__(self, url: URL | str) -> None:
        self._server = make_url(url)
        self._listener = socket.create_server((HOST, 0))
        self.url = self._server.set(host=HOST, port=self._listener.getsockname()[1])
        self.sent: list[bytes] = []
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def forget(self) -> None:
        """Count from zero."""
        with self._lock:
            self.sent.clear()

    @property
    def round_trips(self) -> int:
        """How many there were since `forget`."""
        return len(self.sent)

    def close(self) -> None:
        """Hang up."""
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                program, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((self._server.host or HOST, self._server.port or 0))
            self._sockets += [program, server]
            answered = threading.Event()
            answered.set()
            for carry in (self._carry_out, self._carry_back):
                thread = threading.Thread(target=carry, args=(program, server, answered))
                self._threads.append(thread)
                thread.start()

    def _carry_out(self, program: socket.socket, server: socket.socket, answered: threading.Event) -> None:
        with suppress(OSError):
            while data := program.recv(65536):
                with self._lock:
                    if answered.is_set():
                        self.sent.append(data)
                        answered.clear()
                    else:
                        self.sent[-1:] = [self.sent[-1] + data] if self.sent else [data]
                server.sendall(data)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _carry_back(self, program: socket.socket, server: socket.socket, answered: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                answered.set()
                program.sendall(data)
        with suppress(OSError):
            program.shutdown(socket.SHUT_WR)
