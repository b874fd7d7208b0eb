"""The settings of one app: parsed once, typed, frozen. Nothing else reads ``app.config``.

Every ``UNITOFWORK_`` key of an app's configuration is checked at ``init_app``, before an engine exists: an
unknown key names its nearest neighbour, a value of the wrong type names its key and what it should be. Values are
never put in a message where they may hold a password.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, cast
from urllib.parse import quote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from .exceptions import ConfigurationError

__all__ = [
    "DEFAULT_BIND",
    "HELD_CONNECTION_SECONDS",
    "POOL_TIMEOUT_SECONDS",
    "RETRY_AFTER_SECONDS",
    "DatabaseSettings",
    "Settings",
    "is_sqlite_uri",
]

DEFAULT_BIND: Final = "default"

# How long a request waits for a connection. SQLAlchemy's 30 seconds are longer than most browsers' users wait, and keep
# the threads busy that could answer somebody else.
POOL_TIMEOUT_SECONDS: Final = 5.0
RETRY_AFTER_SECONDS: Final = 1

# How long a connection may wait in a transaction, while debugging and testing: longer than a page takes to render.
HELD_CONNECTION_SECONDS: Final = 1.0

PREFIX: Final = "UNITOFWORK_"

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """One named database: its primary, its replicas, and what ``create_engine`` is given for each.

    Attributes:
        name: the bind's name, such as ``"default"``.
        url: the primary. A relative SQLite path has been made absolute.
        replicas: databases that follow the primary and may be read instead of it.
        options: keyword arguments for :func:`sqlalchemy.create_engine`, on top of ``UNITOFWORK_ENGINE_OPTIONS``.
    """

    name: str
    url: URL
    replicas: tuple[URL, ...] = ()
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an app's ``UNITOFWORK_`` keys say, one attribute a key.

    The reference page on configuration tells what each key means. ``statement_timeout`` and ``lock_timeout`` are in
    seconds, and so are ``pool_timeout``, ``pool_retry_after`` and ``held_connection_limit``, which is None where the
    default is in force; ``commit_policy`` is None where the default (status
    below 400) is in force. ``instance_path`` is no key: it is the folder that relative SQLite paths are under, whose
    folders are made when they are first needed.
    """

    databases: Mapping[str, DatabaseSettings]
    commit: Literal["success", "explicit"] = "success"
    commit_policy: Callable[[Any], bool] | None = None
    bind_choosers: tuple[Callable[..., str | None], ...] = ()
    reads: Literal["autocommit", "transaction"] = "autocommit"
    nested_context: Literal["isolate", "join"] = "isolate"
    attempts: int = 1
    statement_timeout: float | None = None
    lock_timeout: float | None = None
    held_connection_limit: float | None = None
    pool_timeout: float = POOL_TIMEOUT_SECONDS
    pool_max_waiting: int | None = None
    pool_retry_after: int = RETRY_AFTER_SECONDS
    two_phase: bool = False
    cache_regions: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    cache_namespace: str | None = None
    engine_options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    session_options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    record_statements: bool = False
    inspector: bool = False
    instance_path: Path | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, instance_path: str | Path) -> Settings:
        """Read and check every ``UNITOFWORK_`` key of *config*.

        Args:
            config: an app's configuration, such as ``app.config``.
            instance_path: the folder that relative SQLite paths are under.

        Raises:
            ConfigurationError: a key is unknown, a value is of the wrong type or out of range, a URL cannot be
                parsed, or ``UNITOFWORK_DATABASES`` is missing or has no ``"default"``.

        Example:
            >>> settings = Settings.from_config({"UNITOFWORK_DATABASES": "sqlite:///shop.db"}, instance_path="/srv")
            >>> settings.databases["default"].url.database
            '/srv/shop.db'
        """
        given = {key: value for key, value in config.items() if key.startswith(PREFIX)}
        for key in given:
            if key not in _READERS:
                raise ConfigurationError(f"{key} is not a setting of flask_unitofwork.{_nearest(key)}")
        if given.get("UNITOFWORK_DATABASES") is None:
            raise ConfigurationError(
                "UNITOFWORK_DATABASES is not set, so there is no database to connect to."
                ' Write app.config["UNITOFWORK_DATABASES"] = "sqlite:///app.db" (or another URL) before init_app.'
            )
        values: dict[str, Any] = {
            key.removeprefix(PREFIX).lower(): _READERS[key](key, value)
            for key, value in given.items()
            if value is not None
        }
        databases: dict[str, DatabaseSettings] = values.pop("databases")
        _refuse_unavailable(values)
        folder = Path(instance_path).absolute()
        return cls(
            databases=MappingProxyType({name: _anchored(one, folder) for name, one in databases.items()}),
            instance_path=folder,
            **values,
        )


