"""A ``scoped_session`` as SQLAlchemy's documentation has it written by hand. The others are compared with this one."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from .flask_routes import add_routes
from .session_views import SessionViews
from .terms import POOL_SIZE, sqlalchemy_url

__all__ = ["open_app"]


@dataclass
class Database:
    session: scoped_session[Session]


def open_app(url: str) -> Flask:
    engine = create_engine(sqlalchemy_url(url), pool_size=POOL_SIZE, max_overflow=0)
    db = Database(scoped_session(sessionmaker(engine)))
    app = Flask(__name__)

    @app.teardown_appcontext
    def remove_session(_: BaseException | None) -> None:
        db.session.remove()

    add_routes(app, SessionViews(db))
    return app
