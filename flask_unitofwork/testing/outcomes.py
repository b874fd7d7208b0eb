"""What became of the last request's unit of work."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from flask import Flask, request, request_started, request_tearing_down
from flask.ctx import AppContext

from ..transaction import State, Unit, unit_committed, unit_rolled_back
from ..web import own_unit_here
from ..web.context import current_context

__all__ = ["Ending", "Outcomes", "watched_outcomes"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a transaction ended.

    Attributes:
        state: committed, rolled back, or unknown.
        attempt: which run of the work it was, from 1.
        reason: why it was rolled back, in words.
    """

    state: State
    attempt: int
    reason: str | None = None

    def __str__(self) -> str:
        attempt = f" (attempt {self.attempt})" if self.attempt > 1 else ""
        return f"{self.state.value}{attempt}{'' if self.reason is None else f': {self.reason}'}"


@dataclass(slots=True)
class _Work:
    """A request, or the work of a scope outside of any.

    Attributes:
        name: what a message calls it.
        endings: how its transactions ended, first first.
    """

    name: str
    endings: list[Ending] = field(default_factory=list)


class Outcomes:
    """Knows what became of the app's last request; or of its last unit, where there was no request.

    A request counts with its own unit. Units inside of it, such as those of hooks and ``independent_transaction()``, are
    not what its outcome is about.
    """

    def __init__(self) -> None:
        self._requests: WeakKeyDictionary[AppContext, _Work] = WeakKeyDictionary()
        self._last_request: _Work | None = None
        self._last_other: _Work | None = None

    @property
    def endings(self) -> list[Ending]:
        """How the transactions of the last request ended; more than one where it was run again or commits by hand."""
        last = self._last_request or self._last_other
        return [] if last is None else last.endings

    def assert_committed(self) -> None:
        """Fail unless the last request was committed.

        Raises:
            AssertionError: it was not. The message says what became of it, and why.
        """
        __tracebackhide__ = True
        self._expect(State.COMMITTED)

    def assert_rolled_back(self) -> None:
        """Fail unless the last request was rolled back.

        Raises:
            AssertionError: it was not. The message says what became of it.
        """
        __tracebackhide__ = True
        self._expect(State.ROLLED_BACK)

    def _expect(self, state: State) -> None:
        __tracebackhide__ = True
        last = self._last_request or self._last_other
        if last is None:
            raise AssertionError(
                f"Nothing was {state.value}: the test has made no request to the app, and has ended no unit of work."
            )
        if not last.endings:
            raise AssertionError(
                f"{last.name} was not {state.value}: it has begun no transaction. A request that only reads in read mode"
                " begins none."
            )
        if last.endings[-1].state is not state:
            raise AssertionError(f"{last.name} was not {state.value}. {_told(last.endings)}")

    # -- what signals say ----------------------------------------------------------------------------------------

    def request_begun(self, _app: Flask, **_: object) -> None:
        context = current_context()
        if context is not None:
            self._last_request = self._requests[context] = _Work(f"{request.method} {request.path}")

    def request_ended(self, _app: Flask, **_: object) -> None:
        """Of what is unknown, no signal tells."""
        unit, context = own_unit_here(), current_context()
        work = None if context is None else self._requests.get(context)
        if unit is not None and unit.state is State.UNKNOWN and work is not None:
            work.endings.append(Ending(State.UNKNOWN, unit.attempt, "the answer to its COMMIT was lost"))

    def unit_ended(self, _app: Flask, *, unit: Unit, **_: Any) -> None:
        context = current_context()
        work = None if context is None else self._requests.get(context)
        if work is None and unit.outer is None:
            work = self._last_other = _Work("The last unit of work")
        elif work is not None and own_unit_here() is not unit:
            return
        if work is not None:
            state = State.ROLLED_BACK if unit.state is not State.COMMITTED else State.COMMITTED
            work.endings.append(Ending(state, unit.attempt, unit.reason))


@contextmanager
def watched_outcomes(app: Flask) -> Generator[Outcomes]:
    """From now on, until the block ends, know what becomes of *app*'s requests."""
    outcomes = Outcomes()
    connections = [
        (request_started, outcomes.request_begun),
        (request_tearing_down, outcomes.request_ended),
        (unit_committed, outcomes.unit_ended),
        (unit_rolled_back, outcomes.unit_ended),
    ]
    for signal, receiver in connections:
        signal.connect(receiver, sender=app)
    try:
        yield outcomes
    finally:
        for signal, receiver in connections:
            signal.disconnect(receiver, sender=app)


def _told(endings: list[Ending]) -> str:
    if len(endings) == 1:
        return f"It was {endings[0]}."
    return "Its transactions ended like this:" + "".join(f"\n{n}. {one}" for n, one in enumerate(endings, 1))
