"""Flask-SQLAlchemy."""

from __future__ import annotations

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from .flask_routes import add_routes
from .schema import metadata
from .session_views import SessionViews
from .terms import POOL_SIZE, sqlalchemy_url

__all__ = ["open_app"]


def open_app(url: str) -> Flask:
    db = SQLAlchemy(metadata=metadata)
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = sqlalchemy_url(url)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": POOL_SIZE, "max_overflow": 0}
    db.init_app(app)
    add_routes(app, SessionViews(db))
    return app
