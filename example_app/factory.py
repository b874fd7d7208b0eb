"""The application factory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask

from . import basket, clock, errors, money, security
from .api import api
from .extensions import uow
from .pages import pages
from .settings import DEFAULTS, secret_key

__all__ = ["create_app"]


def create_app(config: Mapping[str, Any] | None = None, *, instance_path: str | Path | None = None) -> Flask:
    """Make the shop.

    Args:
        config: settings that win over the defaults and over the environment (``FLASK_…``).
        instance_path: the folder for the database, the secret key and the outbox; made if missing. ``instance``
            beside the package if not given.
    """
    folder = None if instance_path is None else str(Path(instance_path).absolute())
    app = Flask("example_app", instance_path=folder, instance_relative_config=True)
    app.config.from_mapping(DEFAULTS)
    app.config.from_prefixed_env()
    app.config.from_mapping(config or {})
    Path(app.instance_path).mkdir(parents=True, exist_ok=True)
    if not app.config["SECRET_KEY"]:
        app.config["SECRET_KEY"] = secret_key(Path(app.instance_path))

    uow.init_app(app)
    security.init_app(app)
    errors.init_app(app)
    app.register_blueprint(pages)
    app.register_blueprint(api)
    app.add_template_filter(clock.moment)
    app.add_template_filter(money.price)
    app.add_template_global(basket.size, "basket_size")
    return app
