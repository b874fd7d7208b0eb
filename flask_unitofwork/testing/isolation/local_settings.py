"""What PostgreSQL sets for a transaction (``SET LOCAL``), which ends with it and not with the test."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["local_settings"]

_LOCAL: Final = re.compile(r"\bSET\s+LOCAL\s+(?P<name>[\w.]+)", re.IGNORECASE)
_SET_CONFIG: Final = re.compile(
    r"\bset_config\s*\(\s*(?:'(?P<name>[\w.]+)'|%\((?P<key>\w+)\)s|(?P<place>%s))", re.IGNORECASE
)


def local_settings(statement: str, parameters: Any) -> list[str]:
    """The names of the settings that *statement* may change for its transaction."""
    lowered = statement.lower()
    if "local" not in lowered and "set_config" not in lowered:
        return []
    names = [match["name"] for match in _LOCAL.finditer(statement)]
    for match in _SET_CONFIG.finditer(statement):
        name = match["name"]
        if match["key"] is not None and isinstance(parameters, dict):
            name = parameters.get(match["key"])
        elif match["place"] is not None and isinstance(parameters, (list, tuple)) and parameters:
            name = parameters[statement[: match.start()].count("%s")]
        if isinstance(name, str):
            names.append(name)
    return names
