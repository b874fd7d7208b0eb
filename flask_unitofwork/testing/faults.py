"""Databases that fail when a test wants them to."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

from flask import Flask

from ..exceptions import ConfigurationError
from ..transaction import place_here
from .apps import app_in_question, state_of_app
from .driver_errors import CHECKOUT_FAULTS, FAULTS, KNOWN_DIALECTS, CheckoutFault, FaultName
from .expectation import Expectation
from .fault import Fault, Moment
from .provocation import Provocation

__all__ = ["Faults", "provoked_faults"]


class Faults:
    """Makes the next commit, flush, statement or checkout of an app fail. Each fault happens once, or as often as asked.

    Args:
        app: whose databases fail.
    """

    def __init__(self, app: Flask) -> None:
        self._state = state_of_app(app)
        self._faults: list[Fault] = []
        self._taking = Lock()
        self._provocation = Provocation(self._state, self._take)

    def commit(self, what: FaultName | Exception, *, times: int = 1, bind: str | None = None) -> Fault:
        """Let the next commit fail.

        Args:
            what: the name of a database's error, or the exception itself, such as one of the driver's.
            times: how many commits in a row are to fail.
            bind: the database; by default whichever commits first.

        Raises:
            ConfigurationError: there is no such fault, or the database is not one whose errors are known by name.
            UnknownBindError: there is no such database.
        """
        return self._plan("commit", what, FAULTS, times, bind)

    def flush(self, what: FaultName | Exception, *, times: int = 1, bind: str | None = None) -> Fault:
        """Let the next flush fail, at the first statement that it sends. The arguments are those of :meth:`commit`."""
        return self._plan("flush", what, FAULTS, times, bind)

    def statement(
        self,
        what: FaultName | Exception,
        *,
        times: int = 1,
        bind: str | None = None,
        containing: str | None = None,
    ) -> Fault:
        """Let the next statement fail.

        Args:
            what: as in :meth:`commit`.
            times: as in :meth:`commit`.
            bind: as in :meth:`commit`.
            containing: a part of its text, as it is sent, such as ``"UPDATE account"``; by default any statement.
        """
        return self._plan("statement", what, FAULTS, times, bind, containing)

    def checkout(self, what: CheckoutFault | Exception, *, times: int = 1, bind: str | None = None) -> Fault:
        """Let the next attempt to get a connection fail. The arguments are those of :meth:`commit`."""
        return self._plan("checkout", what, CHECKOUT_FAULTS, times, bind)

    @property
    def unused(self) -> list[Fault]:
        """The faults that have not happened as often as they should."""
        return [fault for fault in self._faults if fault.happened < fault.times]

    def assert_used(self) -> None:
        """Fail if a fault has not happened: the test has not tested what it says.

        Raises:
            AssertionError: with the faults, and the lines that asked for them.
        """
        __tracebackhide__ = True
        if self.unused:
            raise AssertionError(
                "Faults were asked for that never happened, because nothing came to where they would have been met:"
                + "".join(f"\n- {fault}" for fault in self.unused)
            )

    def _plan(
        self,
        moment: Moment,
        what: str | Exception,
        names: tuple[str, ...],
        times: int,
        bind: str | None,
        containing: str | None = None,
    ) -> Fault:
        engines = self._state.engines
        concerned = list(engines.values()) if bind is None else [engines[bind]]
        if not isinstance(what, Exception) and what not in names:
            raise ConfigurationError(
                f"A {moment} cannot fail with {what!r}. Write one of {', '.join(map(repr, names))}, or give the exception"
                " itself."
            )
        unknown = {engine.dialect.name for engine in concerned} - KNOWN_DIALECTS
        if not isinstance(what, Exception) and unknown:
            raise ConfigurationError(
                f"The errors of {', '.join(sorted(unknown))} are not known by name. Give the exception itself: one of its"
                " driver's."
            )
        if times < 1:
            raise ConfigurationError(f"A fault happens at least once; times is {times!r}.")
        fault = Fault(moment=moment, what=what, times=times, bind=bind, containing=containing, place=place_here())
        self._faults.append(fault)
        return fault

    @contextmanager
    def listening(self) -> Generator[None]:
        """Provoke the faults while the block is open."""
        with self._provocation.listening():
            yield

    def _take(self, moment: Moment, bind: str, text: str | None) -> Fault | None:
        """The fault that happens now."""
        with self._taking:
            for fault in self._faults:
                if fault.is_due(moment, bind, text):
                    fault.happened += 1
                    return fault
        return None


def provoked_faults(*, app: Flask | None = None) -> Expectation[Faults]:
    """Let a block of code meet faults, which it asks for.

    Args:
        app: the app; by default the current one. The fixture ``uow_faults`` takes the fixture ``app``.

    Raises:
        AssertionError: at the end, a fault has not happened.

    Example:
        ::

            with provoked_faults() as faults:
                faults.commit("serialization_failure")
                assert client.post("/transfers", json=transfer).status_code == 201
    """
    faults = Faults(app_in_question(app, "provoked_faults"))
    return Expectation(faults.listening(), faults, faults.assert_used)
