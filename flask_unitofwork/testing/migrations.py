"""Tables made by the project's Alembic migrations, as in production.

Note: what env.py is given
    A plain ``env.py`` connects to ``sqlalchemy.url``, which is set to the app's default database here. One that follows
    Alembic's recipe for sharing a connection finds none in ``config.attributes`` and does the same. Flask-Migrate's asks
    the current app, so there is one.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask

from ..config import DEFAULT_BIND
from .apps import state_of_app

__all__ = ["upgrade"]


def upgrade(app: Flask, migrations: Path) -> None:
    """Upgrade the app's databases to the newest revisions (``heads``).

    Args:
        app: the app; it is the current one meanwhile.
        migrations: ``alembic.ini``, or the folder that has ``env.py``.
    """
    from alembic import command
    from alembic.config import Config

    ini = migrations / "alembic.ini" if migrations.is_dir() else migrations
    config = Config(ini if ini.exists() else None)
    if migrations.is_dir() and config.get_main_option("script_location") is None:
        config.set_main_option("script_location", _escaped(str(migrations)))
    url = state_of_app(app).engines[DEFAULT_BIND].url.render_as_string(hide_password=False)
    config.set_main_option("sqlalchemy.url", _escaped(url))
    with app.app_context(), _logging_as_it_was():
        command.upgrade(config, "heads")


def _escaped(value: str) -> str:
    """*value* for Python's ConfigParser, to which a percent sign means something."""
    return value.replace("%", "%%")


@contextmanager
def _logging_as_it_was() -> Generator[None]:
    """Undo what ``env.py`` does to logging: Alembic's template disables every logger that exists, pytest's among them."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    disabled = {
        logger: logger.disabled
        for logger in logging.Logger.manager.loggerDict.values()
        if isinstance(logger, logging.Logger)
    }
    try:
        yield
    finally:
        for handler in [one for one in root.handlers if one not in handlers]:
            root.removeHandler(handler)
        for handler in [one for one in handlers if one not in root.handlers]:
            root.addHandler(handler)
        root.setLevel(level)
        for logger, was_disabled in disabled.items():
            logger.disabled = was_disabled
