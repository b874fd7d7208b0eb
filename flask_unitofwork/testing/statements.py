"""The statements that an app sends while a test looks, and how failure messages list them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from textwrap import indent
from typing import Final

from flask import Flask

from ..config import DEFAULT_BIND
from ..transaction import Recorder, SentStatement
from ..web import unit_here
from .apps import state_of_app

__all__ = ["described", "listed", "recorder_for"]

_LONGEST: Final = 1000


def recorder_for(app: Flask, tell: Callable[[SentStatement], None] | None = None) -> Recorder:
    """A recorder of what is sent to *app*'s databases, by whichever thread.

    Args:
        app: the app.
        tell: is given each statement right before it is sent.
    """
    return Recorder(
        state_of_app(app).engines,
        unit_here=lambda: unit_here(app),
        own={app.import_name.partition(".")[0]},
        tell=tell,
    )


def listed(statements: Iterable[SentStatement], *, parameters: bool) -> str:
    """The *statements* of a message, numbered, each above the line that sent it."""
    return "".join(
        f"\n{number}. {described(statement, parameters=parameters)}" for number, statement in enumerate(statements, 1)
    )


def described(statement: SentStatement, *, parameters: bool) -> str:
    """A statement, and below it the line that sent it."""
    bind = "" if statement.bind == DEFAULT_BIND else f"[{statement.bind}] "
    text = " ".join(statement.text.split())
    lines = [f"{bind}{text if len(text) <= _LONGEST else f'{text[:_LONGEST]} …'}"]
    if parameters:
        lines.append(f"   with {', '.join(str(dict(row)) for row in statement.parameters) or 'parameters by position'}")
    return "\n".join([*lines, indent(statement.origin, "   ")])