def _refuse_unavailable(values: Mapping[str, Any]) -> None:
    """Refuse what this version does not do yet: a setting that silently does nothing would be a lie."""
    for name, off in _UNAVAILABLE.items():
        if values.get(name, off) != off:
            raise ConfigurationError(
                f"{PREFIX}{name.upper()} is not available in this version: leave it out, or set it to {off!r}."
            )


# -- one reader a kind of value ------------------------------------------------------------------------------------


def _wrong(key: str, expected: str, value: object) -> ConfigurationError:
    """The error for a value of the wrong type. It names the type only: a value may hold a password."""
    return ConfigurationError(f"{key} must be {expected}; it is of type {type(value).__name__}.")


def _nearest(key: str) -> str:
    """Advice for an unknown *key*. The prefix is left out of the comparison: it makes all keys look alike."""
    names = [known.removeprefix(PREFIX) for known in _READERS]
    near = get_close_matches(key.removeprefix(PREFIX), names, n=1)
    return f" Did you mean {PREFIX}{near[0]}?" if near else f" The settings are: {', '.join(sorted(_READERS))}."


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(key, "True or False", value)
    return value


def _whole_number(least: int) -> Callable[[str, object], int]:
    def read(key: str, value: object) -> int:
        expected = f"a whole number, {least} or more"
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong(key, expected, value)
        if value < least:
            raise ConfigurationError(f"{key} must be {expected}; it is {value}.")
        return value

    return read


def _seconds(key: str, value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _wrong(key, "a number of seconds above 0, or None", value)
    if not 0 < value < float("inf"):
        raise ConfigurationError(f"{key} must be a number of seconds above 0, or None; it is {value}.")
    return float(value)


def _seconds_or_none_at_all(key: str, value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _wrong(key, "a number of seconds, 0 or more", value)
    if not 0 <= value < float("inf"):
        raise ConfigurationError(f"{key} must be a number of seconds, 0 or more; it is {value}.")
    return float(value)


def _callable(key: str, value: object) -> Callable[[Any], bool]:
    if not callable(value):
        raise _wrong(key, "a callable that takes the response and returns True to commit", value)
    return cast(Callable[[Any], bool], value)


def _callables(key: str, value: object) -> tuple[Callable[..., Any], ...]:
    if not isinstance(value, (list, tuple)):
        raise _wrong(key, "a list of callables", value)
    for place, one in enumerate(cast(list[object], value)):
        if not callable(one):
            raise _wrong(f"{key}[{place}]", "a callable that returns a database's name, or None", one)
    return tuple(cast(list[Callable[..., Any]], value))


def _options(key: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) for name in cast(Mapping[object, object], value)
    ):
        raise _wrong(key, "a dict whose keys are option names", value)
    return MappingProxyType(dict(cast(Mapping[str, Any], value)))


def _regions(key: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) for name in cast(Mapping[object, object], value)
    ):
        raise _wrong(key, 'a dict of regions of dogpile.cache by name, such as {"default": region}', value)
    return MappingProxyType(dict(cast(Mapping[str, Any], value)))


