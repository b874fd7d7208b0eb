"""Running what may be run again a second time, to see that it does the same once more.

Note: how a rehearsal is done
    The first commit of work that may be run again (``attempts=…``) fails, as if the database had found that it could not
    be serialized. What follows is production's: the work is rolled back, and run again. At both commits it is noted what
    was written, which hooks wait, and what the view has answered.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from flask import Flask, has_request_context, request
from sqlalchemy import event, inspect, orm
from werkzeug.wrappers import Response

from ..database.statements import Effect
from ..session import Session, attachment_of
from ..transaction import Unit, Work
from ..web import own_unit_here, request_answered, unit_here
from ..web.context import current_context, peek_state
from .apps import app_in_question, state_of_app
from .driver_errors import KNOWN_DIALECTS
from .effects import Answer, Effects, differences
from .expectation import Expectation
from .fault import Fault, Moment
from .provocation import Provocation
from .statements import recorder_for

__all__ = ["Rehearsal", "rehearsed_retries"]


@dataclass(slots=True)
class _Piece:
    """A piece of work that is rehearsed.

    Attributes:
        name: what a message calls it.
        first: what its first run did.
        second: what its second did; None as long as that has not come to its commit.
    """

    name: str
    first: Effects
    second: Effects | None = None


@dataclass(slots=True)
class _Run:
    """A run in progress.

    Attributes:
        answer: what the view has answered.
        keys: those of its new rows, each with the rows.
        rows: how many new rows it has of each kind.
    """

    answer: Answer | None = None
    keys: dict[Hashable, set[str]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


class Rehearsal:
    """Lets everything that may be run again be run twice, and compares.

    Args:
        app: the app.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._state = state_of_app(app)
        self._recorder = recorder_for(app)
        self._provocation = Provocation(self._state, self._fault_now)
        self._noting = Lock()
        self._runs: dict[Work, _Run] = {}
        self._pieces: dict[int, _Piece] = {}
        self._ignored: set[str] = set()

    def ignore(self, *names: str) -> None:
        """Let columns, and what is in JSON, of these *names* differ, such as tokens that are made anew each time."""
        self._ignored.update(names)

    @property
    def rehearsed(self) -> list[str]:
        """What was run twice, such as ``["POST /orders"]``."""
        return [piece.name for piece in self._pieces.values()]

    def assert_same(self) -> None:
        """Fail if a second run differed from the first.

        Raises:
            AssertionError: with what differed.
        """
        __tracebackhide__ = True
        found = [problem for piece in self._pieces.values() for problem in self._problems(piece)]
        if found:
            raise AssertionError(
                "What may be run again does not do the same when it is, so a retry in production would do something"
                " else than was asked:" + "".join(f"\n\n{problem}" for problem in found)
            )

    def _problems(self, piece: _Piece) -> list[str]:
        if piece.second is None:
            return [f"{piece.name}: its second run did not come to its commit, as the first did."]
        return [f"{piece.name}: {one}" for one in differences(piece.first, piece.second, self._ignored)]

    @contextmanager
    def listening(self) -> Generator[None]:
        """Rehearse while the block is open."""
        request_answered.connect(self._answered, sender=self._app)
        event.listen(Session, "pending_to_persistent", self._row_made)
        try:
            with self._recorder, self._provocation.listening():
                yield
        finally:
            event.remove(Session, "pending_to_persistent", self._row_made)
            request_answered.disconnect(self._answered, sender=self._app)

    # -- what is noted -------------------------------------------------------------------------------------------

    def _answered(self, _app: Flask, *, unit: Unit, response: Response) -> None:
        work = self._recorder.work_here()
        if work is not None and unit is own_unit_here() and unit.attempts > 1:
            self._run(work).answer = Answer.of(response)

    def _row_made(self, session: orm.Session, row: object) -> None:
        attachment = attachment_of(session) if isinstance(session, Session) else None
        work = self._recorder.work_here()
        if work is None or attachment is None or attachment.router is not self._state.router:
            return
        run, kind = self._run(work), type(row).__name__
        run.rows[kind] = run.rows.get(kind, 0) + 1
        identity: tuple[Any, ...] = inspect(row, raiseerr=True).identity or ()
        for value in identity:
            if isinstance(value, Hashable):
                run.keys.setdefault(value, set()).add(f"{kind} {run.rows[kind]}")
                run.keys.setdefault(str(value), set()).add(f"{kind} {run.rows[kind]}")

    def _fault_now(self, moment: Moment, bind: str, _text: str | None) -> Fault | None:
        """A commit is about to be sent: let the first of work that may run again fail."""
        unit = unit_here(self._app)
        if moment != "commit" or unit is None or unit.attempts == 1:
            return None
        work = self._recorder.work_here()
        assert work is not None, "there is a unit"
        with self._noting:
            piece = self._pieces.get(work.unit)
            if piece is not None:
                if work.attempt > 1 and piece.second is None:
                    piece.second = self._effects(work, unit)
                return None
            if not _runs_again(unit) or not self._can_fail(bind):
                return None
            self._pieces[work.unit] = _Piece(_name_of(unit), self._effects(work, unit))
        return Fault(moment="commit", what="serialization_failure", times=1, bind=bind, containing=None, place=None)

    def _can_fail(self, bind: str) -> bool:
        return self._state.engines[bind].dialect.name in KNOWN_DIALECTS

    def _run(self, work: Work) -> _Run:
        return self._runs.setdefault(work, _Run())

    def _effects(self, work: Work, unit: Unit) -> Effects:
        run = self._run(work)
        sent = self._recorder.statements
        writes = [one for one in sent if one.work == work and one.effect >= Effect.MAINTENANCE]
        return Effects(writes, [hook.name for hook in unit.hooks.after_commit], run.answer, run.keys)


def rehearsed_retries(*, app: Flask | None = None) -> Expectation[Rehearsal]:
    """Run what may be run again twice, as long as the block is open, and compare what both runs did.

    Args:
        app: the app; by default the current one. The fixture ``rehearse_retries`` takes the fixture ``app``.

    Raises:
        AssertionError: at the end, a second run differed from its first.

    Example:
        ::

            with rehearsed_retries() as rehearsal:
                client.post("/transfers", json=transfer)
            assert rehearsal.rehearsed == ["POST /transfers"]
    """
    rehearsal = Rehearsal(app_in_question(app, "rehearsed_retries"))
    return Expectation(rehearsal.listening(), rehearsal, rehearsal.assert_same)


def _runs_again(unit: Unit) -> bool:
    """Whether a transient failure of *unit* now would have its work run again."""
    if unit.attempt >= unit.attempts or unit.has_committed:
        return False
    context = current_context()
    state = None if context is None else peek_state(context)
    repeatable = None if state is None or state.unit is not unit else state.repeatable
    return repeatable is None or repeatable.only_the_view_has_worked


def _name_of(unit: Unit) -> str:
    if has_request_context() and own_unit_here() is unit:
        return f"{request.method} {request.path}"
    return "A function that may run again"
