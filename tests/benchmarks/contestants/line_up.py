"""Who takes part. A contestant is imported only in the process that it lives in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["LINE_UP", "REFERENCE", "Entrant"]

REFERENCE: Final = "scoped-session"


@dataclass(frozen=True)
class Entrant:
    """One contestant before it has started.

    Attributes:
        title: what it is called in the table.
        module: the file beside this one that has its ``open_app``.
        options: keyword arguments for that.
    """

    title: str
    module: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def open_app(self, url: str) -> WSGIApplication:
        """Its app, on the database at *url*."""
        app: WSGIApplication = import_module(f"{__package__}.{self.module}").open_app(url, **self.options)
        return app


LINE_UP: Final[Mapping[str, Entrant]] = MappingProxyType(
    {
        "psycopg": Entrant("bare psycopg pool", "bare_psycopg"),
        "core": Entrant("SQLAlchemy Core", "sqlalchemy_core"),
        REFERENCE: Entrant("scoped_session by hand", "hand_written"),
        "flask-sqlalchemy": Entrant("Flask-SQLAlchemy", "with_flask_sqlalchemy"),
        "flask-sqlalchemy-lite": Entrant("Flask-SQLAlchemy-Lite", "with_flask_sqlalchemy_lite"),
        "django": Entrant("Django, autocommit", "with_django", {"atomic_requests": False}),
        "django-atomic": Entrant("Django, ATOMIC_REQUESTS", "with_django", {"atomic_requests": True}),
        "pony": Entrant("Pony", "with_pony"),
        "unitofwork": Entrant("flask_unitofwork", "with_unitofwork"),
    }
)
