"""A wire to a database server that is some way off: each message arrives a fixed time after it was sent.

Unlike a pause before each send, this does not hold up what follows: any number of messages are under way at once, as
on a real network. The wire has a process of its own, which does nothing else: it must not share an interpreter lock with
whoever is measured. Whether it kept up is what `DelayingWire.punctuality` tells.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final

from sqlalchemy import make_url

__all__ = ["DelayingWire", "Punctuality"]

HOST: Final = "127.0.0.1"
# Later than this counts as late. Linux wakes a sleeper up to 0.05 ms late anyway.
LATE_SECONDS: Final = 0.00025


@dataclass(frozen=True)
class Punctuality:
    """Whether the wire kept up.

    Attributes:
        messages: how many it has carried.
        late: how many of them arrived more than `LATE_SECONDS` late.
        mean_lateness: in seconds.
        busy: the share of its time that it has worked; near 1 it was the bottleneck.
    """

    messages: int = 0
    late: int = 0
    mean_lateness: float = 0.0
    busy: float = 0.0

    def __str__(self) -> str:
        share = self.late / self.messages if self.messages else 0
        return (
            f"the wire carried {self.messages} messages, on average {self.mean_lateness * 1000:.2f} ms late;"
            f" {share:.1%} came more than {LATE_SECONDS * 1000} ms late; it was busy {self.busy:.0%} of the time"
        )


class DelayingWire:
    """A wire to the server at *url*, *seconds* long in each direction. Close it.

    Attributes:
        url: where programs connect to it.
    """

    def __init__(self, url: str, seconds: float) -> None:
        server = make_url(url)
        spawn = get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_run, args=(server.host, server.port, seconds, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.url = server.set(host=HOST, port=self._pipe.recv()).render_as_string(hide_password=False)

    def punctuality(self) -> Punctuality:
        """How well it has kept up until now."""
        self._pipe.send("punctuality")
        kept: Punctuality = self._pipe.recv()
        return kept

    def close(self) -> None:
        """Hang up on everybody."""
        self._pipe.close()
        self._process.join()


def _run(host: str, port: int, seconds: float, pipe: Connection[Any, Any]) -> None:
    _Carrier((host, port), seconds, pipe).run()


class _Carrier:
    """The loop that carries. The delay is the same for all, so what was received first is due first."""

    def __init__(self, server: tuple[str, int], seconds: float, pipe: Connection[Any, Any]) -> None:
        self._server = server
        self._seconds = seconds
        self._pipe = pipe
        self._listener = socket.create_server((HOST, 0))
        # Not epoll: in Python it sleeps for whole milliseconds.
        self._selector = selectors.SelectSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(pipe, selectors.EVENT_READ, self._report)
        self._under_way: deque[tuple[float, socket.socket, bytes]] = deque()
        self._kept = Punctuality()
        self._lateness = 0.0
        self._messages = 0
        self._late = 0
        self._open = True
        self._begin = time.perf_counter()

    def run(self) -> None:
        self._pipe.send(self._listener.getsockname()[1])
        while self._open:
            due = max(0.0, self._under_way[0][0] - time.perf_counter()) if self._under_way else None
            for key, _ in self._selector.select(due):
                key.data(key.fileobj)
            self._deliver()

    def _report(self, _: object) -> None:
        try:
            self._pipe.recv()
        except EOFError:
            self._open = False
            return
        self._pipe.send(
            replace(
                self._kept,
                messages=self._messages,
                late=self._late,
                mean_lateness=self._lateness / max(1, self._messages),
                busy=time.process_time() / (time.perf_counter() - self._begin),
            )
        )

    def _accept(self, _: object) -> None:
        program, _address = self._listener.accept()
        server = socket.create_connection(self._server)
        for source, target in ((program, server), (server, program)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(source, selectors.EVENT_READ, self._receiver(target))

    def _receiver(self, target: socket.socket) -> Any:
        def receive(source: socket.socket) -> None:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            if not data:
                self._selector.unregister(source)
            self._under_way.append((time.perf_counter() + self._seconds, target, data))

        return receive

    def _deliver(self) -> None:
        while self._under_way and self._under_way[0][0] <= time.perf_counter():
            due, target, data = self._under_way.popleft()
            with suppress(OSError):  # it has hung up
                if data:
                    target.sendall(data)
                else:
                    target.shutdown(socket.SHUT_WR)
            late = time.perf_counter() - due
            self._messages += 1
            self._lateness += late
            self._late += late > LATE_SECONDS
