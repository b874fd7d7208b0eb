"""Isolates, with a test, the apps that work on the same databases as the test's own.

Note: which apps
    What another app on the database commits would stay there; and what it locks, the test would wait for. So an app that
    has a database in common with the isolated one is isolated with it, whether it was made before the test or is made in
    it. An app on databases of its own is left alone.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Final
from weakref import WeakSet

import pytest
from flask import Flask

from ..web import AppState, app_initialized
from .apps import state_of_app
from .isolation import databases_of, isolated

__all__ = ["OTHER_APPS", "OtherApps"]


class OtherApps:
    """The apps of a test run. A plugin of its own, registered with pytest."""

    NAME: Final = "flask_unitofwork.other_apps"

    def __init__(self) -> None:
        self._apps: WeakSet[Flask] = WeakSet()

    def pytest_configure(self) -> None:
        """Begin to watch apps being made."""
        app_initialized.connect(self._remember)

    def pytest_unconfigure(self) -> None:
        """Watch no longer."""
        app_initialized.disconnect(self._remember)

    def _remember(self, app: Flask) -> None:
        self._apps.add(app)

    @contextmanager
    def isolated_with(self, app: Flask) -> Generator[None]:
        """In the block, in which *app* is isolated, isolate the apps that share a database with it.

        Raises:
            IsolationError: one of them has another database too, whose driver cannot be shared.
        """
        databases = _databases(state_of_app(app))
        with ExitStack() as end:

            def isolate(other: Flask) -> None:
                state = state_of_app(other)
                if other is not app and not state.engines.has_other_pools and databases & _databases(state):
                    end.enter_context(isolated(other))

            for other in list(self._apps):
                isolate(other)
            with app_initialized.connected_to(isolate):
                yield


OTHER_APPS: Final = pytest.StashKey[OtherApps]()
"""Where pytest's configuration has those of the run."""


def _databases(state: AppState) -> frozenset[object]:
    return databases_of(state.engines, state.settings.databases)
