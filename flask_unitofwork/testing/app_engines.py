"""Closes the connections of apps that were made for a test, as soon as what made them is over.

Note: whose an app is
    An app belongs to the fixture during whose setup it was made, or else to the test that made it. When that is over, its
    engines are disposed of, whether or not somebody still refers to the app: Flask's apps are in reference cycles, so
    hundreds of them would wait for the garbage collector with their connections open. An app that was made before any
    test, such as at import, is left alone.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final
from weakref import ref

import pytest
from flask import Flask

from ..web import app_initialized
from .apps import state_of_app

__all__ = ["AppEngines"]


class AppEngines:
    """Watches apps being made, and fixtures and tests coming and going. A plugin of its own, registered with pytest."""

    NAME: Final = "flask_unitofwork.app_engines"

    def __init__(self) -> None:
        # Who is being set up: a test, and on top of it fixtures, each set up for the one below.
        self._makers: list[object] = []
        self._made: dict[object, list[ref[Flask]]] = {}

    def pytest_configure(self) -> None:
        """Begin to watch."""
        app_initialized.connect(self._remember)

    def pytest_unconfigure(self) -> None:
        """Watch no longer."""
        app_initialized.disconnect(self._remember)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Apps that are made meanwhile, and are no fixture's, are the test's own."""
        # Items of other kinds may build on one another, as the blocks of a documentation page do.
        if not isinstance(item, pytest.Function):
            return (yield)
        self._makers.append(item)
        try:
            return (yield)
        finally:
            self._makers.remove(item)
            self._dispose(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """Apps that are made meanwhile are the fixture's."""
        self._makers.append(fixturedef)
        try:
            return (yield)
        finally:
            self._makers.remove(fixturedef)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """The test is over, and its databases may be dropped with its fixtures. What these still ask is closed later."""
        for app in self._alive(item):
            state_of_app(app).engines.dispose()

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """The fixture's own teardown has run."""
        self._dispose(fixturedef)

    def _remember(self, app: Flask) -> None:
        if self._makers:
            self._made.setdefault(self._makers[-1], []).append(ref(app))

    def _dispose(self, maker: object) -> None:
        for app in self._alive(maker):
            state_of_app(app).engines.dispose()
        self._made.pop(maker, None)

    def _alive(self, maker: object) -> list[Flask]:
        return [app for made in self._made.get(maker, ()) if (app := made()) is not None]
