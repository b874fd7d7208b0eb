"""Where the user's code was: what an error says so that its cause can be found."""

from __future__ import annotations

import inspect
import sysconfig
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FrameType, TracebackType
from typing import Any, Final

__all__ = ["Place", "frames_to_user", "name_of", "place_here", "place_in", "place_of", "place_raised"]

_PACKAGE: Final = __name__.partition(".")[0]
# What stands between a with statement and the block it enters is nobody's place.
_BETWEEN: Final = frozenset({_PACKAGE, "contextlib", "tenacity"})
_INSTALLED: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib", "scripts")})


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


def frames_to_user(own: Collection[str] = ()) -> tuple[list[CodeType], Place | None]:
    """The innermost line of the user's code, and what runs on its behalf: the way from there to here.

    Other than for `place_here`, whatever is installed is nobody's line: SQLAlchemy, Flask, a serialiser.

    Args:
        own: the top-level names of packages that are the user's even where they are installed.

    Returns:
        The code in between, innermost first; and the line, or None where there is none.
    """
    between: list[CodeType] = []
    frame = inspect.currentframe()
    while frame is not None and not _is_users(frame, own):
        between.append(frame.f_code)
        frame = frame.f_back
    return between, None if frame is None else Place(frame.f_code, _line_of(frame))


def place_in(tb: TracebackType | None) -> Place | None:
    """Where an exception was when it left a block: the block's line, or what a decorated function came to."""
    while tb is not None and tb.tb_next is not None and _is_between(tb.tb_frame):
        tb = tb.tb_next
    return None if tb is None else Place(tb.tb_frame.f_code, tb.tb_lineno)


def place_raised(error: BaseException) -> Place | None:
    """The innermost line of the user's code that *error* came from; None where there is none."""
    place, tb = None, error.__traceback__
    while tb is not None:
        if _is_users(tb.tb_frame, ()):
            place = Place(tb.tb_frame.f_code, tb.tb_lineno)
        tb = tb.tb_next
    return place


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


def _is_users(frame: FrameType, own: Collection[str]) -> bool:
    top = frame.f_globals.get("__name__", "").partition(".")[0]
    if top == _PACKAGE:
        return False
    file = frame.f_code.co_filename
    return top in own or not _is_installed(file) or (top == "__main__" and file == "<string>")


@lru_cache(maxsize=4096)
def _is_installed(file: str) -> bool:
    """Whether *file* came with Python or with a package, or was made by one."""
    return file.startswith(("<frozen ", "<sqlalchemy ", "<string>", *_INSTALLED))


def _line_of(frame: FrameType) -> int:
    """The line in progress in *frame*; that of the template, where Jinja has made Python of it."""
    template: Any = frame.f_globals.get("__jinja_template__")
    return frame.f_lineno if template is None else int(template.get_corresponding_lineno(frame.f_lineno))
