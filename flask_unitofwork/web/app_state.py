"""What an app carries for this package."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.orm import sessionmaker

from ..config import Settings
from ..database import Engines
from ..session import Attachment, Router, Session, attach
from ..transaction import HookRunner, IdleWatch
from .policy import CommitPolicy
from .views import ViewDemarcation

__all__ = ["APP_STATE", "EXTENSION", "AppState"]

EXTENSION: Final = "unitofwork"
APP_STATE: Final = "unitofwork.state"


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
        demarcations: what views say, by endpoint and method, each with the view that said it.
    """

    settings: Settings
    engines: Engines
    router: Router
    sessions: sessionmaker[Session]
    policy: CommitPolicy
    hooks: HookRunner = field(default_factory=HookRunner)
    idle_watch: IdleWatch | None = None
    demarcations: dict[tuple[str | None, str], tuple[object, ViewDemarcation]] = field(default_factory=dict)

    def make_session(self, **options: Any) -> Session:
        """A session on this app's databases, which has no owner yet."""
        session = self.sessions(**options)
        attach(session, Attachment(self.router))
        return session
