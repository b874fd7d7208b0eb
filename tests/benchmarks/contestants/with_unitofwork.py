"""This package."""

from __future__ import annotations

from flask import Flask

from flask_unitofwork import UnitOfWork

from .flask_routes import add_routes
from .session_views import SessionViews
from .terms import POOL_SIZE, sqlalchemy_url

__all__ = ["open_app"]


class UnitOfWorkViews(SessionViews):
    """Views that leave the commit to the unit of work."""

    def created(self, text: str) -> int:
        entry = self._new(text)
        self._db.session.flush()
        return entry.id

    def commit(self) -> None:
        pass


def open_app(url: str) -> Flask:
    uow = UnitOfWork()
    app = Flask(__name__)
    app.config["UNITOFWORK_DATABASES"] = sqlalchemy_url(url)
    app.config["UNITOFWORK_ENGINE_OPTIONS"] = {"pool_size": POOL_SIZE, "max_overflow": 0}
    uow.init_app(app)
    add_routes(app, UnitOfWorkViews(uow))
    return app
