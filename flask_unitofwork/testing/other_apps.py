"""Isolates, with a test, the apps that work on the same databases as the test's own.

Note: which apps
    What another app on the database commits would stay there; and what it locks, the test would wait for. So an app that
    has a database in common with the isolated one is isolated with it, whether it was made before the test or is made in
    it. An app on databases of its own is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from contextlib import ExitStack, contextmanager
from typing import Final
from weakref import WeakKeyDictionary

import pytest
from flask import Flask

from ..web import app_initialized
from .apps import state_of_app
from .isolation import databases_of, isolated

__all__ = ["OTHER_APPS", "OtherApps"]


class OtherApps:
    """The apps of a test run. A plugin of its own, registered with pytest."""

    NAME: Final = "flask_unitofwork.other_apps"

    def __init__(self) -> None:
        # With their databases, which do not change.
        self._apps: WeakKeyDictionary[Flask, frozenset[Hashable]] = WeakKeyDictionary()
        # What the tests in progress do with an app that is made. A receiver of the signal each would take longer to connect.
        self._isolate: list[Callable[[Flask], None]] = []

    def pytest_configure(self) -> None:
        """Begin to watch apps being made."""
        app_initialized.connect(self._remember)

    def pytest_unconfigure(self) -> None:
        """Watch no longer."""
        app_initialized.disconnect(self._remember)

    def _remember(self, app: Flask) -> None:
        self._databases(app)
        for isolate in self._isolate:
            isolate(app)

    @contextmanager
    def isolated_with(self, app: Flask) -> Generator[None]:
        """In the block, in which *app* is isolated, isolate the apps that share a database with it.

        Raises:
            IsolationError: one of them has another database too, whose driver cannot be shared.
        """
        databases = self._databases(app)
        with ExitStack() as end:

            def isolate(other: Flask) -> None:
                if other is app or databases.isdisjoint(self._databases(other)):
                    return
                if not state_of_app(other).engines.has_other_pools:
                    end.enter_context(isolated(other))

            for other in [other for other, theirs in self._apps.items() if not databases.isdisjoint(theirs)]:
                isolate(other)
            self._isolate.append(isolate)
            try:
                yield
            finally:
                self._isolate.remove(isolate)

    def _databases(self, app: Flask) -> frozenset[Hashable]:
        databases = self._apps.get(app)
        if databases is None:  # made before the test run, or being made: others may be told of it first
            state = state_of_app(app)
            databases = self._apps[app] = databases_of(state.engines, state.settings.databases)
        return databases


OTHER_APPS: Final = pytest.StashKey[OtherApps]()
"""Where pytest's configuration has those of the run."""
