"""``uow.registry``: SQLAlchemy's ``scoped_session``, with the app context in the place of the thread."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy.orm import scoped_session, sessionmaker
from sqlalchemy.util import ScopedRegistry

from ..session import Session
from .app_state import AppState
from .units import Units

__all__ = ["Registry"]


class _UnitSessions(ScopedRegistry[Session]):
    """The part of a ``scoped_session`` that keeps the sessions: here the current unit keeps its own."""

    __slots__ = ("_units",)

    def __init__(self, units: Units) -> None:
        super().__init__(lambda: units.current().session, units.current)
        self._units = units

    def __call__(self) -> Session:
        return self._units.current().session

    def has(self) -> bool:
        unit = self._units.peek()
        return unit is not None and unit.has_session

    def set(self, obj: Session) -> None:
        self._units.current().adopt(obj)

    def clear(self) -> None:
        self._units.end()


class _CurrentSessions:
    """The session factory of whichever app is current, in the form that ``scoped_session`` wants."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def __call__(self, **options: Any) -> Session:
        return self._state.make_session(**options)

    def configure(self, **options: Any) -> None:
        self._state.sessions.configure(**options)

    @property
    def _state(self) -> AppState:
        return self._units.app_state(self._units.current_app())


class Registry(scoped_session[Session]):
    """Gives the current scope's session: call it, or use it as a proxy for the session.

    ``registry()`` returns the session, ``registry(**options)`` makes it with other options where the scope has none
    yet, ``remove()`` closes it so that the next use makes a new one, ``query_property()`` is SQLAlchemy's own. Which scope
    is current tells the app context, or ``UnitOfWork(scopefunc=…)``.

    Args:
        units: finds the current unit.
    """

    def __init__(self, units: Units) -> None:
        super().__init__(cast("sessionmaker[Session]", _CurrentSessions(units)))
        self.registry = _UnitSessions(units)
