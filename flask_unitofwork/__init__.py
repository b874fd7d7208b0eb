"""One unit of work for every Flask request: committed when it succeeds, rolled back when it fails."""

from .config import DatabaseSettings, Settings
from .exceptions import (
    AlreadyInitializedError,
    ConfigurationError,
    DemarcationError,
    DoomedError,
    LostWriteError,
    NotInitializedError,
    OutsideScopeError,
    PaginationError,
    ReadOnlyError,
    UnitOfWorkError,
    UnknownBindError,
    UnknownCommitError,
)
from .extension import UnitOfWork
from .models import KeysetPagination, Pagination, Query, UnorderedPaginationWarning
from .session import BindChooser, ExecuteChooser, IdentityChooser, Session, ShardChooser, ShardedSession
from .states import (
    Absent,
    Action,
    AttributeChange,
    Cascade,
    Inspection,
    ObjectState,
    PendingChange,
    PendingChanges,
    Unloaded,
)
from .transaction import HeldConnectionWarning, State, Unit, unit_committed, unit_retried, unit_rolled_back
from .web import AbandonedStreamWarning, CommitPolicy

__all__ = [
    "AbandonedStreamWarning",
    "Absent",
    "Action",
    "AlreadyInitializedError",
    "AttributeChange",
    "BindChooser",
    "Cascade",
    "CommitPolicy",
    "ConfigurationError",
    "DatabaseSettings",
    "DemarcationError",
    "DoomedError",
    "ExecuteChooser",
    "HeldConnectionWarning",
    "IdentityChooser",
    "Inspection",
    "KeysetPagination",
    "LostWriteError",
    "NotInitializedError",
    "ObjectState",
    "OutsideScopeError",
    "Pagination",
    "PaginationError",
    "PendingChange",
    "PendingChanges",
    "Query",
    "ReadOnlyError",
    "Session",
    "Settings",
    "ShardChooser",
    "ShardedSession",
    "State",
    "Unit",
    "UnitOfWork",
    "UnitOfWorkError",
    "UnknownBindError",
    "UnknownCommitError",
    "Unloaded",
    "UnorderedPaginationWarning",
    "unit_committed",
    "unit_retried",
    "unit_rolled_back",
]
