"""The session: SQLAlchemy's own, with its binds routed and its owner told of what becomes of its transactions."""

from .attachment import Attachment, SessionOwner
from .reading import give_back
from .routing import BindSource, Router
from .session import Session, attach, attachment_of

__all__ = ["Attachment", "BindSource", "Router", "Session", "SessionOwner", "attach", "attachment_of", "give_back"]
