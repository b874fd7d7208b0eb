"""Makes an app's sessions, from ``UNITOFWORK_SESSION_OPTIONS``. What is wrong in them is an error at ``init_app``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, cast

from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import sessionmaker

from ..config import Settings
from ..exceptions import ConfigurationError
from .session import Session
from .sharded import ShardedSession

__all__ = ["session_factory"]

_KEY: Final = "UNITOFWORK_SESSION_OPTIONS"


def session_factory(settings: Settings) -> sessionmaker[Session]:
    """What makes the sessions of an app with these *settings*.

    Raises:
        ConfigurationError: ``class_`` is no Session, a bind or shard names no database, or SQLAlchemy refuses an option.
    """
    options = dict(settings.session_options)
    if options.pop("twophase", settings.two_phase) is not settings.two_phase:
        raise ConfigurationError(
            f'{_KEY}["twophase"] is not the same as UNITOFWORK_TWO_PHASE, which engines need to know, too.'
            " Leave it out, and write UNITOFWORK_TWO_PHASE = True."
        )
    session_class: object = options.pop("class_", Session)
    if not (isinstance(session_class, type) and issubclass(session_class, Session)):
        raise ConfigurationError(
            f'{_KEY}["class_"] must be a subclass of flask_unitofwork.Session, which knows its unit.'
        )
    _check_names(f'{_KEY}["binds"]', _names_in_binds(options.get("binds")), settings)
    if issubclass(session_class, ShardedSession):
        shards: Collection[str] | Mapping[str, Any] = options.setdefault("shards", list(settings.databases))
        if not isinstance(shards, Mapping):
            _check_names(f'{_KEY}["shards"]', shards, settings)
    factory = sessionmaker(class_=session_class, twophase=settings.two_phase, **options)
    try:
        # Nothing but a session knows what is allowed here; and it connects to nothing.
        factory()
    except (ArgumentError, TypeError) as error:
        raise ConfigurationError(f"{_KEY}: {session_class.__name__} refuses these options: {error}") from error
    return factory


def _names_in_binds(binds: object) -> list[str]:
    if not isinstance(binds, Mapping):
        return []
    return [bind for bind in cast(Mapping[object, object], binds).values() if isinstance(bind, str)]


def _check_names(key: str, names: Collection[str], settings: Settings) -> None:
    for name in names:
        if name not in settings.databases:
            raise ConfigurationError(
                f"{key} has {name!r}, which is no database: UNITOFWORK_DATABASES has"
                f" {', '.join(map(repr, settings.databases))}. Write one of these names, or add it there."
            )
