"""What an app carries for this package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sqlalchemy.orm import sessionmaker

from ..config import Settings
from ..database import Engines
from ..session import Attachment, Router, Session, attach
from ..transaction import HookRunner, IdleWatch
from .policy import CommitPolicy
from .views import RequestDemarcation

__all__ = ["APP_STATE", "EXTENSION", "AppState", "Cache"]

EXTENSION: Final = "unitofwork"
APP_STATE: Final = "unitofwork.state"


class Cache(Protocol):
    """What keeps results of queries for an app."""

    def watch(self, session: Session, /) -> None:
        """Answer statements of *session*, which is new, and note what it writes."""
        ...

    def invalidate(self, tables: Iterable[Any] = ..., session: Session | None = ..., /) -> None:
        """What was read from *tables* is stale, after the commit of *session* or at once; without tables, everything is."""
        ...


@dataclass(frozen=True, slots=True)
class AppState:
    """What one app gives to its units. It hangs on the app, and goes with it.

    Attributes:
        settings: the app's configuration.
        engines: its databases.
        router: chooses among them.
        sessions: makes its sessions.
        policy: turns a response into commit or rollback.
        hooks: runs the hooks of its units.
        idle_watch: reports connections that wait in a transaction; None where nobody wants to know.
        cache: keeps results of queries; None where nobody wants that.
        demarcations: what becomes of requests, by endpoint and method, each with the view that says it.
    """

    settings: Settings
    engines: Engines
    router: Router
    sessions: sessionmaker[Session]
    policy: CommitPolicy
    hooks: HookRunner = field(default_factory=HookRunner)
    idle_watch: IdleWatch | None = None
    cache: Cache | None = None
    demarcations: dict[tuple[str | None, str], tuple[object, RequestDemarcation]] = field(default_factory=dict)

    def make_session(self, **options: Any) -> Session:
        """A session on this app's databases, which has no owner yet."""
        session = self.sessions(**options)
        attach(session, Attachment(self.router))
        if self.cache is not None:
            self.cache.watch(session)
        return session
