"""Who is told what a view has answered, before that is settled: the rehearsal of retries, which compares two answers."""

from __future__ import annotations

from typing import Final

from blinker import NamedSignal, Namespace

__all__ = ["request_answered"]

request_answered: Final[NamedSignal] = Namespace().signal("request-answered")
"""A request's unit is about to be settled by its response. Sent with ``unit`` and ``response``; the sender is the app."""
