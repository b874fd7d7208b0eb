"""The session: SQLAlchemy's own, with its binds routed and its owner told of what becomes of its transactions."""

from .routing import BindSource, Router
from .session import Session, SessionOwner

__all__ = ["BindSource", "Router", "Session", "SessionOwner"]
