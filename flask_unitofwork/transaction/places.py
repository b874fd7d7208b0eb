"""Where the user's code was: what an error says so that its cause can be found."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType, FrameType, TracebackType
from typing import Final

__all__ = ["Place", "name_of", "place_here", "place_in", "place_of"]

_PACKAGE: Final = __name__.partition(".")[0]
# What stands between a with statement and the block it enters is nobody's place.
_BETWEEN: Final = frozenset({_PACKAGE, "contextlib", "tenacity"})


@dataclass(frozen=True, slots=True)
class Place:
    """A line in the user's code. Cheap to take, and put into words only where an error needs it."""

    code: CodeType
    line: int

    def __str__(self) -> str:
        return f"{self.code.co_filename}:{self.line}, in {self.code.co_qualname}"


def place_here() -> Place | None:
    """The innermost line in progress outside this package; None if there is none."""
    frame = inspect.currentframe()
    while frame is not None and _is_between(frame):
        frame = frame.f_back
    return None if frame is None else Place(frame.f_code, frame.f_lineno)


def place_in(tb: TracebackType | None) -> Place | None:
    """Where an exception was when it left a block: the block's line, or what a decorated function came to."""
    while tb is not None and tb.tb_next is not None and _is_between(tb.tb_frame):
        tb = tb.tb_next
    return None if tb is None else Place(tb.tb_frame.f_code, tb.tb_lineno)


def place_of(function: Callable[..., object]) -> Place | None:
    """Where *function* is defined; None for what was not written in Python."""
    code: object = getattr(inspect.unwrap(function), "__code__", None)
    return Place(code, code.co_firstlineno) if isinstance(code, CodeType) else None


def name_of(function: object) -> str:
    """What an error calls *function*, which may be a partial or an object that can be called."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _is_between(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] in _BETWEEN
