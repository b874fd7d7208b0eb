"""What an app gets when it is initialised, made from its settings."""

from __future__ import annotations

from flask import Flask
from sqlalchemy.orm import sessionmaker

from ..config import HELD_CONNECTION_SECONDS, Settings
from ..database import Engines
from ..exceptions import ConfigurationError
from ..session import Router, Session, session_factory
from ..transaction import IdleWatch
from ..web import AppState, Cache, Dispatch, below_400, holder_here

__all__ = ["state_for"]


def state_for(app: Flask) -> AppState:
    """What *app* gives to its units: its settings, its engines, and what is made of them. No connection is made.

    Raises:
        ConfigurationError: a setting is missing, unknown or wrong, or a library that it needs is not installed.
    """
    settings = Settings.from_config(app.config, instance_path=app.instance_path)
    engines = Engines(settings, application_name=app.name)
    sessions = session_factory(settings)
    return AppState(
        settings,
        engines,
        Router(engines, settings.bind_choosers),
        sessions,
        settings.commit_policy or below_400,
        idle_watch=_idle_watch(app, settings, engines),
        cache=_cache(settings, engines, sessions),
    )


def _cache(settings: Settings, engines: Engines, sessions: sessionmaker[Session]) -> Cache | None:
    """What keeps results of queries, where the settings ask for it.

    Raises:
        ConfigurationError: dogpile.cache is not installed, or a region is wrong.
    """
    if not settings.cache_regions:
        return None
    try:
        from ..caching.cache import ResultCache
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "UNITOFWORK_CACHE_REGIONS needs dogpile.cache, which is not installed. Write"
            ' pip install "flask-unitofwork[cache]".'
        ) from error
    return ResultCache(settings, engines, sessions)


def _idle_watch(app: Flask, settings: Settings, engines: Engines) -> IdleWatch | None:
    """What watches for connections that are held without SQL: from now on if the settings ask for it."""
    limit = settings.held_connection_limit
    if limit == 0:
        return None
    watch = IdleWatch(
        HELD_CONNECTION_SECONDS if limit is None else limit,
        holder_here,
        own={app.import_name.partition(".")[0]},
        ends=Dispatch.ends,
    )
    if limit is not None:
        watch.start(engines)
    return watch
