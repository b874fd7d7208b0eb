"""A wire between a program and a database server that can be cut where a test says.

It carries bytes and understands none of them, but for the one thing that a test waits for: a piece of text in what the
program sends, such as ``COMMIT``. Both databases send such text as it is written, and small messages in one piece.

=============================== ==================================================================================
what is cut, and how            what the two ends see
=============================== ==================================================================================
`Cut.BEFORE`                    the server never gets the text; both ends see the connection closed
`Cut.WITHIN`                    the server gets half of the message; both ends see the connection closed
`Cut.AFTER`                     the server gets the text and answers; the program sees the connection closed instead
`Cut.HALF_OPEN`                 the server never gets the text, nor that anybody has gone
=============================== ==================================================================================
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from sqlalchemy import URL, make_url

__all__ = ["Cut", "Wire"]

HOST: Final = "127.0.0.1"
PATIENCE_SECONDS: Final = 30


class Cut(Enum):
    """Where the wire is cut, seen from a text that the program sends."""

    BEFORE = auto()
    WITHIN = auto()
    AFTER = auto()
    HALF_OPEN = auto()


@dataclass
class _Plan:
    """What happens when the program next sends a text."""

    text: bytes
    skip: int
    cut: Cut | None = None
    then: Callable[[], object] | None = None


@dataclass
class _Line:
    """One connection of the program, and the one to the server that carries it."""

    program: socket.socket
    server: socket.socket
    answer_is_lost: threading.Event = field(default_factory=threading.Event)
    busy: threading.Lock = field(default_factory=threading.Lock)
    held: bytes = b""

    def hang_up(self, *, both: bool = True) -> None:
        for end in (self.program, self.server) if both else (self.program,):
            with suppress(OSError):  # the other end was faster
                end.shutdown(socket.SHUT_RDWR)


class Wire:
    """A wire to the server at *url*. Close it when the test is over.

    Attributes:
        url: where programs connect to it.
        server_url: where it leads.
    """

    def __init__(self, url: URL | str) -> None:
        self.server_url = make_url(url)
        self._plans: list[_Plan] = []
        self._lines: list[_Line] = []
        self._reachable = True
        self._lock = threading.Lock()
        self._listener = socket.create_server((HOST, 0))
        self.url = self.server_url.set(host=HOST, port=self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    # -- what tests say ------------------------------------------------------------------------------------------------

    def when_sent(
        self, text: str, cut: Cut | None = None, then: Callable[[], object] | None = None, *, skip: int = 0
    ) -> None:
        """When a program next sends *text*, make this cut, once.

        Args:
            text: "" for whatever it sends.
            cut: None to let it pass.
            then: done at that moment, before the cut is felt.
            skip: how often to let it pass before.
        """
        with self._lock:
            self._plans.append(_Plan(text.encode(), skip, cut, then))

    def refuse(self) -> None:
        """From now on nobody gets through to the server; what is connected stays connected."""
        self._reachable = False

    def allow(self) -> None:
        """From now on the server can be reached again."""
        self._reachable = True

    def cut_now(self) -> None:
        """Cut all that is connected; both ends see it."""
        for line in self._lines:
            line.hang_up()

    def deliver_held(self) -> None:
        """Let the server have what a half-open connection was about to carry."""
        for line in self._lines:
            if line.held:
                with suppress(OSError):  # the server has ended it
                    line.server.sendall(line.held)
                line.held = b""

    @property
    def all_happened(self) -> bool:
        """Whether nothing is still waited for."""
        return not self._plans

    def close(self) -> None:
        """Cut everything, and wait until the last thread is gone."""
        self._reachable = False
        # A listener that is merely closed does not wake the thread that accepts from it.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._join(self._threads[:1])  # from here on there are no new lines
        self.cut_now()
        self._join(self._threads[1:])
        for line in self._lines:
            line.program.close()
            line.server.close()

    @staticmethod
    def _join(threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive(), "a thread of the wire hangs"

    # -- carrying ------------------------------------------------------------------------------------------------------

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                program, _ = self._listener.accept()
            except OSError:
                return
            server = self._connection_to_server()
            if server is None:
                program.close()
                continue
            for end in (program, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = _Line(program, server)
            self._lines.append(line)
            self._start(self._carry_questions, line)
            self._start(self._carry_answers, line)

    def _connection_to_server(self) -> socket.socket | None:
        if not self._reachable:
            return None
        try:
            return socket.create_connection((self.server_url.host, self.server_url.port))
        except OSError:  # it is being restarted
            return None

    def _carry_questions(self, line: _Line) -> None:
        while data := _received(line.program):
            plan = self._plan_for(data)
            cut = None if plan is None else plan.cut
            if cut is Cut.AFTER:
                line.answer_is_lost.set()
            if plan is not None and plan.then is not None:
                # The program must not learn before its time of what is done to the server meanwhile.
                with line.busy:
                    plan.then()
            if cut is Cut.HALF_OPEN:
                line.held = data
                line.hang_up(both=False)
                return
            if cut is Cut.BEFORE:
                break
            with suppress(OSError):
                line.server.sendall(data[: len(data) // 2] if cut is Cut.WITHIN else data)
            if cut is Cut.WITHIN:
                break
        if not line.held:
            line.hang_up()

    def _carry_answers(self, line: _Line) -> None:
        while data := _received(line.server):
            if line.answer_is_lost.is_set():
                break
            with suppress(OSError):
                line.program.sendall(data)
        with line.busy:
            line.hang_up()

    def _plan_for(self, data: bytes) -> _Plan | None:
        with self._lock:
            for plan in self._plans:
                if plan.text not in data:
                    continue
                plan.skip -= 1
                if plan.skip < 0:
                    self._plans.remove(plan)
                    return plan
        return None


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(65536)
    except OSError:
        return b""
