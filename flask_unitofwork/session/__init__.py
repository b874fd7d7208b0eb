"""The session: SQLAlchemy's own, with its binds routed and its owner told of what becomes of its transactions."""

from .attachment import Attachment, SessionOwner, attachment_of
from .choosers import BindChooser
from .factory import session_factory
from .lone_writes import lone_write
from .reading import give_back, is_clean
from .routing import BindSource, Router
from .session import Session, attach
from .shard_choosers import ExecuteChooser, IdentityChooser, ShardChooser
from .sharded import ShardedSession
from .strong_identity_map import IdentityMapLimitWarning, StrongIdentityMap

__all__ = [
    "Attachment",
    "BindChooser",
    "BindSource",
    "ExecuteChooser",
    "IdentityChooser",
    "IdentityMapLimitWarning",
    "Router",
    "Session",
    "SessionOwner",
    "ShardChooser",
    "ShardedSession",
    "StrongIdentityMap",
    "attach",
    "attachment_of",
    "give_back",
    "is_clean",
    "lone_write",
    "session_factory",
]
