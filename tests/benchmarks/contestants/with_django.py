"""Django, its ORM and its own pool, in autocommit (its default) or with a transaction around each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import django
from django.conf import settings
from sqlalchemy import make_url

from .terms import POOL_SIZE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["open_app"]


def open_app(url: str, *, atomic_requests: bool) -> WSGIApplication:
    where = make_url(url)
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "HOST": where.host,
                "PORT": where.port,
                "USER": where.username,
                "NAME": where.database,
                "ATOMIC_REQUESTS": atomic_requests,
                "OPTIONS": {"pool": {"min_size": POOL_SIZE, "max_size": POOL_SIZE}},
            }
        },
        INSTALLED_APPS=[f"{__package__}.django_app.apps.Benchmark"],
        ROOT_URLCONF=f"{__package__}.django_app.urls",
        SECRET_KEY="no secret",
    )
    django.setup()
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler()
