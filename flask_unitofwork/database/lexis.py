"""The words of SQL: what is skipped in a text, and what is looked at."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["CALLS", "PATTERNS"]

# What is skipped, and what is looked at: words and the punctuation that matters. MySQL runs what is in /*! … */, so
# only the marks are skipped there. A backslash escapes in MySQL's strings, and elsewhere only in PostgreSQL's E'…'.
_SYMBOLS: Final = r"""
      --[^\n]* | /\*M?!\d* | /\*.*?\*/ | \$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$
    | [eE]'(?:[^'\\]|''|\\.)*' | {strings} | `(?:[^`]|``)*` | \[[^\]]*\]
    | (?P<symbol> [A-Za-z_][\w$]* | [();=] )
"""
_ESCAPED: Final = r"""'(?:[^'\\]|''|\\.)*' | "(?:[^"\\]|""|\\.)*" """
_PLAIN: Final = r"""'(?:[^']|'')*' | "(?:[^"]|"")*" """
PATTERNS: Final = {
    backslash: re.compile(_SYMBOLS.replace("{strings}", strings), re.VERBOSE | re.DOTALL)
    for backslash, strings in ((True, _ESCAPED), (False, _PLAIN))
}

# The same, for what is followed by a parenthesis. What has a schema keeps its dot; what is quoted may be any function.
_QUOTED_CALL: Final = r"""(?P<quoted> "(?:[^"]|"")*" | `(?:[^`]|``)*` )\s*\( |"""
CALLS: Final = {
    backslash: re.compile(
        _QUOTED_CALL
        + _SYMBOLS.replace(
            r"(?P<symbol> [A-Za-z_][\w$]* | [();=] )",
            r"(?P<call> (?:\.\s*)?[A-Za-z_][\w$]* )\s*\( | [A-Za-z_][\w$]*",
        ).replace("{strings}", strings),
        re.VERBOSE | re.DOTALL,
    )
    for backslash, strings in ((True, _ESCAPED), (False, _PLAIN))
}
