"""Who is told that an app has got its engines: the test plugin, which closes them when the app's test is over."""

from __future__ import annotations

from typing import Final

from blinker import NamedSignal, Namespace

__all__ = ["app_initialized"]

app_initialized: Final[NamedSignal] = Namespace().signal("app-initialized")
"""An app was given to a UnitOfWork, and has all that this brings. The sender is the app."""