def _name(key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(key, "a name, which is a non-empty str", value)
    return value


def _engine_options(key: str, value: object) -> Mapping[str, Any]:
    options = _options(key, value)
    if "connect_args" in options:
        _options(f'{key}["connect_args"]', options["connect_args"])
    return options


def _one_of(*choices: str) -> Callable[[str, object], str]:
    def read(key: str, value: object) -> str:
        expected = " or ".join(repr(choice) for choice in choices)
        if not isinstance(value, str):
            raise _wrong(key, expected, value)
        if value not in choices:
            raise ConfigurationError(f"{key} must be {expected}; it is {value!r}.")
        return value

    return read


def _url(key: str, value: object) -> URL:
    if isinstance(value, URL):
        return value
    if not isinstance(value, str):
        raise _wrong(key, "a database URL (a str or a sqlalchemy.URL)", value)
    try:
        return make_url(value)
    except ArgumentError:
        # "from None": SQLAlchemy's message quotes the text, and with it the password.
        raise ConfigurationError(
            f"{key} is not a database URL. It has the form dialect+driver://user:password@host/database,"
            ' such as "sqlite:///app.db" or "postgresql+psycopg://shop@localhost/shop".'
        ) from None


def _databases(key: str, value: object) -> dict[str, DatabaseSettings]:
    if not isinstance(value, Mapping):
        return {DEFAULT_BIND: DatabaseSettings(name=DEFAULT_BIND, url=_url(key, value))}
    databases = {
        name: _database(f"{key}[{name!r}]", name, one) for name, one in cast(Mapping[object, object], value).items()
    }
    if DEFAULT_BIND not in databases:
        raise ConfigurationError(
            f'{key} has no "{DEFAULT_BIND}" database, so models without a bind key have nowhere to go.'
            f' Name one of them "{DEFAULT_BIND}"; it has: {", ".join(map(repr, databases)) or "none"}.'
        )
    return cast(dict[str, DatabaseSettings], databases)


def _database(key: str, name: object, value: object) -> DatabaseSettings:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{key}: a database's name must be a non-empty str.")
    if not isinstance(value, Mapping):
        return DatabaseSettings(name=name, url=_url(key, value))
    options = dict(_engine_options(key, cast(object, value)))
    if "url" not in options:
        raise ConfigurationError(f'{key} has no "url". Write {{"url": "sqlite:///app.db"}}, or the URL alone.')
    url = _url(f'{key}["url"]', options.pop("url"))
    replicas: object = options.pop("replicas", ())
    if not isinstance(replicas, (list, tuple)):
        raise _wrong(f'{key}["replicas"]', "a list of database URLs", replicas)
    return DatabaseSettings(
        name=name,
        url=url,
        replicas=tuple(
            _url(f'{key}["replicas"][{place}]', one) for place, one in enumerate(cast(list[object], replicas))
        ),
        options=MappingProxyType(options),
    )


def _anchored(database: DatabaseSettings, folder: Path) -> DatabaseSettings:
    """The same database with its relative SQLite paths under *folder*."""
    return DatabaseSettings(
        name=database.name,
        url=_anchored_url(database.url, folder),
        replicas=tuple(_anchored_url(url, folder) for url in database.replicas),
        options=database.options,
    )


def _anchored_url(url: URL, folder: Path) -> URL:
    path = url.database
    if url.get_backend_name() != "sqlite" or not path or path == ":memory:":
        return url
    if not is_sqlite_uri(url):
        return url.set(database=str(folder / path))
    name = path.removeprefix("file:")
    in_memory = not name or name.startswith(":memory:") or url.query.get("mode") == "memory"
    if in_memory or name.startswith("/") or name == path:
        return url
    # In a URI, % and ? have a meaning that they do not have in the folder's name.
    return url.set(database=f"file:{quote(str(folder))}/{name}")


def is_sqlite_uri(url: URL) -> bool:
    """Whether SQLite will read the database's name as a URI (``file:…``): the driver is told so by ``uri=true``."""
    return str(url.query.get("uri", "")).lower() in {"1", "on", "t", "true", "y", "yes"}


_UNAVAILABLE: Final[Mapping[str, object]] = {"record_statements": False, "inspector": False}

_READERS: Final[Mapping[str, Callable[[str, object], Any]]] = {
    "UNITOFWORK_ATTEMPTS": _whole_number(1),
    "UNITOFWORK_BIND_CHOOSERS": _callables,
    "UNITOFWORK_CACHE_NAMESPACE": _name,
    "UNITOFWORK_CACHE_REGIONS": _regions,
    "UNITOFWORK_COMMIT": _one_of("success", "explicit"),
    "UNITOFWORK_COMMIT_POLICY": _callable,
    "UNITOFWORK_DATABASES": _databases,
    "UNITOFWORK_ENGINE_OPTIONS": _engine_options,
    "UNITOFWORK_HELD_CONNECTION_LIMIT": _seconds_or_none_at_all,
    "UNITOFWORK_INSPECTOR": _flag,
    "UNITOFWORK_LOCK_TIMEOUT": _seconds,
    "UNITOFWORK_NESTED_CONTEXT": _one_of("isolate", "join"),
    "UNITOFWORK_POOL_MAX_WAITING": _whole_number(0),
    "UNITOFWORK_POOL_RETRY_AFTER": _whole_number(1),
    "UNITOFWORK_POOL_TIMEOUT": _seconds_or_none_at_all,
    "UNITOFWORK_READS": _one_of("autocommit", "transaction"),
    "UNITOFWORK_RECORD_STATEMENTS": _flag,
    "UNITOFWORK_SESSION_OPTIONS": _options,
    "UNITOFWORK_STATEMENT_TIMEOUT": _seconds,
    "UNITOFWORK_TWO_PHASE": _flag,
}
