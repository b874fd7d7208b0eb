"""Commit on success, in plain Python: the table of section 6 of the design."""

from __future__ import annotations

from tests.transaction.model import Model
from tests.transaction.model_unit import Unit
from tests.transaction.programs import Redirect, Request, play

__all__ = ["WebModel"]


class WebModel(Model):
    """A `Model` that also handles requests."""

    def in_request(self, request: Request) -> int:
        with self.opened(Unit(managed=not request.explicit)) as unit:
            return _Dispatch(self, unit, request).status()


class _Dispatch:
    """Commit on success: how a request is settled."""

    def __init__(self, model: Model, unit: Unit, request: Request) -> None:
        self._model = model
        self._unit = unit
        self._request = request
        self._handled = False

    def status(self) -> int:
        """What the client gets."""
        try:
            return self._last_step(self._answer())
        except Exception:  # noqa: BLE001  nobody handled it
            self._fail()
            return 500

    def _answer(self) -> int:
        try:
            play(self._request.body, self._model, "0")
            self._settle(self._request.status)
        except Exception as error:  # noqa: BLE001  whatever it is, error handlers get it
            return self._handle(error)
        return self._request.status

    def _handle(self, error: Exception) -> int:
        if isinstance(error, Redirect):
            try:
                self._settle(302)
            except Exception as failure:  # noqa: BLE001  whatever it is, error handlers get it
                error = failure
            if isinstance(error, Redirect):
                return 302
        self._fail()
        if self._request.handler is None:
            raise error
        if not self._handled:
            self._handled = True
            play(self._request.handler, self._model, "1")
        return self._request.handler_status

    def _last_step(self, status: int) -> int:
        """What an error handler did is settled as what a view does."""
        if self._unit.idle:
            return status
        try:
            self._settle(status)
        except Exception as error:  # noqa: BLE001  whatever it is, error handlers get it
            status = self._handle(error)
            self._settle(status)
        return status

    def _settle(self, status: int) -> None:
        if self._request.explicit:
            return
        if status < 400:
            self._model.settle(self._unit)
        else:
            self._model.roll_back(self._unit)

    def _fail(self) -> None:
        if not self._unit.idle:
            self._model.roll_back(self._unit)
