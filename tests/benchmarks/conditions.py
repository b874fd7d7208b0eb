"""What a reader of the figures has to know about the machine and the versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Final

__all__ = ["conditions"]

DISTRIBUTIONS: Final = (
    "flask-unitofwork",
    "flask",
    "sqlalchemy",
    "psycopg",
    "psycopg-pool",
    "flask-sqlalchemy",
    "flask-sqlalchemy-lite",
    "django",
    "pony",
    "psycopg2-binary",
)
# Of all cores together. A desktop that nobody touches is below.
IDLE: Final = 0.5


def conditions() -> dict[str, str]:
    """The conditions at this moment, best asked before anything is measured."""
    load = os.getloadavg()[0]
    busy = "" if load < IDLE else ": the machine was busy, so these figures are not for publishing"
    return {
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": f"{os.cpu_count()} × {platform.machine()}, {platform.system()} {platform.release()}",
        "load at the start": f"{load:.2f}{busy}",
        "versions": ", ".join(f"{name} {version(name)}" for name in DISTRIBUTIONS),
    }
