"""Scopes that a function of the user's names: a thread, a greenlet, an asyncio task, a token made by hand.

Note: who ends such a scope
    Whoever made it. Nothing here knows what the name stands for, so no success commits it, and no request closes it: the
    code commits, and ``uow.registry.remove()`` ends it. Where the name is an object that goes away before, its unit is
    closed with it, and the log says what was lost.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

from flask import Flask

from ..exceptions import OutsideScopeError
from ..transaction import Unit

__all__ = ["CustomScopes", "ScopeFunction"]

logger = logging.getLogger("flask_unitofwork")


class ScopeFunction(Protocol):
    """Names the scope in progress. Any callable of this form serves, such as ``threading.current_thread``."""

    def __call__(self) -> Hashable | None:
        """The scope in progress.

        Returns:
            What names it. An object rather than its ``id()`` or number, which another one may get later. None for the
            scope that there is without this function: the request's, or that of the app context.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Named:
    """A unit, and what closes it when its name goes away; None where names stay."""

    unit: Unit
    end: weakref.finalize[Any, Any] | None


class CustomScopes:
    """The units of scopes that *name* names.

    Args:
        name: the user's scope function.
        make: makes a unit for an app; is given what tells whether the code in progress is in its scope.
    """

    def __init__(self, name: ScopeFunction, make: Callable[[Flask, Callable[[], bool]], Unit]) -> None:
        self._name = name
        self._make = make
        self._apps: weakref.WeakKeyDictionary[Flask, _Names] = weakref.WeakKeyDictionary()
        self._lock = Lock()

    def current(self, app: Flask) -> Unit | None:
        """The unit of the scope in progress in *app*, made if there is none yet; None where nobody names a scope."""
        token = self._token()
        if token is None:
            return None
        # Two threads may be the first in one scope; both must get the same unit.
        with self._lock:
            names = self._apps.setdefault(app, _Names())
            found = names.get(token)
            if found is None:
                found = self._begin(app, token)
                names.put(token, found)
        return found.unit

    def peek(self, app: Flask) -> Unit | None:
        """The unit of the scope in progress in *app*, or None."""
        found = self._find(app, self._token())
        return None if found is None else found.unit

    def end(self, app: Flask) -> bool:
        """The scope in progress is over: close its unit. False where there is none."""
        token = self._token()
        found = self._find(app, token)
        if found is None:
            return False
        self._apps[app].drop(token)
        if found.end is not None:
            found.end.detach()
        found.unit.close()
        return True

    def _find(self, app: Flask, token: Hashable | None) -> _Named | None:
        names = self._apps.get(app)
        return None if names is None or token is None else names.get(token)

    def _token(self) -> Hashable | None:
        token = self._name()
        try:
            hash(token)
        except TypeError:
            raise OutsideScopeError(
                f"The scope function has returned an object of type {type(token).__name__}, which cannot name a scope"
                " because it has no hash. Return the object that the scope belongs to, a str or a number, or None."
            ) from None
        return token

    def _begin(self, app: Flask, token: Hashable) -> _Named:
        made: list[weakref.ref[Unit]] = []
        unit = self._make(app, lambda: self.peek(app) is made[0]())
        made.append(weakref.ref(unit))
        try:
            end = weakref.finalize(token, _close, unit)
        except TypeError:  # a str or a number, which no weak reference can point to
            return _Named(unit, None)
        end.atexit = False
        return _Named(unit, end)


class _Names:
    """The units of one app's scopes. It keeps no name alive that can go away."""

    def __init__(self) -> None:
        self._weak: weakref.WeakKeyDictionary[Hashable, _Named] = weakref.WeakKeyDictionary()
        self._strong: dict[Hashable, _Named] = {}

    def get(self, token: Hashable) -> _Named | None:
        return self._strong.get(token) or (self._weak.get(token) if _can_go_away(token) else None)

    def put(self, token: Hashable, named: _Named) -> None:
        if named.end is None:
            self._strong[token] = named
        else:
            self._weak[token] = named

    def drop(self, token: Hashable) -> None:
        self._strong.pop(token, None)
        if _can_go_away(token):
            self._weak.pop(token, None)


def _can_go_away(token: Hashable) -> bool:
    try:
        weakref.ref(token)
    except TypeError:
        return False
    return True


def _close(unit: Unit) -> None:
    lost = unit.uncommitted_work
    if lost:
        logger.warning(
            "What named a scope has gone away with work that nobody committed, so it is rolled back: %s."
            " Write uow.session.commit() and uow.registry.remove() where the scope ends.",
            ", ".join(lost),
        )
    unit.close()
