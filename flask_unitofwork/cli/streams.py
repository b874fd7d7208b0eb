"""Whether a view streams its response, as far as its code tells.

Note: an indication
    Only a response knows whether it is streamed, and there is none before a request. So the code is read: a generator
    in it, or the name of what Flask streams with. A view that calls another function to stream is not recognised, and
    one that uses a generator for something else is taken for one that streams.
"""

from __future__ import annotations

import inspect
from functools import partial
from types import CodeType
from typing import Any, Final

__all__ = ["function_behind", "seems_to_stream"]

_STREAMERS: Final = frozenset(
    {
        "send_file",
        "send_from_directory",
        "send_static_file",
        "stream_template",
        "stream_template_string",
        "stream_with_context",
    }
)


def seems_to_stream(part: object) -> bool:
    """Whether *part* of a view (a function, a method or a class) seems to make a streamed response."""
    code = getattr(function_behind(part), "__code__", None)
    return isinstance(code, CodeType) and _streams(code)


def function_behind(function: Any) -> Any:
    """The function that decorators, if they are written with ``functools.wraps``, and partials are around.

    Example:
        >>> function_behind(partial(int, base=2))
        <class 'int'>
    """
    function = inspect.unwrap(function)
    while isinstance(function, partial):
        function = inspect.unwrap(function.func)
    return function


def _streams(code: CodeType) -> bool:
    # A view in an app factory finds there, as a free variable, what the factory has imported.
    names = {*code.co_names, *code.co_freevars}
    is_generator = code.co_flags & inspect.CO_GENERATOR and code.co_name != "<genexpr>"
    return bool(is_generator or names & _STREAMERS) or any(
        _streams(inner) for inner in code.co_consts if isinstance(inner, CodeType)
    )
