"""The blueprint that the modules of this folder register their views on."""

from __future__ import annotations

from typing import Final

from flask import Blueprint

__all__ = ["ID", "api"]

api: Final = Blueprint("api", __name__, url_prefix="/api")

# The route converter of ids. A larger number is no id of any database's integer column: 404, not a driver's error.
ID: Final = "int(max=2147483647)"
