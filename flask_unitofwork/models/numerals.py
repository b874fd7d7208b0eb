"""Whole numbers, as a URL writes them."""

from __future__ import annotations

__all__ = ["whole_number"]


def whole_number(text: str) -> int | None:
    """Read *text* as a whole number; None if it is none.

    Stricter than ``int()``, which takes ``1_0``, surrounding spaces and other scripts' digits too: one thing should
    have one address.

    Example:
        >>> whole_number("-12"), whole_number("1_2"), whole_number("twelve")
        (-12, None, None)
    """
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        return None
    try:
        return int(text)
    except ValueError:  # thousands of digits, more than Python reads
        return None
